# What people are to be told of. Each alarm says what it means; docs/operations.md says what to do.

locals {
  # Stoker's own counters: one is too many. They are written only when there is something to count.
  counted_alarms = {
    policy-alarms      = { metric = "PolicyAlarms", about = "What is active is not what was signed, is older than what has decided, is damaged, or is for another engine" }
    policy-fallbacks   = { metric = "PolicyFallbacks", about = "Another policy decided than the one that was meant to" }
    policies-refused   = { metric = "PoliciesRefused", about = "An uploaded policy was refused: its verdict says why" }
    admissions-failed  = { metric = "AdmissionsFailed", about = "Nothing could be judged of what was uploaded" }
    messages-put-aside = { metric = "MessagesPutAside", about = "A message could not be handled and is in the dead-letter queue, with its reason" }
    journal-failures   = { metric = "JournalFailures", about = "A record could not be written to the journal: decisions go on without it" }
    ledger-rebuilt     = { metric = "RunnersRebuilt", about = "The ledger lacked runners that there are: it was lost" }
    scopes-closed      = { metric = "ScopesClosed", about = "GitHub does not let the App at an organisation or repository any more" }
  }

  stoker_alarms = {
    for name, alarm in local.counted_alarms : name => {
      about      = alarm.about
      namespace  = "Stoker"
      metric     = alarm.metric
      dimensions = { Deployment = var.environment }
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = 300
      periods    = 1
      missing    = "notBreaching"
    }
  }

  function_alarms = merge([
    for name in keys(local.functions) : {
      for metric in ["Errors", "Throttles"] : "${name}-${lower(metric)}" => {
        about      = metric == "Errors" ? "The Lambda ${name} fails, or does not end in time: its log says why" : "The Lambda ${name} is not let run as often as it should: raise the account's concurrent executions"
        namespace  = "AWS/Lambda"
        metric     = metric
        dimensions = { FunctionName = "${local.name}-${name}" }
        statistic  = "Sum"
        comparison = "GreaterThanThreshold"
        threshold  = 0
        # One that passes by itself wakes up nobody. The syncer runs once an hour, and GitHub may let one run down.
        period  = name == "syncer" ? 3600 : 300
        periods = name == "syncer" ? 3 : 2
        missing = "notBreaching"
      }
    }
  ]...)

  queue_alarms = merge(
    {
      for kind in ["intake", "act"] : "${kind}-age" => {
        about      = "A message of the queue ${kind} waits for long: jobs get no runners meanwhile"
        namespace  = "AWS/SQS"
        metric     = "ApproximateAgeOfOldestMessage"
        dimensions = { QueueName = local.queue_names[kind] }
        statistic  = "Maximum"
        comparison = "GreaterThanThreshold"
        threshold  = var.alarm_queue_age_seconds
        period     = 60
        periods    = 5
        missing    = "notBreaching"
      }
    },
    {
      for kind in ["dead-letters", "act-dead-letters"] : kind => {
        about      = "There are messages in ${local.queue_names[kind]} that could not be handled. Each is sent once more by itself; what stays needs people"
        namespace  = "AWS/SQS"
        metric     = "ApproximateNumberOfMessagesVisible"
        dimensions = { QueueName = local.queue_names[kind] }
        statistic  = "Maximum"
        comparison = "GreaterThanThreshold"
        threshold  = 0
        period     = 300
        # Longer than the ten minutes after which a message is sent once more.
        periods = kind == "dead-letters" ? 5 : 1
        missing = "notBreaching"
      }
    },
  )

  sync_alarms = {
    sync-failures = {
      about      = "The runner's releases could not be mirrored, several times in a row"
      namespace  = "Stoker"
      metric     = "SyncFailures"
      dimensions = { Deployment = var.environment }
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = 3600
      periods    = 3
      missing    = "notBreaching"
    }
    offered-runner-age = {
      about      = "The runner that instances get is old: GitHub gives a runner no jobs when a newer release has been out for 30 days"
      namespace  = "Stoker"
      metric     = "OfferedRunnerAge"
      dimensions = { Deployment = var.environment }
      statistic  = "Maximum"
      comparison = "GreaterThanThreshold"
      threshold  = 60
      period     = 3600
      periods    = 1
      missing    = "notBreaching"
    }
  }

  other_alarms = {
    github-budget = {
      about      = "GitHub's points of the minute are almost used up: launches and removals wait"
      namespace  = "Stoker"
      metric     = "GitHubBudgetLeft"
      dimensions = { Deployment = var.environment }
      statistic  = "Minimum"
      comparison = "LessThanThreshold"
      threshold  = var.alarm_github_budget_points
      period     = 60
      periods    = 5
      missing    = "notBreaching"
    }
    tick = {
      about      = "scale-up is not invoked: its schedule does not run, so nothing that is due is acted on"
      namespace  = "AWS/Lambda"
      metric     = "Invocations"
      dimensions = { FunctionName = "${local.name}-scale-up" }
      statistic  = "Sum"
      comparison = "LessThanThreshold"
      threshold  = 1
      period     = 300
      periods    = 2
      missing    = "breaching"
    }
    signing-key = {
      about      = "Somebody changed who may sign for scaling policies, or takes the signing key away: find out who, in CloudTrail"
      namespace  = "AWS/Events"
      metric     = "TriggeredRules"
      dimensions = { RuleName = aws_cloudwatch_event_rule.signing.name }
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = 60
      periods    = 1
      missing    = "notBreaching"
    }
  }

  event_alarms = {
    for kind, rule in aws_cloudwatch_event_rule.instances : "${kind}-not-delivered" => {
      about      = "EC2's events do not reach the intake queue: its policy or its key's does not let EventBridge"
      namespace  = "AWS/Events"
      metric     = "FailedInvocations"
      dimensions = { RuleName = rule.name }
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = 300
      periods    = 1
      missing    = "notBreaching"
    }
  }

  api_alarms = {
    for name in ["api-errors"] : name => {
      about      = "Webhooks are answered with an error: GitHub does not deliver them again by itself"
      namespace  = "AWS/ApiGateway"
      metric     = "5xx"
      dimensions = { ApiId = aws_apigatewayv2_api.webhook[0].id }
      statistic  = "Sum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = 300
      periods    = 2
      missing    = "notBreaching"
    } if local.has_webhook
  }

  alarms = merge(
    local.stoker_alarms,
    local.function_alarms,
    local.queue_alarms,
    local.sync_alarms,
    local.other_alarms,
    local.event_alarms,
    local.api_alarms,
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if !contains(var.disabled_alarms, name) }

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}
