# What instances run at their first boot: terraform/runner's script, told what it needs by shell variables before it.
# No secret is in it: whoever may describe a launch template may read it.

locals {
  user_data_settings = {
    for name, class in var.runner_classes : name => {
      STOKER_DEPLOYMENT          = var.environment
      STOKER_PREFIX              = var.prefix
      STOKER_CLASS               = name
      STOKER_REGION              = local.region
      STOKER_DISTRIBUTION_BUCKET = local.bucket_names.distribution
      STOKER_DISTRIBUTION_PREFIX = ""
      # Where the distribution comes from if the bucket has none yet. Empty: api.github.com.
      STOKER_GITHUB_API_URL    = var.github_releases_url == null ? "" : var.github_releases_url
      STOKER_BOOT_TIME_SECONDS = tostring(var.boot_time_seconds)
      STOKER_LOG_GROUP         = local.runner_log_group
      STOKER_LOGS              = tostring(var.runner_logs)
      STOKER_RUN_AS            = class.run_as
      STOKER_DISABLE_UPDATE    = tostring(var.runner_disable_update)
    }
  }

  # Scripts, which the boot script takes as base64. They are encoded on the instance: before, they would compress badly,
  # and EC2 takes 16 KB.
  user_data_scripts = {
    for name, class in var.runner_classes : name => {
      STOKER_HOOK_JOB_STARTED   = class.hook_job_started
      STOKER_HOOK_JOB_COMPLETED = class.hook_job_completed
      STOKER_PRE_INSTALL        = class.pre_install
      STOKER_POST_INSTALL       = class.post_install
      STOKER_START_RUNNER       = file("${path.module}/runner/start-runner.sh")
    }
  }

  # As a shell reads it: quoted, with each quote in it ended, escaped and begun again.
  user_data_texts = {
    for name in keys(var.runner_classes) : name => join("\n", concat(
      ["#!/bin/sh"],
      [for setting, value in local.user_data_settings[name] : "${setting}='${replace(value, "'", "'\\''")}'"],
      [for setting, script in local.user_data_scripts[name] : script == "" ? "${setting}=''" :
      "stoker_script='${replace(script, "'", "'\\''")}'\n${setting}=$(printf %s \"$stoker_script\" | base64 -w0)"],
      [file("${path.module}/runner/user-data.sh")],
    ))
  }

  user_data = { for name, text in local.user_data_texts : name => base64gzip(text) }
}
