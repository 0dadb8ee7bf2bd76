# Who the edge Worker is on AWS: somebody who may post to the intake queue, and nothing else. Terraform makes no access
# key, since that would lie in its state: make edge-secrets makes one and hands it to the Worker.

resource "aws_iam_user" "edge" {
  #checkov:skip=CKV_AWS_273:A Worker at Cloudflare has no identity that AWS federates with; edge_role is for those who bring one.
  count = local.has_edge && var.edge_role == null ? 1 : 0

  name                 = "${local.name}-edge"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary
  # Its access keys are made outside, and are nobody's once it is gone.
  force_destroy = true
  tags          = local.tags
}

resource "aws_iam_user_policy" "edge" {
  #checkov:skip=CKV_AWS_40:One program, one user: a group of one would hide what it may do.
  count = local.has_edge && var.edge_role == null ? 1 : 0

  name   = "stoker"
  user   = aws_iam_user.edge[0].name
  policy = data.aws_iam_policy_document.edge.json
}

resource "aws_iam_role" "edge" {
  count = local.has_edge && var.edge_role != null ? 1 : 0

  name                 = "${local.name}-edge"
  description          = "Stoker ${var.environment}: the edge, by temporary credentials"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = data.aws_iam_policy_document.edge_assumed_by[0].json
  tags                 = local.tags
}

resource "aws_iam_role_policy" "edge" {
  count = local.has_edge && var.edge_role != null ? 1 : 0

  name   = "stoker"
  role   = aws_iam_role.edge[0].name
  policy = data.aws_iam_policy_document.edge.json
}

data "aws_iam_policy_document" "edge" {
  statement {
    sid       = "Intake"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this["intake"].arn]
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
}

data "aws_iam_policy_document" "edge_assumed_by" {
  count = local.has_edge && var.edge_role != null ? 1 : 0

  dynamic "statement" {
    for_each = length(var.edge_role.principals) > 0 ? [true] : []

    content {
      sid     = "Principals"
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = var.edge_role.principals
      }

      dynamic "condition" {
        for_each = var.edge_role.external_id == null ? [] : [var.edge_role.external_id]

        content {
          test     = "StringEquals"
          variable = "sts:ExternalId"
          values   = [condition.value]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = var.edge_role.oidc_provider_arn == null ? [] : [var.edge_role.oidc_provider_arn]

    content {
      sid     = "Tokens"
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type        = "Federated"
        identifiers = [statement.value]
      }

      dynamic "condition" {
        for_each = var.edge_role.oidc_claims

        content {
          test     = "StringEquals"
          variable = condition.key
          values   = condition.value
        }
      }
    }
  }
}
