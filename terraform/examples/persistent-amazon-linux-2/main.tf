# Persistent runners on a hardened Amazon Linux 2 image of one's own, with the SSM parameters that are there already.

variable "environment" {
  description = "Whose runners: also a part of the parameters' names."
  type        = string
  default     = "prod"
}

variable "image_owner" {
  description = "The account that publishes the hardened images."
  type        = string
}

variable "image_kms_key_arn" {
  description = "The key of these images. Null: they are not encrypted."
  type        = string
  default     = null
}

variable "parameters_kms_key_arn" {
  description = "The key of the parameters that are there. Null: the account's own for SSM."
  type        = string
  default     = null
}

module "stoker" {
  source = "../.."

  environment = var.environment
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids

  runner_mode                  = "persistent"
  minimum_running_time_seconds = 900

  # The image patches itself at its first boot.
  boot_time_seconds = 900

  ami = {
    owners  = [var.image_owner]
    filters = { name = ["hardened-amzn2-*"], state = ["available"] }
  }
  image_kms_key_arns = var.image_kms_key_arn == null ? [] : [var.image_kms_key_arn]

  github_app_parameters = {
    id             = "/ops/github/runner/${var.environment}/app-id"
    private_key    = "/ops/github/runner/${var.environment}/private-key"
    webhook_secret = "/ops/github/runner/${var.environment}/webhook-secret"
    client_id      = "/ops/github/runner/${var.environment}/client-id"
    client_secret  = "/ops/github/runner/${var.environment}/client-secret"
  }
  secret_kms_key_arns = var.parameters_kms_key_arn == null ? [] : [var.parameters_kms_key_arn]

  runner_classes = {
    standard = {
      labels          = ["self-hosted", "linux", "x64", "amazon-linux-2"]
      instance_types  = ["m6i.large", "m5.large", "m5a.large"]
      maximum         = 20
      on_demand_price = 0.115
      volume_size     = 60
      run_as          = "ec2-user"

      pre_install = <<-EOT
        # Trust the house's own certificates.
        cp /etc/pki/house/*.pem /etc/pki/ca-trust/source/anchors/
        update-ca-trust
      EOT
    }
  }
}
