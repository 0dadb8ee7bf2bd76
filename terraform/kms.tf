# The key of everything that is encrypted: queues, logs, Lambdas' environments, parameters, buckets, volumes, table.

locals {
  kms_key_arn = var.kms_key == null ? aws_kms_key.main[0].arn : var.kms_key.arn

  # The services through which the key is used, and by no other way: nobody decrypts with it directly.
  kms_services = {
    for service in ["dynamodb", "ec2", "lambda", "s3", "sqs", "ssm"] :
    service => "${service}.${local.region}.${local.suffix}"
  }
}

resource "aws_kms_key" "main" {
  count = var.kms_key == null ? 1 : 0

  description             = "Everything of Stoker's deployment ${var.environment}"
  enable_key_rotation     = true
  deletion_window_in_days = var.kms_deletion_window_days
  policy                  = data.aws_iam_policy_document.kms[0].json
  tags                    = merge(local.tags, { Name = local.name })
}

resource "aws_kms_alias" "main" {
  count = var.kms_key == null ? 1 : 0

  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.main[0].key_id
}

data "aws_iam_policy_document" "kms" {
  count = var.kms_key == null ? 1 : 0

  # IAM policies of the account decide who administers it. Not who decrypts.
  statement {
    sid       = "Administration"
    resources = ["*"]
    actions = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:DisableKeyRotation",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListKeyRotations",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:RevokeGrant",
      "kms:RotateKeyOnDemand",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  # IAM policies decide who uses it, and that is always for something that lies in one of these services.
  statement {
    sid       = "UseThroughServices"
    resources = ["*"]
    actions = [
      "kms:Decrypt",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = values(local.kms_services)
    }
  }

  # DynamoDB, EC2 (for volumes) and Lambda hold grants, which they ask for in the name of who makes the table, the
  # instance or the function.
  statement {
    sid       = "GrantsOfServices"
    resources = ["*"]
    actions   = ["kms:CreateGrant"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [for service in ["dynamodb", "ec2", "lambda"] : local.kms_services[service]]
    }
  }

  statement {
    sid       = "Logs"
    resources = ["*"]
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.suffix}"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        "${local.arn.logs}:/aws/lambda/${local.name}-*",
        "${local.arn.logs}:${local.parameters_path}/*",
      ]
    }
  }

  # EC2's events are sent to the intake queue by EventBridge, which is no principal of the account. The queue's own
  # policy says by which rules.
  statement {
    sid       = "EventsToTheIntakeQueue"
    resources = ["*"]
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:sqs:arn"
      values   = [local.queue_arns.intake]
    }
  }

  # Spot instances' volumes are attached in the name of this role of EC2's. It may not be there yet, and KMS takes no
  # principal that is not; so it is named by a condition.
  statement {
    sid       = "VolumesOfSpotInstances"
    resources = ["*"]
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [local.spot_role_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:CallerAccount"
      values   = [local.account]
    }
  }

  statement {
    sid       = "GrantsForSpotInstances"
    resources = ["*"]
    actions   = ["kms:CreateGrant"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [local.spot_role_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:CallerAccount"
      values   = [local.account]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

locals {
  spot_role_arn = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
}

resource "aws_iam_service_linked_role" "spot" {
  count = var.create_spot_service_linked_role ? 1 : 0

  aws_service_name = "spot.amazonaws.com"
  tags             = local.tags
}
