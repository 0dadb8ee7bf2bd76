# What the Lambdas are told: docs/settings.md. In two parts, so that a plan shows as much of it as there is: settings are
# given, and those that are null are left out (the Lambda's own default applies); places are known once they are made.

locals {
  # What a policy may be and use: the same for those who try it and those who run it.
  policy_settings = {
    DEPLOYMENT              = var.environment
    RUST_LOG                = var.lambda_log_level
    POLICIES_BUCKET         = local.bucket_names.policies
    POLICY_SIZE_CLASS       = var.policy_size_class
    POLICY_MAX_BYTES        = var.policy_max_bytes
    POLICY_FUEL_BASE        = var.policy_fuel_base
    POLICY_FUEL_EACH        = var.policy_fuel_each
    POLICY_MAX_MEMORY_BYTES = var.policy_max_memory_bytes
    POLICY_MAX_OUTPUT_BYTES = var.policy_max_output_bytes
  }

  # Of those that run one.
  running_settings = merge(local.policy_settings, {
    JOURNAL_BUCKET            = local.bucket_names.journal
    POLICY_MODE               = var.policy_mode
    POLICY_REVALIDATE_SECONDS = var.policy_revalidate_seconds
    ON_POLICY_FAILURE         = var.on_policy_failure
  })

  admitted_settings = {
    REPOSITORY_ALLOW_LIST     = length(var.repository_allow_list) == 0 ? null : join(",", var.repository_allow_list)
    ALLOW_PUBLIC_REPOSITORIES = var.allow_public_repositories
  }

  deciding_settings = merge(local.running_settings, local.admitted_settings, {
    GITHUB_APP_ID_PARAMETER          = local.app_parameter_names.id
    GITHUB_APP_PRIVATE_KEY_PARAMETER = local.app_parameter_names.private_key
    MAX_RUNNERS                      = var.max_runners
    MAX_JOBS_SHOWN                   = var.max_jobs_shown
    GITHUB_API_URL                   = var.github_api_url
    GITHUB_WEB_URL                   = var.github_web_url
    RUNNER_LEVEL                     = var.runner_level
    RUNNER_MODE                      = var.runner_mode
    RUNNER_GROUP                     = var.runner_group
    RUNNER_NAME_PREFIX               = var.prefix
    PARAMETER_PREFIX                 = var.prefix
    PARAMETER_WRITES_A_SECOND        = var.parameter_writes_a_second
    MAX_RUNNERS_IN_ALL               = var.max_runners_in_all
    MAX_RUNNERS_PER_REPOSITORY       = var.max_runners_per_repository
    MAX_LAUNCHES_PER_DECISION        = var.max_launches_per_decision
    MAX_REGISTRATIONS_PER_DECISION   = var.max_registrations_per_decision
    GITHUB_POINTS_A_MINUTE           = var.github_points_a_minute
    GITHUB_REGISTRATIONS_AN_HOUR     = var.github_registrations_an_hour
    SPOT_FALLBACK_CODES              = var.spot_fallback_codes == null ? null : length(var.spot_fallback_codes) == 0 ? "none" : join(",", var.spot_fallback_codes)
    SPOT_FAILURES                    = var.spot_failures
    MAX_SPEND_PER_HOUR               = var.max_spend_per_hour
    MAX_SPEND_PER_DAY                = var.max_spend_per_day
    MAX_SPEND_PER_MONTH              = var.max_spend_per_month
    BOOT_TIME_SECONDS                = var.boot_time_seconds
    MINIMUM_RUNNING_TIME_SECONDS     = var.minimum_running_time_seconds
  })

  settings = {
    scale-up = merge(local.deciding_settings, {
      MAX_RECEIVES = var.max_receives
    })

    scale-down = local.deciding_settings

    policy-admission = merge(local.policy_settings, {
      ADMISSION_MEMORY_BYTES = var.admission_memory_bytes
      ADMISSION_CPU_SECONDS  = var.admission_cpu_seconds
    })

    syncer = merge(local.running_settings, {
      DISTRIBUTION_BUCKET    = local.bucket_names.distribution
      RUNNER_PLATFORMS       = join(",", local.runner_platforms)
      ALLOW_MISSING_DIGEST   = var.allow_missing_digest
      MINIMUM_RUNNER_VERSION = var.minimum_runner_version
      GITHUB_RELEASES_URL    = var.github_releases_url
    })

    webhook = merge(local.admitted_settings, {
      RUST_LOG                                 = var.lambda_log_level
      GITHUB_WEBHOOK_SECRET_PARAMETER          = local.app_parameter_names.webhook_secret
      GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER = local.app_parameter_names.webhook_secret_previous
      CHECK_RUN_APPS                           = var.check_run_apps == null ? null : join(",", var.check_run_apps)
      DELAY_SECONDS                            = local.delay_seconds
    })
  }

  deciding_places = {
    RUNNER_CLASSES     = local.runner_classes_json
    LEDGER_TABLE       = aws_dynamodb_table.ledger.name
    INTAKE_QUEUE_URL   = aws_sqs_queue.this["intake"].url
    ACT_QUEUE_URL      = aws_sqs_queue.this["act"].url
    KMS_KEY_ID         = local.kms_key_arn
    POLICY_PUBLIC_KEYS = local.policy_public_keys
  }

  places = {
    scale-up   = merge(local.deciding_places, { DEAD_LETTER_QUEUE_URL = aws_sqs_queue.this["dead-letters"].url })
    scale-down = local.deciding_places

    policy-admission = {
      POLICY_PUBLIC_KEYS    = local.policy_public_keys
      POLICY_SIGNING_KEY_ID = aws_kms_key.signing[local.policy_signing_key].arn
    }

    syncer  = { POLICY_PUBLIC_KEYS = local.policy_public_keys }
    webhook = { INTAKE_QUEUE_URL = aws_sqs_queue.this["intake"].url }
  }

  # Lambda takes texts alone.
  environments = {
    for name in keys(local.functions) : name => merge(
      { for setting, value in local.settings[name] : setting => tostring(value) if value != null },
      local.places[name],
    )
  }
}
