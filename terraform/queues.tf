# The intake queue (events: GitHub's by the edge, EC2's by EventBridge), the act queue (FIFO: one act for one scope at
# a time), and where messages go that can't be handled. Stoker puts them into dead-letters itself, with the reason;
# SQS's own limit is behind that, for when Stoker can't.

locals {
  queues = {
    intake           = { fifo = false }
    act              = { fifo = true }
    dead-letters     = { fifo = false }
    act-dead-letters = { fifo = true }
  }

  queue_names = { for kind, queue in local.queues : kind => "${local.name}-${kind}${queue.fifo ? ".fifo" : ""}" }

  # Known before the queues are, for the key's policy and the queues' own.
  queue_arns = { for kind, name in local.queue_names : kind => "arn:${local.partition}:sqs:${local.region}:${local.account}:${name}" }

  # AWS's advice for queues that feed a Lambda: six time-outs, so that a batch that is throttled and tried again is
  # not delivered a second time meanwhile.
  visibility_seconds = 6 * local.functions["scale-up"].timeout

  most_receives = 2 * coalesce(var.max_receives, 10)
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                              = local.queue_names[each.key]
  fifo_queue                        = each.value.fifo ? true : null
  deduplication_scope               = each.value.fifo ? "messageGroup" : null
  fifo_throughput_limit             = each.value.fifo ? "perMessageGroupId" : null
  visibility_timeout_seconds        = contains(["intake", "act"], each.key) ? local.visibility_seconds : 60
  message_retention_seconds         = contains(["intake", "act"], each.key) ? var.message_retention_seconds : 1209600
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = 300
  tags                              = local.tags
}

# Apart from the queues, which could not name each other otherwise.
resource "aws_sqs_queue_redrive_policy" "this" {
  for_each = { intake = "dead-letters", act = "act-dead-letters" }

  queue_url = aws_sqs_queue.this[each.key].url
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.this[each.value].arn
    maxReceiveCount     = local.most_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "this" {
  for_each = { dead-letters = "intake", act-dead-letters = "act" }

  queue_url = aws_sqs_queue.this[each.key].url
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.value].arn]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].url
  policy    = data.aws_iam_policy_document.queue[each.key].json
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queues

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.queue_arns[each.key]]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "intake" ? [true] : []

    content {
      sid       = "EventsOfInstances"
      actions   = ["sqs:SendMessage"]
      resources = [local.queue_arns[each.key]]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [for rule in values(aws_cloudwatch_event_rule.instances) : rule.arn]
      }
    }
  }
}

resource "aws_lambda_event_source_mapping" "intake" {
  event_source_arn                   = aws_sqs_queue.this["intake"].arn
  function_name                      = aws_lambda_function.this["scale-up"].arn
  batch_size                         = var.intake.batch_size
  maximum_batching_window_in_seconds = var.intake.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = local.tags

  scaling_config {
    maximum_concurrency = var.intake.maximum_concurrency
  }
}

# Without a batching window: Lambda takes none for FIFO queues.
resource "aws_lambda_event_source_mapping" "act" {
  event_source_arn        = aws_sqs_queue.this["act"].arn
  function_name           = aws_lambda_function.this["scale-up"].arn
  batch_size              = var.act.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.tags

  scaling_config {
    maximum_concurrency = var.act.maximum_concurrency
  }
}
