# What scale-up may do besides: take messages, launch, and tell instances how to register.

data "aws_iam_policy_document" "scale_up" {
  source_policy_documents = [
    data.aws_iam_policy_document.each["scale-up"].json,
    data.aws_iam_policy_document.deciding.json,
  ]

  statement {
    sid = "TakeMessages"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.this["intake"].arn, aws_sqs_queue.this["act"].arn]
  }

  statement {
    sid       = "PutAsideAndRedrive"
    actions   = ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
    resources = [aws_sqs_queue.this["dead-letters"].arn]
  }

  # A fleet and its instances are made with the deployment's tag or not at all. EC2 asks for both actions, and names
  # what each is about: a fleet's request has no tags for volumes and network interfaces, the launch (which the
  # template tags) has.
  statement {
    sid       = "FleetsWithOurTag"
    actions   = ["ec2:CreateFleet"]
    resources = ["${local.arn.ec2}:fleet/*", "${local.arn.ec2}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/stoker:deployment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "FleetsParts"
    actions   = ["ec2:CreateFleet"]
    resources = ["${local.arn.ec2}:network-interface/*", "${local.arn.ec2}:volume/*"]
  }

  statement {
    sid     = "LaunchWithOurTag"
    actions = ["ec2:RunInstances"]
    resources = [
      "${local.arn.ec2}:instance/*",
      "${local.arn.ec2}:network-interface/*",
      "${local.arn.ec2}:volume/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/stoker:deployment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "LaunchOurTemplates"
    actions   = ["ec2:CreateFleet", "ec2:RunInstances"]
    resources = [for template in values(aws_launch_template.runner) : template.arn]
  }

  statement {
    sid     = "LaunchInOurNetwork"
    actions = ["ec2:CreateFleet", "ec2:RunInstances"]
    resources = concat(
      [for id in local.all_subnet_ids : "${local.arn.ec2}:subnet/${id}"],
      [for id in local.all_security_group_ids : "${local.arn.ec2}:security-group/${id}"],
    )
  }

  # Images are the templates' choice: a parameter's or AWS's next one has an id that nobody knows yet.
  statement {
    sid       = "LaunchImages"
    actions   = ["ec2:CreateFleet", "ec2:RunInstances"]
    resources = ["${local.arn.images}:image/*", "${local.arn.images}:snapshot/*"]
  }

  dynamic "statement" {
    for_each = length(local.key_names) > 0 ? [true] : []

    content {
      sid       = "LaunchWithKeyPairs"
      actions   = ["ec2:CreateFleet", "ec2:RunInstances"]
      resources = [for name in local.key_names : "${local.arn.ec2}:key-pair/${name}"]
    }
  }

  # Tags are given at birth, and never changed.
  statement {
    sid     = "TagAtLaunch"
    actions = ["ec2:CreateTags"]
    resources = [
      "${local.arn.ec2}:fleet/*",
      "${local.arn.ec2}:instance/*",
      "${local.arn.ec2}:network-interface/*",
      "${local.arn.ec2}:volume/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateFleet", "RunInstances"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/stoker:deployment"
      values   = [var.environment]
    }
  }

  # EC2 reads the parameter that a template names for its image in the name of who launches.
  dynamic "statement" {
    for_each = length(local.image_parameter_arns) > 0 ? [true] : []

    content {
      sid       = "ImageParameters"
      actions   = ["ssm:GetParameters"]
      resources = local.image_parameter_arns
    }
  }

  # EC2 makes the volumes in the name of who launches.
  statement {
    sid = "VolumesKey"
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    resources = concat([local.kms_key_arn], var.image_kms_key_arns)

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.ec2]
    }
  }

  statement {
    sid       = "VolumesGrants"
    actions   = ["kms:CreateGrant"]
    resources = concat([local.kms_key_arn], var.image_kms_key_arns)

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.ec2]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }

  statement {
    sid       = "RunnersRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.runner.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.${local.suffix}"]
    }
  }

  statement {
    sid       = "WriteConfigurations"
    actions   = ["ssm:AddTagsToResource", "ssm:PutParameter"]
    resources = ["${local.arn.parameters}${local.parameters_path}/runners/*"]
  }

  statement {
    sid       = "ConfigurationsKey"
    actions   = ["kms:Encrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.kms_services.ssm]
    }
  }
}
