# The launch templates, and what instances are told.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "templates" {
  assert {
    condition = alltrue([for template in values(aws_launch_template.runner) : alltrue([
      template.metadata_options[0].http_tokens == "required",
      template.metadata_options[0].http_put_response_hop_limit == 1,
      template.metadata_options[0].instance_metadata_tags == "enabled",
    ])])
    error_message = "Instances take IMDSv2 alone, of one hop, and read their tags from it."
  }

  assert {
    condition = alltrue([for template in values(aws_launch_template.runner) :
    template.network_interfaces[0].associate_public_ip_address == "false" && template.network_interfaces[0].security_groups == toset([aws_security_group.runner.id])])
    error_message = "Instances have no public address, and the runners' security group."
  }

  assert {
    condition     = alltrue([for template in values(aws_launch_template.runner) : template.instance_initiated_shutdown_behavior == "terminate"])
    error_message = "An instance that shuts down is gone."
  }

  # scale-up may launch only what has the tag, and an instant fleet tags neither volumes nor network interfaces.
  assert {
    condition = alltrue([for template in values(aws_launch_template.runner) :
      toset([for one in template.tag_specifications : one.resource_type]) == toset(["instance", "volume", "network-interface"]) &&
    alltrue([for one in template.tag_specifications : one.tags["stoker:deployment"] == "ci"])])
    error_message = "The template tags instances, volumes and network interfaces."
  }

  assert {
    condition     = alltrue([for template in values(aws_launch_template.runner) : template.block_device_mappings[0].ebs[0].volume_type == "gp3"])
    error_message = "Volumes are gp3."
  }

  assert {
    condition = (aws_launch_template.runner["small"].image_id == "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" &&
    aws_launch_template.runner["arm"].image_id == data.aws_ami.class["arm"].id)
    error_message = "Images come from the preset's parameter, or by their filters."
  }

  assert {
    condition     = length(aws_security_group.runner.ingress) == 0 && length(aws_vpc_security_group_egress_rule.runner) == 2
    error_message = "Nothing comes in."
  }

  assert {
    condition = { for one in jsondecode(aws_lambda_function.this["scale-up"].environment[0].variables.RUNNER_CLASSES) : one.name => one }["small"] == {
      name            = "small"
      labels          = ["self-hosted", "linux", "x64"]
      launch_template = aws_launch_template.runner["small"].id
      instance_types  = ["c7i.large", "c7a.large"]
      subnets         = ["subnet-0123456789abcdef0"]
      maximum         = 10
      spot_price      = 0.035
      on_demand_price = 0.089
    }
    error_message = "RUNNER_CLASSES: ${aws_lambda_function.this["scale-up"].environment[0].variables.RUNNER_CLASSES}"
  }
}

run "images" {
  command = plan

  variables {
    runner_classes = {
      ubuntu = {
        labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        ami    = { preset = "ubuntu-24.04" }
      }
      ubuntu-arm = {
        labels = ["linux"], instance_types = ["c7g.large"], architecture = "arm64", maximum = 1, on_demand_price = 0.1
        ami    = { preset = "ubuntu-24.04" }
      }
      al2 = {
        labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        ami    = { preset = "amazon-linux-2" }
      }
      by-id = {
        labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        ami    = { id = "ami-0123456789abcdef0" }, root_device = "/dev/sda1", attributes = { gpu = true, memory = 16, team = "ml" }
      }
      by-parameter = {
        labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        ami    = { ssm_parameter = "/images/runner" }
      }
    }
  }

  assert {
    condition = { for name, template in aws_launch_template.runner : name => template.image_id } == {
      al2          = "resolve:ssm:/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2"
      by-id        = "ami-0123456789abcdef0"
      by-parameter = "resolve:ssm:/images/runner"
      ubuntu       = "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
      ubuntu-arm   = "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
    }
    error_message = jsonencode({ for name, template in aws_launch_template.runner : name => template.image_id })
  }

  assert {
    condition = { for name, template in aws_launch_template.runner : name => template.block_device_mappings[0].device_name } == {
      al2 = "/dev/xvda", by-id = "/dev/sda1", by-parameter = "/dev/xvda", ubuntu = "/dev/sda1", ubuntu-arm = "/dev/sda1"
    }
    error_message = "The root volume is the image's root device."
  }

  assert {
    condition = toset(local.image_parameter_arns) == toset([
      "arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
      "arn:aws:ssm:us-east-1::parameter/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
      "arn:aws:ssm:us-east-1::parameter/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
      "arn:aws:ssm:us-east-1:123456789012:parameter/images/runner",
    ])
    error_message = "scale-up may read the parameters of images: ${jsonencode(local.image_parameter_arns)}"
  }

  assert {
    condition     = aws_lambda_function.this["syncer"].timeout == 900 && toset(local.runner_platforms) == toset(["linux-x64", "linux-arm64"])
    error_message = "The syncer mirrors what the classes need."
  }
}

