# Who is told of what, and what comes by itself.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "alarms" {
  command = plan

  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(concat(
      flatten([for name in ["scale-up", "scale-down", "policy-admission", "syncer", "webhook"] : ["${name}-errors", "${name}-throttles"]]),
      ["intake-age", "act-age", "dead-letters", "act-dead-letters"],
      ["policy-fallbacks", "policy-alarms", "policies-refused", "admissions-failed", "messages-put-aside", "journal-failures", "ledger-rebuilt", "scopes-closed"],
      ["github-budget", "sync-failures", "offered-runner-age", "tick", "signing-key", "state-changes-not-delivered", "spot-interruptions-not-delivered", "api-errors"],
    ))
    error_message = "An alarm is missing, or new: ${join(", ", keys(aws_cloudwatch_metric_alarm.this))}"
  }

  assert {
    condition = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) :
    alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:alarms"]) && alarm.ok_actions == alarm.alarm_actions])
    error_message = "An alarm tells nobody."
  }

  # Stoker writes its metrics by Deployment.
  assert {
    condition = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) :
    alarm.namespace != "Stoker" || alarm.dimensions == tomap({ Deployment = "ci" })])
    error_message = "An alarm looks for a metric that nobody writes."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["tick"].treat_missing_data == "breaching"
    error_message = "That nothing is invoked is the alarm."
  }

  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data == "notBreaching" || name == "tick"])
    error_message = "Nothing to count is no alarm."
  }
}

run "alarms_that_are_not_wanted" {
  command = plan

  variables {
    disabled_alarms = ["policies-refused"]
    ingress         = ["cloudflare"]
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "policies-refused") && !contains(keys(aws_cloudwatch_metric_alarm.this), "webhook-errors")
    error_message = "An alarm that is not wanted, or is about nothing, is not made."
  }
}

run "schedules" {
  assert {
    condition = { for name, rule in aws_cloudwatch_event_rule.schedule : name => rule.schedule_expression } == {
      tick       = "rate(1 minute)"
      scale-down = "rate(5 minutes)"
      admission  = "rate(5 minutes)"
      sync       = "rate(1 hour)"
    }
    error_message = "A schedule is another."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.schedule["tick"].input) == { task = "tick" } && aws_cloudwatch_event_target.schedule["tick"].arn == aws_lambda_function.this["scale-up"].arn
    error_message = "The tick is scale-up's."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.schedule["admission"].input) == { task = "sweep" }
    error_message = "Admission is asked for a sweep."
  }

  assert {
    condition     = alltrue([for name, permission in aws_lambda_permission.schedule : permission.source_arn == aws_cloudwatch_event_rule.schedule[name].arn])
    error_message = "Only its own rule may invoke a Lambda."
  }
}

run "events_of_ec2" {
  assert {
    condition = toset(flatten([for rule in values(aws_cloudwatch_event_rule.instances) : jsondecode(rule.event_pattern).detail-type])) == toset([
      "EC2 Instance State-change Notification",
      "EC2 Spot Instance Interruption Warning",
    ])
    error_message = "Instances that end and spot instances that are taken back are told of."
  }

  assert {
    condition     = alltrue([for target in values(aws_cloudwatch_event_target.instances) : target.arn == aws_sqs_queue.this["intake"].arn && target.input == null && target.input_path == null])
    error_message = "EC2's events go to the intake queue as they are."
  }
}

run "uploads_start_admission" {
  assert {
    condition = (aws_s3_bucket_notification.policies.lambda_function[0].filter_prefix == "policies/" &&
      toset(aws_s3_bucket_notification.policies.lambda_function[0].events) == toset(["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]) &&
    aws_s3_bucket_notification.policies.lambda_function[0].lambda_function_arn == aws_lambda_function.this["policy-admission"].arn)
    error_message = "Uploads and deletions below policies/ start admission."
  }

  assert {
    condition     = aws_s3_object.default_policy[0].key == "policies/default/policy.wasm" && aws_s3_object.default_policy[0].bucket == aws_s3_bucket.this["policies"].id
    error_message = "The shipped policy is the first upload."
  }

  assert {
    condition     = aws_lambda_permission.uploads.source_arn == aws_s3_bucket.this["policies"].arn && aws_lambda_permission.uploads.source_account == "123456789012"
    error_message = "Only this account's bucket starts admission."
  }
}

run "the_dashboard" {
  assert {
    condition = alltrue([for metric in ["QueueWait", "PendingJobs", "RunnersLaunched", "RunnersRetired", "Failures", "DecisionTime", "PolicyFallbacks", "GitHubBudgetLeft",
    "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"] : strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, metric)])
    error_message = "The dashboard lacks a metric."
  }
}
