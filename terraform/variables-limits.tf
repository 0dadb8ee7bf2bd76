# The operator's guardrails. No policy lifts them. Null: what docs/settings.md says of the setting of the same name.

variable "max_runners" {
  description = "MAX_RUNNERS: the most runners of an organisation (or of a repository, if that has runners of its own), 0 to 10,000."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.max_runners >= 0 && var.max_runners <= 10000
    error_message = "max_runners: 0 to 10000."
  }
}

variable "max_runners_in_all" {
  description = "MAX_RUNNERS_IN_ALL: the most runners of all organisations and repositories together. Null: no such limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_runners_in_all == null || try(var.max_runners_in_all >= 0 && var.max_runners_in_all <= 10000, false)
    error_message = "max_runners_in_all: 0 to 10000."
  }
}

variable "max_runners_per_repository" {
  description = "MAX_RUNNERS_PER_REPOSITORY: the most runners that any one repository may have. Null: no such limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_runners_per_repository == null || try(var.max_runners_per_repository >= 0 && var.max_runners_per_repository <= 10000, false)
    error_message = "max_runners_per_repository: 0 to 10000."
  }
}

variable "max_launches_per_decision" {
  description = "MAX_LAUNCHES_PER_DECISION: the most runners that one decision launches. Null: 180."
  type        = number
  default     = null

  validation {
    condition     = var.max_launches_per_decision == null || try(var.max_launches_per_decision >= 1 && var.max_launches_per_decision <= 10000, false)
    error_message = "max_launches_per_decision: 1 to 10000."
  }
}

variable "max_registrations_per_decision" {
  description = "MAX_REGISTRATIONS_PER_DECISION: the most runners that one decision registers. Null: 180, what GitHub lets an App register in a minute."
  type        = number
  default     = null

  validation {
    condition     = var.max_registrations_per_decision == null || try(var.max_registrations_per_decision >= 1 && var.max_registrations_per_decision <= 10000, false)
    error_message = "max_registrations_per_decision: 1 to 10000."
  }
}

variable "max_spend_per_hour" {
  description = "MAX_SPEND_PER_HOUR: US dollars that an organisation (or repository, if that has runners of its own) may spend in an hour, by the classes' prices. Null: no limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_spend_per_hour == null || try(var.max_spend_per_hour >= 0, false)
    error_message = "max_spend_per_hour: US dollars, 0 or more."
  }
}

variable "max_spend_per_day" {
  description = "MAX_SPEND_PER_DAY: the same in a day (UTC). Null: no limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_spend_per_day == null || try(var.max_spend_per_day >= 0, false)
    error_message = "max_spend_per_day: US dollars, 0 or more."
  }
}

variable "max_spend_per_month" {
  description = "MAX_SPEND_PER_MONTH: the same in a month (UTC). Null: no limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_spend_per_month == null || try(var.max_spend_per_month >= 0, false)
    error_message = "max_spend_per_month: US dollars, 0 or more."
  }
}

variable "max_jobs_shown" {
  description = "MAX_JOBS_SHOWN: the most waiting jobs that a policy is shown. Null: 2,000."
  type        = number
  default     = null

  validation {
    condition     = var.max_jobs_shown == null || try(var.max_jobs_shown >= 1 && var.max_jobs_shown <= 20000, false)
    error_message = "max_jobs_shown: 1 to 20000."
  }
}

variable "spot_fallback_codes" {
  description = "SPOT_FALLBACK_CODES: EC2's error codes for which an on-demand launch follows at once where there are no spot instances. Empty list: none does. Null: no capacity, no more allowed."
  type        = list(string)
  default     = null

  validation {
    condition     = var.spot_fallback_codes == null || try(alltrue([for code in var.spot_fallback_codes : can(regex("^[A-Za-z.]+$", code))]), false)
    error_message = "spot_fallback_codes: give EC2's error codes, such as InsufficientInstanceCapacity."
  }
}

variable "spot_failures" {
  description = "SPOT_FAILURES: after so many failures in a row spot is not tried for a while; 0: never. Null: 3."
  type        = number
  default     = null

  validation {
    condition     = var.spot_failures == null || try(var.spot_failures >= 0 && var.spot_failures <= 1000, false)
    error_message = "spot_failures: 0 to 1000."
  }
}

variable "boot_time_seconds" {
  description = "BOOT_TIME_SECONDS: an instance that has not registered by then is no longer counted on, and ends itself. 30 to 3,600; more for images that install a lot."
  type        = number
  default     = 600
  nullable    = false

  validation {
    condition     = var.boot_time_seconds >= 30 && var.boot_time_seconds <= 3600
    error_message = "boot_time_seconds: 30 to 3600."
  }
}

variable "minimum_running_time_seconds" {
  description = "MINIMUM_RUNNING_TIME_SECONDS: no runner is retired that is younger. Null: 60."
  type        = number
  default     = null

  validation {
    condition     = var.minimum_running_time_seconds == null || try(var.minimum_running_time_seconds >= 0 && var.minimum_running_time_seconds <= 604800, false)
    error_message = "minimum_running_time_seconds: 0 to 604800, which is a week."
  }
}

variable "parameter_writes_a_second" {
  description = "PARAMETER_WRITES_A_SECOND: how many instances' parameters are written a second. Null: 40, what SSM takes unless the account has a higher throughput."
  type        = number
  default     = null

  validation {
    condition     = var.parameter_writes_a_second == null || try(var.parameter_writes_a_second >= 1 && var.parameter_writes_a_second <= 10000, false)
    error_message = "parameter_writes_a_second: 1 to 10000."
  }
}
