# What the Lambdas may do that launch and retire nothing: the syncer, the webhook and admission.

data "aws_iam_policy_document" "syncer" {
  source_policy_documents = [
    data.aws_iam_policy_document.each["syncer"].json,
    data.aws_iam_policy_document.policies.json,
  ]

  statement {
    sid       = "Distribution"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arns.distribution}/*"]
  }

  statement {
    sid       = "ListDistribution"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arns.distribution]
  }

  statement {
    sid       = "DistributionsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.s3]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values   = [local.bucket_arns.distribution, "${local.bucket_arns.distribution}/*"]
    }
  }
}

data "aws_iam_policy_document" "webhook" {
  source_policy_documents = [for name, document in data.aws_iam_policy_document.each : document.json if name == "webhook"]

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

  statement {
    sid       = "WebhookSecret"
    actions   = ["ssm:GetParameter"]
    resources = [local.app_parameter_arns.webhook_secret, local.app_parameter_arns.webhook_secret_previous]
  }

  statement {
    sid       = "WebhookSecretsKey"
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
      values   = [local.app_parameter_arns.webhook_secret, local.app_parameter_arns.webhook_secret_previous]
    }
  }
}

data "aws_iam_policy_document" "policy_admission" {
  source_policy_documents = [data.aws_iam_policy_document.each["policy-admission"].json]

  statement {
    sid       = "ReadUploads"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arns.policies}/policies/*"]
  }

  statement {
    sid       = "Publish"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = [for path in local.admitted_paths : "${local.bucket_arns.policies}/${path}"]
  }

  statement {
    sid       = "ListPolicies"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = [local.bucket_arns.policies]
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

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values   = [local.bucket_arns.policies, "${local.bucket_arns.policies}/*"]
    }
  }

  statement {
    sid       = "Sign"
    actions   = ["kms:GetPublicKey", "kms:Sign"]
    resources = [for key in values(aws_kms_key.signing) : key.arn]
  }
}
