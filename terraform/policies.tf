# Uploads of policies start admission, and the shipped policy is the first upload.

resource "aws_lambda_permission" "uploads" {
  statement_id   = "uploads"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this["policy-admission"].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.this["policies"].arn
  source_account = local.account
}

resource "aws_s3_bucket_notification" "policies" {
  bucket = aws_s3_bucket.this["policies"].id

  lambda_function {
    id                  = "uploads"
    lambda_function_arn = aws_lambda_function.this["policy-admission"].arn
    events              = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    filter_prefix       = "policies/"
  }

  # S3 tries the notification when it is made.
  depends_on = [aws_lambda_permission.uploads]
}

# Once: from then on what lies there is whoever's who uploads it.
resource "aws_s3_object" "default_policy" {
  count = var.seed_default_policy ? 1 : 0

  bucket             = aws_s3_bucket.this["policies"].id
  key                = "policies/default/policy.wasm"
  source             = "${local.dist}/policies/default.wasm"
  content_type       = "application/wasm"
  kms_key_id         = local.kms_key_arn
  bucket_key_enabled = true
  metadata           = { stoker-by = "terraform" }
  tags               = local.tags

  lifecycle {
    ignore_changes = all

    precondition {
      condition     = fileexists("${local.dist}/policies/default.wasm")
      error_message = "The shipped policy is not there: run make dist, name its folder by dist, or set seed_default_policy to false."
    }
  }

  # Admission hears of the upload and may do what it has to. (If S3's event is lost, its next sweep finds it.)
  depends_on = [
    aws_iam_role_policy.lambda,
    aws_s3_bucket_notification.policies,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
