data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  name      = "${var.prefix}-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  suffix    = data.aws_partition.current.dns_suffix

  # Passed to each resource: a provider's default_tags are the caller's, and may be for another purpose.
  tags = merge(var.tags, { "stoker:deployment" = var.environment })

  has_edge    = contains(var.ingress, "cloudflare")
  has_webhook = contains(var.ingress, "api-gateway")

  # Where instances find their configuration, and what belongs to the deployment in SSM.
  parameters_path  = "/${var.prefix}/${var.environment}"
  runner_log_group = "/${var.prefix}/${var.environment}/runner"

  dist = coalesce(var.dist, "${path.module}/../dist")

  delay_seconds = coalesce(var.delay_seconds, var.runner_mode == "persistent" ? 30 : 0)

  arn = {
    ec2        = "arn:${local.partition}:ec2:${local.region}:${local.account}"
    images     = "arn:${local.partition}:ec2:${local.region}:"
    parameters = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter"
    logs       = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"
  }
}
