# What all tests go by, unless they say otherwise: one deployment with both ingresses and two classes.
environment      = "ci"
vpc_id           = "vpc-0123456789abcdef0"
subnet_ids       = ["subnet-0123456789abcdef0"]
ingress          = ["cloudflare", "api-gateway"]
alarm_topic_arns = ["arn:aws:sns:us-east-1:123456789012:alarms"]
dist             = "tests/stand-ins"

runner_classes = {
  small = {
    labels          = ["self-hosted", "linux", "x64"]
    instance_types  = ["c7i.large", "c7a.large"]
    maximum         = 10
    spot_price      = 0.035
    on_demand_price = 0.089
  }
  arm = {
    labels          = ["self-hosted", "linux", "arm64"]
    architecture    = "arm64"
    instance_types  = ["c7g.large"]
    maximum         = 10
    on_demand_price = 0.07
    ami             = { owners = ["123456789012"], filters = { name = ["hardened-*"] } }
  }
}
