# What an instance may do, and with it every job that runs on it: read its own configuration once, the distribution,
# write its log, and end itself.

resource "aws_iam_role" "runner" {
  name                 = "${local.name}-runner"
  description          = "Stoker ${var.environment}: the runners' instances"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = data.aws_iam_policy_document.assumed_by_ec2.json
  tags                 = local.tags
}

data "aws_iam_policy_document" "assumed_by_ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.${local.suffix}"]
    }
  }
}

resource "aws_iam_instance_profile" "runner" {
  name = "${local.name}-runner"
  path = var.role_path
  role = aws_iam_role.runner.name
  tags = local.tags
}

resource "aws_iam_role_policy" "runner" {
  name   = "stoker"
  role   = aws_iam_role.runner.name
  policy = data.aws_iam_policy_document.runner.json
}

resource "aws_iam_role_policy_attachment" "runner" {
  count = length(var.runner_managed_policy_arns)

  role       = aws_iam_role.runner.name
  policy_arn = var.runner_managed_policy_arns[count.index]
}

data "aws_iam_policy_document" "runner" {

  # Its own: the parameter has the instance's id as a tag, and EC2 says which instance asks.
  statement {
    sid       = "OwnConfiguration"
    actions   = ["ssm:DeleteParameter", "ssm:GetParameter"]
    resources = ["${local.arn.parameters}${local.parameters_path}/runners/*"]

    condition {
      test     = "StringLike"
      variable = "ec2:SourceInstanceARN"
      values   = ["*/&{aws:ResourceTag/InstanceId}"]
    }
  }

  statement {
    sid       = "ConfigurationsKey"
    actions   = ["kms:Decrypt"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.ssm]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = ["${local.arn.parameters}${local.parameters_path}/runners/*"]
    }
  }

  # aws:ARN is no key that EC2 knows; the id of the instance that is to end is one.
  statement {
    sid       = "TerminateItself"
    actions   = ["ec2:TerminateInstances"]
    resources = ["${local.arn.ec2}:instance/*"]

    condition {
      test     = "ArnEquals"
      variable = "ec2:SourceInstanceARN"
      values   = ["${local.arn.ec2}:instance/&{ec2:InstanceID}"]
    }

    condition {
      test     = "StringEquals"
      variable = "ec2:ResourceTag/stoker:deployment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "Distribution"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arns.distribution}/offered.json", "${local.bucket_arns.distribution}/releases/*"]
  }

  statement {
    sid       = "DistributionsKey"
    actions   = ["kms:Decrypt"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.s3]
    }

    # The bucket's ARN with a bucket key, an object's without.
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values   = [local.bucket_arns.distribution, "${local.bucket_arns.distribution}/*"]
    }
  }

  dynamic "statement" {
    for_each = var.runner_logs ? [true] : []

    content {
      sid       = "Log"
      actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      resources = [aws_cloudwatch_log_group.runner.arn, "${aws_cloudwatch_log_group.runner.arn}:*"]
    }
  }

  # Not AWS's managed policy for it, which reads every parameter of the account.
  dynamic "statement" {
    for_each = var.runner_session_manager ? [true] : []

    content {
      sid = "SessionManager"
      actions = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      resources = ["*"]
    }
  }
}
