# The Lambdas. What each is told is in environment.tf, what each may do in iam-*.tf.

locals {
  # In bytes, as the binary's own default is.
  admission_memory_bytes = coalesce(var.admission_memory_bytes, 2147483648)

  function_defaults = {
    scale-up         = { memory = var.policy_size_class == "large" ? 1024 : 512, timeout = 60, about = "folds events into the ledger, and launches runners" }
    scale-down       = { memory = var.policy_size_class == "large" ? 1024 : 512, timeout = 300, about = "retires runners that nobody needs" }
    policy-admission = { memory = ceil(local.admission_memory_bytes / 1048576) + 512, timeout = 900, about = "judges uploaded scaling policies, and activates what passes" }
    syncer           = { memory = 512, timeout = 900, about = "mirrors GitHub's runner" }
    webhook          = { memory = 256, timeout = 10, about = "takes GitHub's webhooks" }
  }

  functions = {
    for name, default in local.function_defaults : name => {
      about        = default.about
      memory       = lookup(var.lambda_memory_mb, name, default.memory)
      timeout      = lookup(var.lambda_timeout_seconds, name, default.timeout)
      architecture = lookup(var.lambda_architectures, name, "x86_64")
      concurrency  = lookup(var.lambda_reserved_concurrency, name, -1)
      in_vpc       = var.lambda_vpc == null ? false : var.lambda_vpc.functions == null ? true : contains(var.lambda_vpc.functions, name)
    } if name != "webhook" || local.has_webhook
  }
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:Messages that fail go to the dead-letter queue by their queue. What else invokes a Lambda is a schedule, or an event of which its next sweep finds what it told.
  #checkov:skip=CKV_AWS_117:By choice: the variable lambda_vpc. They reach nothing inside a VPC, and one costs a NAT gateway.
  #checkov:skip=CKV_AWS_272:The code is an object's version in a bucket that only the deployer writes to.
  for_each = local.functions

  function_name                  = "${local.name}-${each.key}"
  description                    = "Stoker ${var.environment}: ${each.value.about}"
  role                           = aws_iam_role.lambda[each.key].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [each.value.architecture]
  memory_size                    = each.value.memory
  timeout                        = each.value.timeout
  reserved_concurrent_executions = each.value.concurrency
  kms_key_arn                    = local.kms_key_arn
  s3_bucket                      = local.code[each.key].bucket
  s3_key                         = local.code[each.key].key
  s3_object_version              = local.code[each.key].version
  tags                           = local.tags

  environment {
    variables = local.environments[each.key]
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.lambda[each.key].name
  }

  tracing_config {
    mode = var.tracing_mode
  }

  dynamic "vpc_config" {
    for_each = each.value.in_vpc ? [var.lambda_vpc] : []

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = length(vpc_config.value.security_group_ids) > 0 ? vpc_config.value.security_group_ids : aws_security_group.lambda[*].id
    }
  }

  lifecycle {
    precondition {
      condition     = each.key != "policy-admission" || each.value.memory >= local.admission_memory_bytes / 1048576 + 512
      error_message = "policy-admission: its Lambda needs 512 MB more than admission_memory_bytes. Raise lambda_memory_mb, or lower admission_memory_bytes."
    }

    precondition {
      # Lambda counts the variables as JSON.
      condition     = length(jsonencode(local.environments[each.key])) <= 4096
      error_message = "${each.key}: its environment is larger than the 4 KB that Lambda takes. Most of it are runner_classes: have fewer, with shorter lists of labels, instance types, subnets and attributes."
    }
  }

  # It may write its log and read its queues before it is there, and what it writes is encrypted.
  depends_on = [
    aws_iam_role_policy.lambda,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
    aws_ssm_parameter.app,
  ]
}

# A schedule's next event does what a failed one should have; a late one does harm to nobody, and no good.
resource "aws_lambda_function_event_invoke_config" "scheduled" {
  for_each = toset(["scale-up", "scale-down", "syncer"])

  function_name                = aws_lambda_function.this[each.key].function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_cloudwatch_log_group" "lambda" {
  for_each = local.functions

  name              = "/aws/lambda/${local.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

# A group takes a key only if the key's policy lets CloudWatch Logs use it, which it does from its first moment.
resource "aws_cloudwatch_log_group" "runner" {
  name              = local.runner_log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}
