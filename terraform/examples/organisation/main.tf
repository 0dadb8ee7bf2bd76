# An organisation's fleet: small jobs on spot with on-demand to fall back on, large and Graviton ones, and some with a
# GPU that are on demand alone; limits on how many and how much.

module "stoker" {
  source = "../.."

  environment = "prod"
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids

  tags = { CostCentre = "ci" }

  runner_group          = "stoker"
  repository_allow_list = ["acme/*"]

  max_runners                = 300
  max_runners_per_repository = 60
  max_spend_per_day          = 400

  # The default of classes that name no image.
  ami = { preset = "ubuntu-24.04" }

  runner_classes = {
    small = {
      labels          = ["self-hosted", "linux", "x64", "small"]
      instance_types  = ["c7i.large", "c7a.large", "m7i.large", "m7a.large", "c6i.large", "m6i.large"]
      maximum         = 200
      spot_price      = 0.045
      on_demand_price = 0.101
    }

    large = {
      labels          = ["self-hosted", "linux", "x64", "large"]
      instance_types  = ["c7i.4xlarge", "c7a.4xlarge", "m7i.4xlarge", "m7a.4xlarge"]
      maximum         = 60
      spot_price      = 0.35
      on_demand_price = 0.82
      volume_size     = 100
    }

    arm = {
      labels          = ["self-hosted", "linux", "arm64"]
      architecture    = "arm64"
      instance_types  = ["c7g.xlarge", "c8g.xlarge", "m7g.xlarge", "m8g.xlarge"]
      maximum         = 60
      spot_price      = 0.07
      on_demand_price = 0.17
    }

    gpu = {
      labels          = ["self-hosted", "linux", "x64", "gpu"]
      instance_types  = ["g5.xlarge", "g6.xlarge"]
      maximum         = 4
      on_demand_price = 1.26
      volume_size     = 200
      attributes      = { gpu = true }

      # The newest of AWS's deep-learning images, by its own parameter: drivers are in it.
      ami         = { ssm_parameter = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id" }
      root_device = "/dev/sda1"
    }
  }

  alarm_topic_arns = [aws_sns_topic.alarms.arn]
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:An alarm's text is no secret; a key for it would have to let CloudWatch and EventBridge use it.
  name = "stoker-alarms"
}

# CloudWatch tells of alarms, and EventBridge of changes of the signing key.
resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "alarms" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  # EventBridge meets no condition of a topic's policy ("Using resource-based policies for Amazon EventBridge").
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}
