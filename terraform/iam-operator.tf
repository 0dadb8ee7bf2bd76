# What stoker doctor needs, for whoever runs it: a document to attach, since people's roles are not made here.

data "aws_iam_policy_document" "operator" {
  statement {
    sid       = "Settings"
    actions   = ["lambda:GetFunctionConfiguration"]
    resources = [for name, function in aws_lambda_function.this : function.arn if contains(["scale-up", "webhook"], name)]
  }

  statement {
    sid     = "Secrets"
    actions = ["ssm:GetParameter"]
    resources = concat(
      [local.app_parameter_arns.id, local.app_parameter_arns.private_key],
      local.has_webhook ? [local.app_parameter_arns.webhook_secret, local.app_parameter_arns.webhook_secret_previous] : [],
    )
  }

  statement {
    sid       = "Queues"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [for kind in ["intake", "act", "dead-letters"] : aws_sqs_queue.this[kind].arn]
  }

  statement {
    sid       = "Ledger"
    actions   = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"]
    resources = [aws_dynamodb_table.ledger.arn]
  }

  statement {
    sid       = "ActivePolicies"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arns.policies}/active.json"]
  }

  statement {
    sid       = "ListPolicies"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arns.policies]
  }

  # EC2 knows no narrower permission for it.
  statement {
    sid       = "LaunchTemplates"
    actions   = ["ec2:DescribeLaunchTemplates"]
    resources = ["*"]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = local.secret_key_arns

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [for service in ["lambda", "s3", "ssm"] : local.kms_services[service]]
    }
  }
}
