# The Lambdas' roles, and what all or several of them may do.

resource "aws_iam_role" "lambda" {
  for_each = local.functions

  name                 = "${local.name}-${each.key}"
  description          = "Stoker ${var.environment}: the Lambda that ${each.value.about}"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = data.aws_iam_policy_document.assumed_by_lambda.json
  tags                 = local.tags
}

data "aws_iam_policy_document" "assumed_by_lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "lambda" {
  for_each = local.functions

  name   = "stoker"
  role   = aws_iam_role.lambda[each.key].name
  policy = local.lambda_policies[each.key]

  lifecycle {
    precondition {
      condition     = length(local.lambda_policies[each.key]) <= 10240
      error_message = "The policy of ${each.key} is larger than the 10,240 characters that IAM takes. It names each launch template, subnet and security group: have fewer."
    }
  }
}

locals {
  lambda_policies = {
    scale-up         = data.aws_iam_policy_document.scale_up.minified_json
    scale-down       = data.aws_iam_policy_document.scale_down.minified_json
    policy-admission = data.aws_iam_policy_document.policy_admission.minified_json
    syncer           = data.aws_iam_policy_document.syncer.minified_json
    webhook          = data.aws_iam_policy_document.webhook.minified_json
  }

  # Parameters that were named, and not made, may be under other keys.
  secret_key_arns = concat([local.kms_key_arn], var.secret_kms_key_arns)
}

# Of each: its log, its environment's key, its traces, its place in a VPC.
data "aws_iam_policy_document" "each" {
  for_each = local.functions

  source_policy_documents = [for name, document in data.aws_iam_policy_document.lambda_vpc : document.json if name == each.key]

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.lambda[each.key].arn}:*"]
  }

  statement {
    sid       = "Environment"
    actions   = ["kms:Decrypt"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:aws:lambda:FunctionArn"
      values   = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.name}-${each.key}"]
    }
  }

  dynamic "statement" {
    for_each = var.tracing_mode == "Active" ? [true] : []

    content {
      sid       = "Traces"
      actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      resources = ["*"]
    }
  }
}

# Of those that decide or run a policy: what is active, and the journal.
data "aws_iam_policy_document" "policies" {
  statement {
    sid       = "ActivePolicies"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arns.policies}/active.json", "${local.bucket_arns.policies}/admitted/*"]
  }

  # Without it S3 does not tell absent from forbidden.
  statement {
    sid       = "ListPolicies"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arns.policies]
  }

  statement {
    sid       = "Journal"
    actions   = ["s3:PutObject"]
    resources = ["${local.bucket_arns.journal}/journal/*"]
  }

  statement {
    sid       = "BucketsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.s3]
    }

    # With a bucket key the bucket's ARN, else the object's.
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values = [
        local.bucket_arns.journal,
        "${local.bucket_arns.journal}/*",
        local.bucket_arns.policies,
        "${local.bucket_arns.policies}/*",
      ]
    }
  }
}

# Of scale-up and scale-down: the App, the ledger, the queues that they write to, the instances and their parameters.
data "aws_iam_policy_document" "deciding" {
  source_policy_documents = [data.aws_iam_policy_document.policies.json]

  statement {
    sid       = "App"
    actions   = ["ssm:GetParameter"]
    resources = [local.app_parameter_arns.id, local.app_parameter_arns.private_key]
  }

  statement {
    sid       = "AppKeys"
    actions   = ["kms:Decrypt"]
    resources = local.secret_key_arns

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.ssm]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = [local.app_parameter_arns.id, local.app_parameter_arns.private_key]
    }
  }

  statement {
    sid = "Ledger"
    actions = [
      "dynamodb:ConditionCheckItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
    ]
    resources = [aws_dynamodb_table.ledger.arn]
  }

  # DynamoDB opens the table's own key in the name of who asks it.
  statement {
    sid = "LedgersKey"
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.dynamodb]
    }
  }

  # An act that is to come in some seconds waits in the intake queue: a FIFO queue delays no single message.
  statement {
    sid       = "AskForActs"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this["act"].arn, aws_sqs_queue.this["intake"].arn]
  }

  statement {
    sid       = "QueuesKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.sqs]
    }
  }

  statement {
    sid       = "SeeInstances"
    actions   = ["ec2:DescribeInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "TerminateOurs"
    actions   = ["ec2:TerminateInstances"]
    resources = ["${local.arn.ec2}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:ResourceTag/stoker:deployment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "ForgetConfigurations"
    actions   = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
    resources = ["${local.arn.parameters}${local.parameters_path}/runners/*"]
  }
}

data "aws_iam_policy_document" "scale_down" {
  source_policy_documents = [
    data.aws_iam_policy_document.each["scale-down"].json,
    data.aws_iam_policy_document.deciding.json,
  ]
}
