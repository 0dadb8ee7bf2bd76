# One class of spot runners, one environment, webhooks by the Cloudflare Worker.

module "stoker" {
  source = "../.."

  environment = "ci"
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids

  runner_classes = {
    small = {
      labels         = ["self-hosted", "linux", "x64"]
      instance_types = ["c7i.large", "c7a.large", "m7i.large", "m7a.large"]
      maximum        = 20
      spot_price     = 0.045
    }
  }
}
