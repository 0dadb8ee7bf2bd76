# The queues and what feeds scale-up.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "the_queues" {
  command = plan

  assert {
    condition     = alltrue([for kind in ["intake", "act"] : aws_sqs_queue.this[kind].visibility_timeout_seconds == 6 * aws_lambda_function.this["scale-up"].timeout])
    error_message = "A message must be hidden for six of the time-outs of the Lambda that takes it."
  }

  assert {
    condition     = aws_sqs_queue.this["intake"].fifo_queue == null && aws_sqs_queue.this["act"].fifo_queue && aws_sqs_queue.this["act-dead-letters"].fifo_queue && aws_sqs_queue.this["dead-letters"].fifo_queue == null
    error_message = "The act queue and its dead letters are FIFO, the others are not."
  }

  assert {
    condition     = endswith(aws_sqs_queue.this["act"].name, ".fifo") && endswith(aws_sqs_queue.this["act-dead-letters"].name, ".fifo")
    error_message = "The name of a FIFO queue ends in .fifo."
  }

  assert {
    condition     = aws_sqs_queue.this["act"].deduplication_scope == "messageGroup" && aws_sqs_queue.this["act"].fifo_throughput_limit == "perMessageGroupId"
    error_message = "Scopes must not slow each other down."
  }

  assert {
    condition = alltrue([for mapping in [aws_lambda_event_source_mapping.intake, aws_lambda_event_source_mapping.act] :
    mapping.function_response_types == toset(["ReportBatchItemFailures"])])
    error_message = "Without ReportBatchItemFailures one bad message brings back its whole batch."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.act.batch_size <= 10 && aws_lambda_event_source_mapping.act.maximum_batching_window_in_seconds == null
    error_message = "A FIFO queue gives at most 10 messages, and knows no window."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.intake.batch_size == 10 && aws_lambda_event_source_mapping.intake.maximum_batching_window_in_seconds == 0
    error_message = "Jobs must not wait for a batch to gather."
  }

  assert {
    condition     = alltrue([for queue in values(aws_sqs_queue.this) : queue.kms_data_key_reuse_period_seconds == 300])
    error_message = "Every queue is encrypted with the key."
  }
}

run "made_with_them" {
  assert {
    condition     = alltrue([for queue in values(aws_sqs_queue.this) : queue.kms_master_key_id == aws_kms_key.main[0].arn])
    error_message = "Every queue is encrypted with the deployment's key."
  }

  assert {
    condition = alltrue([for kind, policy in aws_sqs_queue_policy.this : contains([for statement in flatten([jsondecode(policy.policy).Statement]) : jsonencode(statement)], jsonencode({
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.this[kind].arn
      Principal = { AWS = "*" }
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }))])
    error_message = "A queue takes requests without TLS."
  }

  assert {
    condition = [for statement in flatten([jsondecode(aws_sqs_queue_policy.this["intake"].policy).Statement]) : statement if statement.Effect == "Allow"] == [{
      Sid       = "EventsOfInstances"
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.this["intake"].arn
      Principal = { Service = "events.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = [for rule in values(aws_cloudwatch_event_rule.instances) : rule.arn] } }
    }]
    error_message = "The intake queue's own policy lets in others than the rules for EC2's events."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_policy.this["intake"].redrive_policy).maxReceiveCount == 20
    error_message = "SQS must be more patient than Stoker, which writes the reason."
  }

  assert {
    condition = (jsondecode(aws_sqs_queue_redrive_policy.this["intake"].redrive_policy).deadLetterTargetArn == aws_sqs_queue.this["dead-letters"].arn &&
    jsondecode(aws_sqs_queue_redrive_policy.this["act"].redrive_policy).deadLetterTargetArn == aws_sqs_queue.this["act-dead-letters"].arn)
    error_message = "Each queue's dead letters go to a queue of its own kind."
  }
}

run "limits_of_a_deployment" {
  command = plan

  variables {
    max_receives           = 30
    lambda_timeout_seconds = { scale-up = 120 }
    intake                 = { batch_size = 200, batching_window_seconds = 2, maximum_concurrency = 50 }
    act                    = { batch_size = 4, maximum_concurrency = 100 }
  }

  assert {
    condition     = aws_sqs_queue.this["intake"].visibility_timeout_seconds == 720 && aws_sqs_queue.this["act"].visibility_timeout_seconds == 720
    error_message = "The visibility time-out follows the Lambda's."
  }

  assert {
    condition     = local.most_receives == 60
    error_message = "maxReceiveCount follows max_receives."
  }

  assert {
    condition = (aws_lambda_event_source_mapping.intake.batch_size == 200 && aws_lambda_event_source_mapping.intake.maximum_batching_window_in_seconds == 2 &&
      aws_lambda_event_source_mapping.intake.scaling_config[0].maximum_concurrency == 50 && aws_lambda_event_source_mapping.act.batch_size == 4 &&
    aws_lambda_event_source_mapping.act.scaling_config[0].maximum_concurrency == 100)
    error_message = "What feeds scale-up can be set."
  }
}

run "new_jobs_are_not_held_back_for_ephemeral_runners" {
  command = plan

  assert {
    condition     = output.delay_seconds == 0 && output.edge_vars.DELAY_SECONDS == "0"
    error_message = "An idle ephemeral runner counts anyway."
  }
}

run "they_are_for_persistent_ones" {
  command = plan

  variables {
    runner_mode = "persistent"
  }

  assert {
    condition     = output.delay_seconds == 30 && output.edge_vars.DELAY_SECONDS == "30"
    error_message = "An idle persistent runner must have time to take a job."
  }
}
