# What is refused, and where: each of these would fail later, or be unsafe.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "an_environment_with_capitals" {
  command = plan

  variables {
    environment = "Prod"
  }

  expect_failures = [var.environment]
}

run "an_environment_of_21_letters" {
  command = plan

  variables {
    environment = "aaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.environment]
}

run "a_prefix_that_is_too_long" {
  command = plan

  variables {
    prefix = "aaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.prefix]
}

run "a_tag_that_instances_cannot_read" {
  command = plan

  variables {
    tags = { "a key" = "x" }
  }

  expect_failures = [var.tags]
}

run "stoker_s_own_tag" {
  command = plan

  variables {
    tags = { "stoker:deployment" = "other" }
  }

  expect_failures = [var.tags]
}

run "an_unknown_ingress" {
  command = plan

  variables {
    ingress = ["carrier-pigeon"]
  }

  expect_failures = [var.ingress]
}

run "no_ingress" {
  command = plan

  variables {
    ingress = []
  }

  expect_failures = [var.ingress]
}

run "no_subnets" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "an_alias_as_key" {
  command = plan

  variables {
    kms_key = { arn = "arn:aws:kms:us-east-1:123456789012:alias/x" }
  }

  expect_failures = [var.kms_key]
}

run "a_path_without_slashes" {
  command = plan

  variables {
    role_path = "ci"
  }

  expect_failures = [var.role_path]
}

run "a_provider_without_claims" {
  command = plan

  variables {
    edge_role = { oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/x" }
  }

  expect_failures = [var.edge_role]
}

run "everybody_as_edge" {
  command = plan

  variables {
    edge_role = { principals = ["*"] }
  }

  expect_failures = [var.edge_role]
}

run "values_as_parameter_names" {
  command = plan

  variables {
    github_app_parameters = { private_key = "-----BEGIN RSA PRIVATE KEY-----" }
  }

  expect_failures = [var.github_app_parameters]
}

run "plain_http" {
  command = plan

  variables {
    github_api_url = "http://github.example.com"
  }

  expect_failures = [var.github_api_url]
}

run "an_unknown_level" {
  command = plan

  variables {
    runner_level = "enterprise"
  }

  expect_failures = [var.runner_level]
}

run "an_unknown_mode" {
  command = plan

  variables {
    runner_mode = "jit"
  }

  expect_failures = [var.runner_mode]
}

run "an_odd_allow_list" {
  command = plan

  variables {
    repository_allow_list = ["a/b/c"]
  }

  expect_failures = [var.repository_allow_list]
}

run "a_delay_that_sqs_does_not_know" {
  command = plan

  variables {
    delay_seconds = 901
  }

  expect_failures = [var.delay_seconds]
}

run "too_many_runners" {
  command = plan

  variables {
    max_runners = 10001
  }

  expect_failures = [var.max_runners]
}

run "no_launches" {
  command = plan

  variables {
    max_launches_per_decision = 0
  }

  expect_failures = [var.max_launches_per_decision]
}

run "negative_dollars" {
  command = plan

  variables {
    max_spend_per_day = -1
  }

  expect_failures = [var.max_spend_per_day]
}

run "a_boot_of_two_hours" {
  command = plan

  variables {
    boot_time_seconds = 7200
  }

  expect_failures = [var.boot_time_seconds]
}

run "an_unknown_policy_mode" {
  command = plan

  variables {
    policy_mode = "off"
  }

  expect_failures = [var.policy_mode]
}

run "a_policy_of_30_megabytes" {
  command = plan

  variables {
    policy_max_bytes = 31457280
  }

  expect_failures = [var.policy_max_bytes]
}

run "three_signing_keys" {
  command = plan

  variables {
    policy_signing_keys = ["a", "b", "c"]
  }

  expect_failures = [var.policy_signing_keys]
}

run "a_signing_key_that_is_not_there" {
  command = plan

  variables {
    policy_signing_key = "second"
  }

  expect_failures = [var.policy_signing_key]
}

run "a_journal_of_a_day" {
  command = plan

  variables {
    journal_retention_days = 1
  }

  expect_failures = [var.journal_retention_days]
}
