# What is refused, and where: each of these would fail later, or be unsafe.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "no_classes" {
  command = plan

  variables {
    runner_classes = {}
  }

  expect_failures = [var.runner_classes]
}

run "a_class_without_labels" {
  command = plan

  variables {
    runner_classes = { small = { labels = [], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1 } }
  }

  expect_failures = [var.runner_classes]
}

run "a_class_without_a_price" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7i.large"], maximum = 1 } }
  }

  expect_failures = [var.runner_classes]
}

run "a_class_without_types" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = [], maximum = 1, on_demand_price = 0.1 } }
  }

  expect_failures = [var.runner_classes]
}

run "a_type_of_another_architecture" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7g.large"], maximum = 1, on_demand_price = 0.1 } }
  }

  expect_failures = [var.runner_classes]
}

run "an_x86_type_for_arm" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1, architecture = "arm64" } }
  }

  expect_failures = [var.runner_classes]
}

run "two_images" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1, ami = { preset = "ubuntu-24.04", id = "ami-1" } } }
  }

  expect_failures = [var.runner_classes]
}

run "images_of_anybody" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1, ami = { filters = { name = ["x"] } } } }
  }

  expect_failures = [var.runner_classes]
}

run "an_unknown_preset" {
  command = plan

  variables {
    ami = { preset = "windows" }
  }

  expect_failures = [var.ami]
}

run "a_runner_as_root" {
  command = plan

  variables {
    runner_classes = { small = { labels = ["linux"], instance_types = ["c7i.large"], maximum = 1, on_demand_price = 0.1, run_as = "root" } }
  }

  expect_failures = [var.runner_classes]
}

run "a_policy_that_reads_every_parameter" {
  command = plan

  variables {
    runner_managed_policy_arns = ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]
  }

  expect_failures = [var.runner_managed_policy_arns]
}

run "a_decider_on_arm" {
  command = plan

  variables {
    lambda_architectures = { scale-up = "arm64" }
  }

  expect_failures = [var.lambda_architectures]
}

run "admission_on_arm" {
  command = plan

  variables {
    lambda_architectures = { policy-admission = "arm64" }
  }

  expect_failures = [var.lambda_architectures]
}

run "a_syncer_on_arm" {
  command = plan

  variables {
    lambda_architectures = { syncer = "arm64" }
  }

  expect_failures = [var.lambda_architectures]
}

run "a_scale_down_in_a_hurry" {
  command = plan

  variables {
    lambda_timeout_seconds = { scale-down = 60 }
  }

  expect_failures = [var.lambda_timeout_seconds]
}

run "code_of_an_unknown_lambda" {
  command = plan

  variables {
    lambda_code = { pool = { bucket = "b", key = "k", version = "v" } }
  }

  expect_failures = [var.lambda_code]
}

run "a_large_batch_without_a_window" {
  command = plan

  variables {
    intake = { batch_size = 100 }
  }

  expect_failures = [var.intake]
}

run "one_invocation_at_once" {
  command = plan

  variables {
    intake = { maximum_concurrency = 1 }
  }

  expect_failures = [var.intake]
}

run "eleven_of_a_fifo_queue" {
  command = plan

  variables {
    act = { batch_size = 11 }
  }

  expect_failures = [var.act]
}

run "receives_that_sqs_cannot_double" {
  command = plan

  variables {
    max_receives = 600
  }

  expect_failures = [var.max_receives]
}

run "a_schedule_in_words" {
  command = plan

  variables {
    scale_down_schedule = "every minute"
  }

  expect_failures = [var.scale_down_schedule]
}

run "a_retention_that_logs_do_not_know" {
  command = plan

  variables {
    log_retention_days = 100
  }

  expect_failures = [var.log_retention_days]
}

run "a_topic_that_is_none" {
  command = plan

  variables {
    alarm_topic_arns = ["someone@example.com"]
  }

  expect_failures = [var.alarm_topic_arns]
}

run "a_version_in_words" {
  command = plan

  variables {
    minimum_runner_version = "latest"
  }

  expect_failures = [var.minimum_runner_version]
}

run "an_unknown_lambda_in_a_vpc" {
  command = plan

  variables {
    lambda_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], functions = ["pool"] }
  }

  expect_failures = [var.lambda_vpc]
}
