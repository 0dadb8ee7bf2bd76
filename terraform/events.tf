# What comes by itself: the schedules, and EC2's events.

locals {
  schedules = {
    tick       = { function = "scale-up", when = "rate(1 minute)", input = { task = "tick" }, about = "acts on what is due, and reconciles with EC2 and GitHub" }
    scale-down = { function = "scale-down", when = var.scale_down_schedule, input = {}, about = "retires runners that nobody needs" }
    admission  = { function = "policy-admission", when = var.admission_schedule, input = { task = "sweep" }, about = "looks at all uploaded policies again" }
    sync       = { function = "syncer", when = var.sync_schedule, input = {}, about = "looks for a newer release of the runner" }
  }

  # EC2 tells of all instances of the account here; those of others are dropped when they are folded.
  instance_events = {
    state-changes      = "EC2 Instance State-change Notification"
    spot-interruptions = "EC2 Spot Instance Interruption Warning"
  }
}

resource "aws_cloudwatch_event_rule" "schedule" {
  for_each = local.schedules

  name                = "${local.name}-${each.key}"
  description         = "Stoker ${var.environment}: ${each.value.about}"
  schedule_expression = each.value.when
  tags                = local.tags
}

resource "aws_cloudwatch_event_target" "schedule" {
  for_each = local.schedules

  rule  = aws_cloudwatch_event_rule.schedule[each.key].name
  arn   = aws_lambda_function.this[each.value.function].arn
  input = jsonencode(each.value.input)

  # Nobody is to be asked twice for what is asked for again soon.
  retry_policy {
    maximum_retry_attempts       = 2
    maximum_event_age_in_seconds = 60
  }
}

resource "aws_lambda_permission" "schedule" {
  for_each = local.schedules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.schedule[each.key].arn
}

resource "aws_cloudwatch_event_rule" "instances" {
  for_each = local.instance_events

  name        = "${local.name}-${each.key}"
  description = "Stoker ${var.environment}: what happens to instances, for the intake queue"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.ec2"]
    detail-type = [each.value]
  })
}

resource "aws_cloudwatch_event_target" "instances" {
  for_each = local.instance_events

  rule = aws_cloudwatch_event_rule.instances[each.key].name
  arn  = aws_sqs_queue.this["intake"].arn
}
