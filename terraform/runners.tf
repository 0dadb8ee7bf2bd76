# The runners' launch templates, one for each class, and their network.

locals {
  # By preset: the public SSM parameter of each architecture's newest image, and its root device.
  ami_presets = {
    amazon-linux-2023 = {
      root_device = "/dev/xvda"
      parameters = {
        x64   = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
        arm64 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
      }
    }
    amazon-linux-2 = {
      root_device = "/dev/xvda"
      parameters = {
        x64   = "/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2"
        arm64 = "/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-arm64-gp2"
      }
    }
    "ubuntu-24.04" = {
      root_device = "/dev/sda1"
      parameters = {
        x64   = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
        arm64 = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
      }
    }
  }

  class_amis = { for name, class in var.runner_classes : name => class.ami == null ? var.ami : class.ami }

  class_image_parameters = {
    for name, ami in local.class_amis : name =>
    ami.preset != null ? local.ami_presets[ami.preset].parameters[var.runner_classes[name].architecture] : ami.ssm_parameter
  }

  # A parameter is named in the template and read by EC2 at each launch, so that a new image needs no apply.
  class_images = {
    for name, ami in local.class_amis : name =>
    local.class_image_parameters[name] != null ? "resolve:ssm:${local.class_image_parameters[name]}" :
    ami.id != null ? ami.id : data.aws_ami.class[name].id
  }

  class_root_devices = {
    for name, ami in local.class_amis : name => coalesce(
      var.runner_classes[name].root_device,
      ami.preset != null ? local.ami_presets[ami.preset].root_device : null,
      try(data.aws_ami.class[name].root_device_name, null),
      "/dev/xvda",
    )
  }

  # Parameters of AWS's own have no account in their ARN.
  image_parameter_arns = distinct([
    for parameter in values(local.class_image_parameters) : startswith(parameter, "/aws/service/") ?
    "arn:${local.partition}:ssm:${local.region}::parameter${parameter}" :
    "${local.arn.parameters}/${trimprefix(parameter, "/")}"
    if parameter != null
  ])

  class_subnet_ids = { for name, class in var.runner_classes : name => class.subnet_ids == null ? var.subnet_ids : class.subnet_ids }
  all_subnet_ids   = distinct(flatten(values(local.class_subnet_ids)))

  class_security_group_ids = {
    for name, class in var.runner_classes : name => concat([aws_security_group.runner.id], var.runner_security_group_ids, class.security_group_ids)
  }
  all_security_group_ids = distinct(flatten(values(local.class_security_group_ids)))

  key_names = distinct([for class in values(var.runner_classes) : class.key_name if class.key_name != null])

  runner_platforms = coalesce(var.runner_platforms, distinct([for class in values(var.runner_classes) : "linux-${class.architecture}"]))

  # RUNNER_CLASSES: without what is not set, since a Lambda's environment is small. Attributes are given as texts;
  # what reads as a truth or a number is one.
  runner_classes_json = jsonencode([
    for name, class in var.runner_classes : {
      for setting, value in {
        name            = name
        labels          = class.labels
        launch_template = aws_launch_template.runner[name].id
        instance_types  = class.instance_types
        subnets         = local.class_subnet_ids[name]
        maximum         = class.maximum
        spot_price      = class.spot_price
        on_demand_price = class.on_demand_price
        attributes      = length(class.attributes) == 0 ? null : { for key, value in class.attributes : key => try(tobool(value), tonumber(value), value) }
      } : setting => value if value != null
    }
  ])
}

data "aws_ami" "class" {
  for_each = { for name, ami in local.class_amis : name => ami if length(ami.filters) > 0 }

  owners      = each.value.owners
  most_recent = true

  dynamic "filter" {
    for_each = each.value.filters

    content {
      name   = filter.key
      values = filter.value
    }
  }

  dynamic "filter" {
    for_each = contains(keys(each.value.filters), "architecture") ? [] : [true]

    content {
      name   = "architecture"
      values = [var.runner_classes[each.key].architecture == "arm64" ? "arm64" : "x86_64"]
    }
  }
}

# By position: the ids may be known only when the subnets have been made.
data "aws_subnet" "class" {
  count = sum([for ids in values(local.class_subnet_ids) : length(ids)])

  id = flatten(values(local.class_subnet_ids))[count.index]
}

check "subnets_are_of_the_vpc" {
  assert {
    condition     = alltrue([for subnet in data.aws_subnet.class : subnet.vpc_id == var.vpc_id])
    error_message = "A subnet is in another VPC than vpc_id, where the runners' security group is: EC2 launches nothing there."
  }
}

resource "aws_launch_template" "runner" {
  for_each = var.runner_classes

  name                                 = "${local.name}-${each.key}"
  description                          = "Stoker ${var.environment}: runners of the class ${each.key}"
  update_default_version               = true
  image_id                             = local.class_images[each.key]
  key_name                             = each.value.key_name
  instance_initiated_shutdown_behavior = "terminate"
  user_data                            = local.user_data[each.key]
  tags                                 = local.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.runner.arn
  }

  # One hop: containers do not reach it, and with it the instance's role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  monitoring {
    enabled = var.runner_detailed_monitoring
  }

  block_device_mappings {
    device_name = local.class_root_devices[each.key]

    ebs {
      volume_type           = each.value.volume_type
      volume_size           = each.value.volume_size
      iops                  = each.value.volume_iops
      throughput            = each.value.volume_throughput
      encrypted             = true
      kms_key_id            = local.kms_key_arn
      delete_on_termination = true
    }
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = each.value.public_address
    delete_on_termination       = true
    security_groups             = local.class_security_group_ids[each.key]
  }

  # Instances get the tags of their launch besides (stoker:scope, stoker:intent, stoker:class, Name). Volumes and
  # network interfaces get none there, and scale-up may launch nothing without the deployment's.
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = local.tags
    }
  }

  lifecycle {
    precondition {
      # EC2 counts what the base64 holds.
      condition     = length(local.user_data[each.key]) <= 4 * ceil(16384 / 3)
      error_message = "runner_classes: the user data of ${each.key} is larger than the 16 KB that EC2 takes, compressed. Shorten its scripts, or put them into the image."
    }

    precondition {
      condition = length(distinct([for subnet in data.aws_subnet.class : subnet.availability_zone_id
      if contains(local.class_subnet_ids[each.key], subnet.id)])) == length(distinct(local.class_subnet_ids[each.key]))
      error_message = "runner_classes: two subnets of ${each.key} are in one availability zone. EC2 refuses such fleets: give it one in each."
    }
  }
}

resource "aws_security_group" "runner" {
  name        = "${local.name}-runner"
  description = "Stoker ${var.environment}: runners. Nothing comes in."
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-runner" })
}

resource "aws_vpc_security_group_egress_rule" "runner" {
  for_each = toset(var.runner_egress_cidrs)

  security_group_id = aws_security_group.runner.id
  description       = "Out to ${each.key}"
  ip_protocol       = "-1"
  cidr_ipv4         = strcontains(each.key, ":") ? null : each.key
  cidr_ipv6         = strcontains(each.key, ":") ? each.key : null
  tags              = local.tags
}
