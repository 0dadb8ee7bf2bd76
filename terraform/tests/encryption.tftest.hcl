# Everything is encrypted with the deployment's key, nothing is public, and nothing is kept or lost by accident.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "at_rest" {
  assert {
    condition     = alltrue([for function in values(aws_lambda_function.this) : function.kms_key_arn == aws_kms_key.main[0].arn])
    error_message = "A Lambda's environment is not encrypted with the key."
  }

  assert {
    condition = alltrue([for group in concat(values(aws_cloudwatch_log_group.lambda), [aws_cloudwatch_log_group.runner, aws_cloudwatch_log_group.api[0]]) :
    group.kms_key_id == aws_kms_key.main[0].arn && group.retention_in_days == 365])
    error_message = "A log is not encrypted with the key, or kept for ever."
  }

  assert {
    condition     = aws_dynamodb_table.ledger.server_side_encryption[0].enabled && aws_dynamodb_table.ledger.server_side_encryption[0].kms_key_arn == aws_kms_key.main[0].arn
    error_message = "The ledger is not encrypted with the key."
  }

  assert {
    condition = alltrue([for configuration in values(aws_s3_bucket_server_side_encryption_configuration.this) : alltrue([for rule in configuration.rule :
      rule.bucket_key_enabled && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" &&
    rule.apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.main[0].arn])])
    error_message = "A bucket is not encrypted with the key, or has no bucket key."
  }

  assert {
    condition     = alltrue([for parameter in values(aws_ssm_parameter.app) : parameter.type == "SecureString" && parameter.key_id == aws_kms_key.main[0].arn])
    error_message = "A parameter of the App is not encrypted with the key."
  }

  assert {
    condition = alltrue([for template in values(aws_launch_template.runner) :
    template.block_device_mappings[0].ebs[0].encrypted == "true" && template.block_device_mappings[0].ebs[0].kms_key_id == aws_kms_key.main[0].arn])
    error_message = "A runner's volume is not encrypted with the key."
  }

  assert {
    condition     = alltrue([for object in concat(values(aws_s3_object.code), aws_s3_object.default_policy) : object.kms_key_id == aws_kms_key.main[0].arn])
    error_message = "An object is not encrypted with the key."
  }
}

run "buckets" {
  assert {
    condition     = toset(keys(aws_s3_bucket.this)) == toset(["artifacts", "distribution", "journal", "policies"])
    error_message = "There are four buckets."
  }

  assert {
    condition = alltrue([for kind in keys(aws_s3_bucket.this) : alltrue([
      aws_s3_bucket_public_access_block.this[kind].block_public_acls,
      aws_s3_bucket_public_access_block.this[kind].block_public_policy,
      aws_s3_bucket_public_access_block.this[kind].ignore_public_acls,
      aws_s3_bucket_public_access_block.this[kind].restrict_public_buckets,
      aws_s3_bucket_ownership_controls.this[kind].rule[0].object_ownership == "BucketOwnerEnforced",
      aws_s3_bucket_versioning.this[kind].versioning_configuration[0].status == "Enabled",
    ])])
    error_message = "A bucket may be public, or keeps no versions."
  }

  assert {
    condition = alltrue([for kind, policy in aws_s3_bucket_policy.this : contains([for one in jsondecode(policy.policy).Statement : jsonencode(one)], jsonencode({
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Action    = "s3:*"
      Resource  = ["${aws_s3_bucket.this[kind].arn}/*", aws_s3_bucket.this[kind].arn]
      Principal = { AWS = "*" }
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }))])
    error_message = "A bucket takes requests without TLS."
  }

  assert {
    condition     = alltrue(flatten([for policy in values(aws_s3_bucket_policy.this) : [for one in jsondecode(policy.policy).Statement : one.Effect == "Deny"]]))
    error_message = "A bucket's own policy allows something: roles' policies do, here."
  }

  # active.json and its history name objects that have to stay.
  assert {
    condition = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this["policies"].rule :
    length(rule.expiration) == 0 && length(rule.transition) == 0 && (length(rule.noncurrent_version_expiration) == 0 || rule.filter[0].prefix == "policies/")])
    error_message = "Something in the policies' bucket is deleted by itself that is not an old version of an upload."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["journal"].rule : rule.expiration[0].days if rule.id == "retention"]) == 365
    error_message = "The journal is kept for journal_retention_days."
  }

  assert {
    condition     = length(flatten([for kind in ["artifacts", "policies", "distribution"] : [for rule in aws_s3_bucket_lifecycle_configuration.this[kind].rule : rule.expiration]])) == 0
    error_message = "Code, policies and releases do not expire."
  }
}

run "the_ledger" {
  command = plan

  assert {
    condition = (aws_dynamodb_table.ledger.hash_key == "pk" && aws_dynamodb_table.ledger.range_key == "sk" && aws_dynamodb_table.ledger.billing_mode == "PAY_PER_REQUEST" &&
    alltrue([for attribute in aws_dynamodb_table.ledger.attribute : attribute.type == "S"]))
    error_message = "The ledger's keys are the strings pk and sk, and it is on demand."
  }

  assert {
    condition     = aws_dynamodb_table.ledger.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.ledger.ttl[0].enabled
    error_message = "Items expire by expires_at."
  }

  assert {
    condition     = aws_dynamodb_table.ledger.point_in_time_recovery[0].enabled && aws_dynamodb_table.ledger.deletion_protection_enabled
    error_message = "The ledger can be put back, and is not deleted by mistake."
  }
}

run "secrets_stay_out_of_the_state" {
  assert {
    condition     = alltrue([for parameter in values(aws_ssm_parameter.app) : parameter.value_wo == null && parameter.value_wo_version == 1])
    error_message = "A value that is not write-only would be read into the state."
  }
}

run "a_key_of_ones_own" {
  variables {
    kms_key = { arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
  }

  assert {
    condition = (length(aws_kms_key.main) == 0 && length(aws_kms_alias.main) == 0 &&
      alltrue([for queue in values(aws_sqs_queue.this) : queue.kms_master_key_id == var.kms_key.arn]) &&
    aws_dynamodb_table.ledger.server_side_encryption[0].kms_key_arn == var.kms_key.arn)
    error_message = "A key that is given is used, and none is made."
  }
}

run "tags_everywhere" {
  command = plan

  variables {
    tags = { Team = "ci" }
  }

  assert {
    condition = alltrue([for resource in flatten([
      values(aws_lambda_function.this)[*].tags, values(aws_sqs_queue.this)[*].tags, values(aws_s3_bucket.this)[*].tags,
      values(aws_iam_role.lambda)[*].tags, values(aws_cloudwatch_metric_alarm.this)[*].tags, aws_dynamodb_table.ledger.tags,
      values(aws_launch_template.runner)[*].tags, aws_iam_role.runner.tags, values(aws_ssm_parameter.app)[*].tags,
    ]) : resource == tomap({ Team = "ci", "stoker:deployment" = "ci" })])
    error_message = "Something lacks a tag."
  }
}
