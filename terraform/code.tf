# The Lambdas' code: zips of dist as versioned objects. A zip that changed is a new version of its object, and that is
# a new version for the function: in one apply, and nobody copies anything by hand.

locals {
  uploaded_code = { for name, function in local.functions : name => "${local.dist}/${name}.zip" if !contains(keys(var.lambda_code), name) }

  code = {
    for name in keys(local.functions) : name => contains(keys(var.lambda_code), name) ? var.lambda_code[name] : {
      bucket  = aws_s3_object.code[name].bucket
      key     = aws_s3_object.code[name].key
      version = aws_s3_object.code[name].version_id
    }
  }
}

resource "aws_s3_object" "code" {
  for_each = local.uploaded_code

  bucket             = aws_s3_bucket.this["artifacts"].id
  key                = "lambdas/${each.key}.zip"
  source             = each.value
  source_hash        = fileexists(each.value) ? filesha256(each.value) : null
  content_type       = "application/zip"
  kms_key_id         = local.kms_key_arn
  bucket_key_enabled = true
  tags               = local.tags

  lifecycle {
    # dist/manifest.json says what it was built for.
    precondition {
      condition = try(
        { for file in jsondecode(file("${local.dist}/manifest.json")).files : file.path => file }["${each.key}.zip"].architecture == local.functions[each.key].architecture,
        true,
      )
      error_message = "The code of the Lambda ${each.key} in ${local.dist} is for another architecture than ${local.functions[each.key].architecture}: make dist ARCH=arm64 goes with lambda_architectures = { webhook = \"arm64\" }."
    }

    precondition {
      condition     = fileexists(each.value)
      error_message = "The code of the Lambda ${each.key} is not there: run make dist, name its folder by dist, or say by lambda_code where it lies."
    }
  }

  depends_on = [
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
