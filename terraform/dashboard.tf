# One page that says how it goes.

locals {
  # Each widget is a title and its metrics; the rest is the same for all. Search expressions are for metrics
  # whose dimension has values that are known only when they come.
  dashboard_widgets = [
    {
      title = "How long jobs waited for a runner (s)"
      stat  = "p50"
      metrics = [
        ["Stoker", "QueueWait", "Deployment", var.environment, { stat = "p50", label = "half of them" }],
        ["Stoker", "QueueWait", "Deployment", var.environment, { stat = "p95", label = "95 %" }],
      ]
    },
    {
      title = "Jobs that wait, by reason (each decision counts its own)"
      stat  = "Maximum"
      metrics = [
        [{ expression = "SEARCH('{Stoker,Deployment,Reason} MetricName=\"PendingJobs\" Deployment=\"${var.environment}\"', 'Maximum', 60)" }],
      ]
    },
    {
      title = "Runners launched, retired, taken away"
      stat  = "Sum"
      metrics = [
        for metric in ["RunnersLaunched", "RunnersRetired", "RunnersTakenAway"] : ["Stoker", metric, "Deployment", var.environment]
      ]
    },
    {
      title = "Failures, by cause"
      stat  = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Stoker,Deployment,Cause} MetricName=\"Failures\" Deployment=\"${var.environment}\"', 'Sum', 60)" }],
      ]
    },
    {
      title = "Age of the oldest message (s)"
      stat  = "Maximum"
      metrics = [
        for kind in ["intake", "act"] : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queue_names[kind], { label = kind }]
      ]
    },
    {
      title = "Messages in the queues"
      stat  = "Maximum"
      metrics = [
        for kind in ["intake", "act", "dead-letters", "act-dead-letters"] :
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_names[kind], { label = kind }]
      ]
    },
    {
      title = "How long policies decide (ms)"
      stat  = "p95"
      metrics = [
        [{ expression = "SEARCH('{Stoker,Deployment,Interface} MetricName=\"DecisionTime\" Deployment=\"${var.environment}\"', 'p95', 60)" }],
      ]
    },
    {
      title = "Policies: fallbacks, alarms, refused uploads"
      stat  = "Sum"
      metrics = [
        for metric in ["PolicyFallbacks", "PolicyAlarms", "PoliciesRefused", "PoliciesPublished"] : ["Stoker", metric, "Deployment", var.environment]
      ]
    },
    {
      title   = "GitHub's points left in the minute"
      stat    = "Minimum"
      metrics = [["Stoker", "GitHubBudgetLeft", "Deployment", var.environment]]
    },
    {
      title = "Age of the runner that instances get (days), and runs of the syncer that failed"
      stat  = "Maximum"
      metrics = [
        for metric in ["OfferedRunnerAge", "SyncFailures"] : ["Stoker", metric, "Deployment", var.environment]
      ]
    },
    {
      title = "What guardrails took away, by rule"
      stat  = "Sum"
      metrics = [
        [{ expression = "SEARCH('{Stoker,Deployment,Rule} MetricName=\"GuardrailEdits\" Deployment=\"${var.environment}\"', 'Sum', 60)" }],
      ]
    },
    {
      title = "What the tick made good"
      stat  = "Sum"
      metrics = [
        for metric in ["WebhooksRedelivered", "JobsWithoutWebhook", "MessagesRedriven"] : ["Stoker", metric, "Deployment", var.environment]
      ]
    },
    {
      title   = "Errors of the Lambdas"
      stat    = "Sum"
      metrics = [for name in keys(local.functions) : ["AWS/Lambda", "Errors", "FunctionName", "${local.name}-${name}", { label = name }]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = local.name

  dashboard_body = jsonencode({
    widgets = [
      for place, widget in local.dashboard_widgets : {
        type   = "metric"
        x      = 12 * (place % 2)
        y      = 6 * floor(place / 2)
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          view    = "timeSeries"
          stacked = false
          stat    = widget.stat
          period  = 60
          metrics = widget.metrics
          yAxis   = { left = { min = 0 } }
        }
      }
    ]
  })
}
