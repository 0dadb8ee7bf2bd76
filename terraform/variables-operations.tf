# What operators watch: logs, alarms and the dashboard.

variable "log_retention_days" {
  description = "For how many days logs are kept: a number that CloudWatch Logs knows."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms tell. The topics' own policies have to let CloudWatch publish and, for the alarm on the signing key, EventBridge. Without one, alarms only show."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.alarm_topic_arns) <= 5 && alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:", arn))])
    error_message = "alarm_topic_arns: give at most five ARNs of SNS topics: an alarm has no more actions, and a rule no more targets."
  }
}

variable "alarm_queue_age_seconds" {
  description = "How old the oldest message of the intake or the act queue may be before it is an alarm."
  type        = number
  default     = 600
  nullable    = false
}

variable "alarm_github_budget_points" {
  description = "At how many points left of GitHub's minute, five minutes long, it is an alarm: launches then wait for GitHub."
  type        = number
  default     = 100
  nullable    = false
}

variable "disabled_alarms" {
  description = "Alarms that are not wanted, by their name without PREFIX-ENVIRONMENT- (output alarm_names)."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "dashboard" {
  description = "Whether to make the CloudWatch dashboard."
  type        = bool
  default     = true
  nullable    = false
}

variable "access_log_bucket" {
  description = "An S3 bucket that the access logs of Stoker's buckets go to. Null: they are not logged."
  type        = string
  default     = null
}

variable "api_throttling" {
  description = "How many webhooks a second API Gateway lets through, and how many at once: GitHub redelivers nothing by itself, Stoker does."
  type = object({
    rate_limit  = optional(number, 200)
    burst_limit = optional(number, 400)
  })
  default  = {}
  nullable = false
}
