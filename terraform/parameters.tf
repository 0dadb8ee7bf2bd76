# The GitHub App's parameters. Those that are made here hold a placeholder until somebody writes the value, which
# Terraform neither overwrites nor reads: the value is write-only, so it is not in the state either.

locals {
  app_parameters = {
    id                      = "its id"
    private_key             = "its private key, PEM"
    webhook_secret          = "the secret of its webhook"
    webhook_secret_previous = "the webhook's secret before, while it is replaced"
    client_id               = "its client id"
    client_secret           = "its client secret"
  }

  app_parameter_names = {
    for kind in keys(local.app_parameters) :
    kind => coalesce(var.github_app_parameters[kind], "${local.parameters_path}/github-app/${replace(kind, "_", "-")}")
  }

  app_parameter_arns = {
    for kind, name in local.app_parameter_names : kind => "${local.arn.parameters}/${trimprefix(name, "/")}"
  }
}

resource "aws_ssm_parameter" "app" {
  for_each = { for kind, parameter in local.app_parameters : kind => parameter if var.github_app_parameters[kind] == null }

  name             = local.app_parameter_names[each.key]
  description      = "The GitHub App of Stoker's deployment ${var.environment}: ${each.value}"
  type             = "SecureString"
  key_id           = local.kms_key_arn
  value_wo         = "-"
  value_wo_version = 1
  tags             = local.tags

  lifecycle {
    # The provider changes any of these by writing the parameter anew, and knows no value to write.
    ignore_changes = [description, key_id, tier, type, value]
  }
}
