# The keys that admission signs with. Whoever may sign can have the deciding Lambdas run machine code: nobody but
# admission may, and nobody may give that away (no CreateGrant).

locals {
  policy_signing_key = coalesce(var.policy_signing_key, var.policy_signing_keys[0])

  policy_public_keys = join(",", concat(
    [for name in var.policy_signing_keys : data.aws_kms_public_key.signing[name].public_key],
    var.extra_policy_public_keys,
  ))
}

resource "aws_kms_key" "signing" {
  for_each = toset(var.policy_signing_keys)

  description              = "Signs the active scaling policies of Stoker's deployment ${var.environment} (${each.key})"
  customer_master_key_spec = "ECC_NIST_P256"
  key_usage                = "SIGN_VERIFY"
  deletion_window_in_days  = var.kms_deletion_window_days
  policy                   = data.aws_iam_policy_document.signing.json
  tags                     = merge(local.tags, { Name = "${local.name}-policies-${each.key}" })
}

resource "aws_kms_alias" "signing" {
  name          = "alias/${local.name}-policies"
  target_key_id = aws_kms_key.signing[local.policy_signing_key].key_id
}

data "aws_kms_public_key" "signing" {
  for_each = toset(var.policy_signing_keys)

  key_id = aws_kms_key.signing[each.key].arn
}

data "aws_iam_policy_document" "signing" {
  #checkov:skip=CKV_AWS_109:A key's policy speaks of that key alone, and the account has to be able to administer it; each change is an alarm.
  #checkov:skip=CKV_AWS_111:A key's policy speaks of that key alone.
  #checkov:skip=CKV_AWS_356:In a key's policy * is that key.

  statement {
    sid       = "Administration"
    resources = ["*"]
    actions = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:EnableKey",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:GetPublicKey",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:RevokeGrant",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
      "kms:Verify",
    ]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  statement {
    sid       = "AdmissionSigns"
    resources = ["*"]
    actions   = ["kms:GetPublicKey", "kms:Sign"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.lambda["policy-admission"].arn]
    }
  }
}

# CloudTrail tells of each change, if the account has a trail of management events.
resource "aws_cloudwatch_event_rule" "signing" {
  name        = "${local.name}-signing-key"
  description = "Somebody changes who may sign for the scaling policies of Stoker's deployment ${var.environment}, or takes the key away"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName   = ["PutKeyPolicy", "CreateGrant", "DisableKey", "ScheduleKeyDeletion"]
      requestParameters = {
        keyId = flatten([for key in values(aws_kms_key.signing) : [key.key_id, key.arn]])
      }
    }
  })
}

resource "aws_cloudwatch_event_target" "signing" {
  count = length(var.alarm_topic_arns)

  rule = aws_cloudwatch_event_rule.signing.name
  arn  = var.alarm_topic_arns[count.index]
}
