# What the next step needs: the edge, the command line, and whoever builds on this module.

output "edge_vars" {
  description = "The [vars] of wrangler.toml."
  value = {
    for name, value in {
      AWS_REGION                = local.region
      SQS_QUEUE_URL             = aws_sqs_queue.this["intake"].url
      DELAY_SECONDS             = tostring(local.delay_seconds)
      REPOSITORY_ALLOW_LIST     = length(var.repository_allow_list) == 0 ? "*" : join(",", var.repository_allow_list)
      ALLOW_PUBLIC_REPOSITORIES = tostring(var.allow_public_repositories)
      CHECK_RUN_APPS            = var.check_run_apps == null ? null : join(",", var.check_run_apps)
    } : name => value if value != null
  }
}

output "edge_secrets" {
  description = "Where the values for wrangler secret put come from: the SSM parameters of the webhook's secrets, and the IAM user that access keys are made for (or the role whose credentials the Worker is handed)."
  value = {
    GITHUB_WEBHOOK_SECRET          = { ssm_parameter = local.app_parameter_names.webhook_secret }
    GITHUB_WEBHOOK_SECRET_PREVIOUS = { ssm_parameter = local.app_parameter_names.webhook_secret_previous }
    AWS_ACCESS_KEY_ID              = { iam_user = one(aws_iam_user.edge[*].name), iam_role = one(aws_iam_role.edge[*].arn) }
    AWS_SECRET_ACCESS_KEY          = { iam_user = one(aws_iam_user.edge[*].name), iam_role = one(aws_iam_role.edge[*].arn) }
  }
}

output "edge_user_name" {
  description = "The IAM user of the edge, for make edge-secrets. Null with edge_role, or without cloudflare in ingress."
  value       = one(aws_iam_user.edge[*].name)
}

output "edge_role_arn" {
  description = "The role of the edge, with edge_role."
  value       = one(aws_iam_role.edge[*].arn)
}

output "webhook_url" {
  description = "What to enter at GitHub as the App's webhook URL, with api-gateway in ingress. (The Worker's is https://NAME.ACCOUNT.workers.dev/webhook.)"
  value       = local.has_webhook ? "${aws_apigatewayv2_api.webhook[0].api_endpoint}/webhook" : null
}

output "github_app_parameters" {
  description = "The names of the SSM parameters of the GitHub App. Those with a placeholder wait for their value: aws ssm put-parameter --overwrite --type SecureString --key-id KEY --name NAME --value file://FILE, with the output kms_key_arn as KEY."
  value       = local.app_parameter_names
}

output "region" {
  description = "Where all this is."
  value       = local.region
}

output "deployment" {
  description = "The deployment's name (DEPLOYMENT)."
  value       = var.environment
}

output "intake_queue_url" {
  description = "The URL of the intake queue (INTAKE_QUEUE_URL; the edge's SQS_QUEUE_URL)."
  value       = aws_sqs_queue.this["intake"].url
}

output "queues" {
  description = "All queues: URL and ARN by kind."
  value       = { for kind, queue in aws_sqs_queue.this : kind => { url = queue.url, arn = queue.arn } }
}

output "delay_seconds" {
  description = "How long the edge is to hold a new job back (DELAY_SECONDS)."
  value       = local.delay_seconds
}

output "functions" {
  description = "The Lambdas' names, for stoker doctor --function, stoker ledger rebuild --function and stoker policy --function."
  value       = { for name, function in aws_lambda_function.this : name => function.function_name }
}

output "function_arns" {
  description = "The Lambdas' ARNs."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "log_groups" {
  description = "Where the Lambdas and the runners log."
  value = merge(
    { for name, group in aws_cloudwatch_log_group.lambda : name => group.name },
    { runner = aws_cloudwatch_log_group.runner.name },
    { for group in aws_cloudwatch_log_group.api : "api" => group.name },
  )
}

output "buckets" {
  description = "The buckets' names, by kind. policies is what stoker policy --bucket wants."
  value       = { for kind, bucket in aws_s3_bucket.this : kind => bucket.id }
}

output "ledger_table" {
  description = "The DynamoDB table."
  value       = aws_dynamodb_table.ledger.name
}

output "kms_key_arn" {
  description = "The key that encrypts everything."
  value       = local.kms_key_arn
}

output "policy_public_keys" {
  description = "Who may have signed what is active (POLICY_PUBLIC_KEYS; for stoker policy --public-key, one in a file)."
  value       = local.policy_public_keys
}

output "policy_signing_key_arns" {
  description = "The signing keys, by name."
  value       = { for name, key in aws_kms_key.signing : name => key.arn }
}

output "role_arns" {
  description = "The roles of the Lambdas and of the runners."
  value       = merge({ for name, role in aws_iam_role.lambda : name => role.arn }, { runner = aws_iam_role.runner.arn })
}

output "operator_policy_json" {
  description = "An IAM policy for whoever runs stoker doctor."
  value       = data.aws_iam_policy_document.operator.minified_json
}

output "runner_security_group_id" {
  description = "The runners' security group, for those who let them in elsewhere."
  value       = aws_security_group.runner.id
}

output "launch_templates" {
  description = "The launch templates' ids, by class."
  value       = { for name, template in aws_launch_template.runner : name => template.id }
}

output "alarm_names" {
  description = "All alarms."
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
