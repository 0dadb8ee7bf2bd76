# Webhooks by API Gateway and the webhook Lambda, for those without Cloudflare.

module "stoker" {
  source = "../.."

  environment = "ci"
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids

  ingress              = ["api-gateway"]
  lambda_architectures = { webhook = "arm64" }
  tracing_mode         = "Active"

  runner_classes = {
    small = {
      labels          = ["self-hosted", "linux", "x64"]
      instance_types  = ["c7i.large", "c7a.large"]
      maximum         = 20
      spot_price      = 0.045
      on_demand_price = 0.101
    }
  }
}

output "webhook_url" {
  description = "The App's webhook URL."
  value       = module.stoker.webhook_url
}
