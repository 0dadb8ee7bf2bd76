# Four buckets: artifacts (the Lambdas' code), policies, journal, and distribution (GitHub's runner, mirrored).

locals {
  bucket_names = {
    for kind in ["artifacts", "policies", "journal", "distribution"] :
    kind => lookup(var.bucket_names, kind, "${local.name}-${kind}-${local.account}")
  }

  bucket_arns = { for kind, name in local.bucket_names : kind => "arn:${local.partition}:s3:::${name}" }

  # What is deleted by itself. Of the policies' bucket old versions of uploads, and nothing else: what active.json and
  # its history name (admitted/, generations/) has to stay, or a rollback, or a decision, finds nothing.
  bucket_lifecycles = {
    artifacts    = { prefix = "", expire_days = null, noncurrent_days = 90, keep_versions = 5 }
    policies     = { prefix = "policies/", expire_days = null, noncurrent_days = 365, keep_versions = 10 }
    journal      = { prefix = "", expire_days = var.journal_retention_days, noncurrent_days = 7, keep_versions = null }
    distribution = { prefix = "", expire_days = null, noncurrent_days = 30, keep_versions = null }
  }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:What these buckets hold is made again (code, distribution) or belongs to this region's deployment; replicate the journal where you must keep it.
  #checkov:skip=CKV2_AWS_62:Only uploads of policies are of interest to somebody, and their bucket has its notifications.
  for_each = local.bucket_names

  bucket        = each.value
  force_destroy = var.force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.bucket_names

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "uploads-that-were-broken-off"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {
      prefix = local.bucket_lifecycles[each.key].prefix
    }

    noncurrent_version_expiration {
      noncurrent_days           = local.bucket_lifecycles[each.key].noncurrent_days
      newer_noncurrent_versions = local.bucket_lifecycles[each.key].keep_versions
    }
  }

  dynamic "rule" {
    for_each = local.bucket_lifecycles[each.key].expire_days == null ? [] : [local.bucket_lifecycles[each.key].expire_days]

    content {
      id     = "retention"
      status = "Enabled"

      filter {
        prefix = ""
      }

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "this" {
  for_each = var.access_log_bucket == null ? {} : local.bucket_names

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = var.access_log_bucket
  target_prefix = "${aws_s3_bucket.this[each.key].id}/"
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # S3 refuses two changes of one bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.bucket_names

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arns[each.key], "${local.bucket_arns[each.key]}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # What decides is trusted by its signature. That nobody but admission writes there keeps out what is not, whatever
  # else an account's people may do with S3; who may delete objects can still take it away, and versions bring it back.
  dynamic "statement" {
    for_each = each.key == "policies" ? [true] : []

    content {
      sid       = "AdmissionAlonePublishes"
      effect    = "Deny"
      actions   = ["s3:PutObject"]
      resources = [for path in local.admitted_paths : "${local.bucket_arns.policies}/${path}"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotEquals"
        variable = "aws:PrincipalArn"
        values   = [aws_iam_role.lambda["policy-admission"].arn]
      }
    }
  }
}

locals {
  # What admission writes: docs/publishing.md, "What is in the bucket".
  admitted_paths = ["active.json", "admitted/*", "generations/*", "verdicts/*"]
}