run "attributes_keep_their_kinds" {
  variables {
    runner_classes = {
      small = {
        labels     = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        attributes = { gpu = true, memory = 16, team = "ml" }
      }
    }
  }

  assert {
    condition     = jsondecode(aws_lambda_function.this["scale-up"].environment[0].variables.RUNNER_CLASSES)[0].attributes == { gpu = true, memory = 16, team = "ml" }
    error_message = "Truths and numbers stay what they are."
  }
}

run "user_data_settings" {
  command = plan

  variables {
    runner_disable_update = true
    runner_logs           = false
    boot_time_seconds     = 900
    runner_classes = {
      small = {
        labels      = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        run_as      = "ci"
        pre_install = "echo it's here\n"
      }
    }
  }

  assert {
    condition = local.user_data_settings["small"] == {
      STOKER_DEPLOYMENT          = "ci"
      STOKER_PREFIX              = "stoker"
      STOKER_CLASS               = "small"
      STOKER_REGION              = "us-east-1"
      STOKER_DISTRIBUTION_BUCKET = "stoker-ci-distribution-123456789012"
      STOKER_DISTRIBUTION_PREFIX = ""
      STOKER_GITHUB_API_URL      = ""
      STOKER_BOOT_TIME_SECONDS   = "900"
      STOKER_LOG_GROUP           = "/stoker/ci/runner"
      STOKER_LOGS                = "false"
      STOKER_RUN_AS              = "ci"
      STOKER_DISABLE_UPDATE      = "true"
    }
    error_message = jsonencode(local.user_data_settings["small"])
  }

  assert {
    condition = (startswith(local.user_data_texts["small"], "#!/bin/sh\nSTOKER_BOOT_TIME_SECONDS='900'\n") &&
      strcontains(local.user_data_texts["small"], "\nstoker_script='echo it'\\''s here\n'\nSTOKER_PRE_INSTALL=$(printf %s \"$stoker_script\" | base64 -w0)\n") &&
    strcontains(local.user_data_texts["small"], "\nSTOKER_POST_INSTALL=''\n"))
    error_message = local.user_data_texts["small"]
  }

  assert {
    condition     = alltrue([for script in ["STOKER_HOOK_JOB_STARTED", "STOKER_HOOK_JOB_COMPLETED", "STOKER_PRE_INSTALL", "STOKER_POST_INSTALL", "STOKER_START_RUNNER"] : strcontains(local.user_data_texts["small"], "\n${script}=")])
    error_message = "Every setting is set, empty or not."
  }

  assert {
    condition     = startswith(local.user_data["small"], "H4sI")
    error_message = "User data is compressed."
  }
}

run "user_data_that_is_too_large_is_refused" {
  command = plan

  variables {
    runner_classes = {
      small = {
        labels       = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1
        post_install = join("", [for n in range(1000) : sha256("${n}")])
      }
    }
  }

  expect_failures = [aws_launch_template.runner]
}

run "two_subnets_in_one_zone_are_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-0000000000000000a", "subnet-0000000000000000b"]
  }

  expect_failures = [aws_launch_template.runner]
}
