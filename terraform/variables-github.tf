# GitHub, and what is admitted from it.

variable "github_app_parameters" {
  description = "Names of SSM parameters of the GitHub App that are there already; the others are made under /PREFIX/ENVIRONMENT/github-app/ with a placeholder, which you replace once (README.md says how). SecureStrings under another key need secret_kms_key_arns."
  type = object({
    id                      = optional(string)
    private_key             = optional(string)
    webhook_secret          = optional(string)
    webhook_secret_previous = optional(string)
    client_id               = optional(string)
    client_secret           = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in values(var.github_app_parameters) : name == null || can(regex("^[a-zA-Z0-9_./-]+$", name))])
    error_message = "github_app_parameters: give names of parameters, not ARNs or values."
  }
}

variable "secret_kms_key_arns" {
  description = "The KMS keys of the SSM parameters that github_app_parameters names, where that is not the deployment's key. aws/ssm's own key need not be named."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "github_api_url" {
  description = "GITHUB_API_URL: https://HOST/api/v3 for GitHub Enterprise Server. Null: https://api.github.com."
  type        = string
  default     = null

  validation {
    condition     = var.github_api_url == null || can(regex("^https://", var.github_api_url))
    error_message = "github_api_url: give it an https URL."
  }
}

variable "github_web_url" {
  description = "GITHUB_WEB_URL: where runners register, if it does not follow from github_api_url."
  type        = string
  default     = null

  validation {
    condition     = var.github_web_url == null || can(regex("^https://", var.github_web_url))
    error_message = "github_web_url: give it an https URL."
  }
}

variable "runner_level" {
  description = "RUNNER_LEVEL: organization (runners serve all repositories that their group admits) or repository (each repository has its own; user accounts have only these)."
  type        = string
  default     = "organization"
  nullable    = false

  validation {
    condition     = contains(["organization", "repository"], var.runner_level)
    error_message = "runner_level: organization or repository."
  }
}

variable "runner_mode" {
  description = "RUNNER_MODE: ephemeral (one job, by a just-in-time configuration), ephemeral-by-token (one job, by a registration token), or persistent (job after job, until scale-down retires it)."
  type        = string
  default     = "ephemeral"
  nullable    = false

  validation {
    condition     = contains(["ephemeral", "ephemeral-by-token", "persistent"], var.runner_mode)
    error_message = "runner_mode: ephemeral, ephemeral-by-token or persistent."
  }
}

variable "runner_group" {
  description = "RUNNER_GROUP: the name of the organisation's runner group, which must be there. Null: the default group."
  type        = string
  default     = null
}

variable "repository_allow_list" {
  description = "REPOSITORY_ALLOW_LIST: whose jobs may ask for runners: owner, owner/* or owner/repository. Empty: everybody at whom the App is installed. Give the edge the same (output edge_vars)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for entry in var.repository_allow_list : can(regex("^[^/, ]+(/[^/, ]+)?$", entry))])
    error_message = "repository_allow_list: an entry is owner, owner/* or owner/repository."
  }
}

variable "allow_public_repositories" {
  description = "ALLOW_PUBLIC_REPOSITORIES: whether jobs of public repositories get runners too. A fork's pull request runs a stranger's code on them, next to your network."
  type        = bool
  default     = false
  nullable    = false
}

variable "check_run_apps" {
  description = "CHECK_RUN_APPS: slugs of the GitHub Apps whose check runs are jobs, for the edge and the webhook Lambda. Null: github-actions."
  type        = list(string)
  default     = null
}

variable "delay_seconds" {
  description = "DELAY_SECONDS: how long the edge holds a new job back, 0 to 900. Null: 0 for ephemeral runners, and 30 for persistent ones, so that an idle one can take it first."
  type        = number
  default     = null

  validation {
    condition     = var.delay_seconds == null || try(var.delay_seconds >= 0 && var.delay_seconds <= 900, false)
    error_message = "delay_seconds: SQS holds a message back for 0 to 900 seconds."
  }
}

variable "github_points_a_minute" {
  description = "GITHUB_POINTS_A_MINUTE: what all requests of a minute may cost; 0: no limit. Null: 870, of the 900 that GitHub allows an App."
  type        = number
  default     = null

  validation {
    condition     = var.github_points_a_minute == null || try(var.github_points_a_minute >= 0 && var.github_points_a_minute <= 1000000, false)
    error_message = "github_points_a_minute: 0 to 1000000."
  }
}

variable "github_registrations_an_hour" {
  description = "GITHUB_REGISTRATIONS_AN_HOUR: the registrations of an hour; 0: no limit. Null: 10,000."
  type        = number
  default     = null

  validation {
    condition     = var.github_registrations_an_hour == null || try(var.github_registrations_an_hour >= 0 && var.github_registrations_an_hour <= 1000000, false)
    error_message = "github_registrations_an_hour: 0 to 1000000."
  }
}
