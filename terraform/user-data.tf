# What instances run at their first boot: terraform/runner's script, told what it needs by shell variables before it.
# No secret is in it: whoever may describe a launch template may read it.

locals {
  user_data_script = file("${path.module}/runner/user-data.sh")

  # Where there is one, it is a file of its own on the instance.
  start_runner_script = fileexists("${path.module}/runner/start-runner.sh") ? file("${path.module}/runner/start-runner.sh") : null

  user_data_settings = {
    for name, class in var.runner_classes : name => {
      STOKER_DEPLOYMENT          = var.environment
      STOKER_PREFIX              = var.prefix
      STOKER_CLASS               = name
      STOKER_REGION              = local.region
      STOKER_DISTRIBUTION_BUCKET = local.bucket_names.distribution
      STOKER_DISTRIBUTION_PREFIX = ""
      # Where the distribution comes from if the bucket has none yet. Empty: api.github.com.
      STOKER_GITHUB_API_URL     = var.github_releases_url == null ? "" : var.github_releases_url
      STOKER_BOOT_TIME_SECONDS  = tostring(var.boot_time_seconds)
      STOKER_LOG_GROUP          = local.runner_log_group
      STOKER_LOGS               = tostring(var.runner_logs)
      STOKER_RUN_AS             = class.run_as
      STOKER_DISABLE_UPDATE     = tostring(var.runner_disable_update)
      STOKER_HOOK_JOB_STARTED   = base64encode(class.hook_job_started)
      STOKER_HOOK_JOB_COMPLETED = base64encode(class.hook_job_completed)
      STOKER_PRE_INSTALL        = base64encode(class.pre_install)
      STOKER_POST_INSTALL       = base64encode(class.post_install)
      STOKER_START_RUNNER       = local.start_runner_script == null ? "" : base64encode(local.start_runner_script)
    }
  }

  user_data = {
    for name, settings in local.user_data_settings : name => base64gzip(join("\n", concat(
      ["#!/bin/sh"],
      [for setting, value in settings : "${setting}='${replace(value, "'", "'\\''")}'"],
      [local.user_data_script],
    )))
  }
}
