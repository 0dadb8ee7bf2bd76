# The Lambdas: their code, their sizes, and what they are told.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "functions" {
  assert {
    condition = { for name, function in aws_lambda_function.this : name => [function.memory_size, function.timeout, function.architectures[0]] } == {
      scale-up         = [512, 60, "x86_64"]
      scale-down       = [512, 300, "x86_64"]
      policy-admission = [2560, 900, "x86_64"]
      syncer           = [512, 900, "x86_64"]
      webhook          = [256, 10, "x86_64"]
    }
    error_message = "A Lambda has another size."
  }

  assert {
    condition     = alltrue([for function in values(aws_lambda_function.this) : function.runtime == "provided.al2023" && function.handler == "bootstrap"])
    error_message = "The programs are made for provided.al2023."
  }

  assert {
    condition = alltrue([for name, function in aws_lambda_function.this : (function.s3_bucket == aws_s3_bucket.this["artifacts"].bucket &&
    function.s3_key == "lambdas/${name}.zip" && function.s3_object_version == aws_s3_object.code[name].version_id)])
    error_message = "A Lambda runs the version of its code that was uploaded."
  }

  assert {
    condition     = alltrue([for name, object in aws_s3_object.code : object.source_hash == filesha256("tests/stand-ins/${name}.zip")])
    error_message = "A zip that changed is uploaded."
  }
}

run "required_settings" {
  assert {
    condition = alltrue([for name in ["scale-up", "scale-down"] : length(setsubtract([
      "DEPLOYMENT", "RUNNER_CLASSES", "MAX_RUNNERS", "POLICY_PUBLIC_KEYS", "POLICIES_BUCKET", "LEDGER_TABLE", "INTAKE_QUEUE_URL",
      "ACT_QUEUE_URL", "JOURNAL_BUCKET", "GITHUB_APP_ID_PARAMETER", "GITHUB_APP_PRIVATE_KEY_PARAMETER",
    ], keys(aws_lambda_function.this[name].environment[0].variables))) == 0])
    error_message = "A deciding Lambda would not start."
  }

  assert {
    condition     = aws_lambda_function.this["scale-up"].environment[0].variables.DEAD_LETTER_QUEUE_URL == aws_sqs_queue.this["dead-letters"].url
    error_message = "scale-up puts messages aside in the standard queue."
  }

  assert {
    condition = toset(keys(aws_lambda_function.this["policy-admission"].environment[0].variables)) == toset([
    "DEPLOYMENT", "POLICIES_BUCKET", "POLICY_PUBLIC_KEYS", "POLICY_SIGNING_KEY_ID"])
    error_message = "Admission is told what it has to know."
  }

  assert {
    condition = length(setsubtract(["DEPLOYMENT", "DISTRIBUTION_BUCKET", "JOURNAL_BUCKET", "POLICIES_BUCKET", "POLICY_PUBLIC_KEYS", "RUNNER_PLATFORMS"],
    keys(aws_lambda_function.this["syncer"].environment[0].variables))) == 0
    error_message = "The syncer is told what it has to know."
  }

  assert {
    condition = length(setsubtract(["INTAKE_QUEUE_URL", "GITHUB_WEBHOOK_SECRET_PARAMETER", "GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER", "DELAY_SECONDS"],
    keys(aws_lambda_function.this["webhook"].environment[0].variables))) == 0
    error_message = "The webhook is told what it has to know."
  }

  assert {
    condition     = alltrue(flatten([for function in values(aws_lambda_function.this) : [for value in values(function.environment[0].variables) : value != null && value != ""]]))
    error_message = "What is not set is left out."
  }
}

run "every_setting" {
  variables {
    max_runners_in_all             = 100
    max_runners_per_repository     = 5
    max_launches_per_decision      = 50
    max_registrations_per_decision = 60
    max_spend_per_hour             = 1.5
    max_spend_per_day              = 20
    max_spend_per_month            = 300
    max_jobs_shown                 = 500
    max_receives                   = 5
    spot_fallback_codes            = []
    spot_failures                  = 2
    minimum_running_time_seconds   = 120
    parameter_writes_a_second      = 100
    policy_mode                    = "policies"
    on_policy_failure              = "hold"
    policy_size_class              = "large"
    policy_max_bytes               = 20971520
    policy_fuel_base               = 100000000000
    policy_fuel_each               = 1000000
    policy_max_memory_bytes        = 268435456
    policy_max_output_bytes        = 1048576
    policy_revalidate_seconds      = 30
    admission_memory_bytes         = 3221225472
    admission_cpu_seconds          = 300
    github_api_url                 = "https://github.example.com/api/v3"
    github_web_url                 = "https://github.example.com"
    github_points_a_minute         = 0
    github_registrations_an_hour   = 500
    runner_level                   = "repository"
    runner_mode                    = "persistent"
    runner_group                   = "ours"
    repository_allow_list          = ["acme/*", "other/site"]
    check_run_apps                 = ["github-actions", "other"]
    allow_missing_digest           = true
    minimum_runner_version         = "2.330.0"
    github_releases_url            = "https://mirror.example.com"
    lambda_log_level               = "debug"
    runner_platforms               = ["win-x64"]
  }

  assert {
    condition = { for name, value in aws_lambda_function.this["scale-up"].environment[0].variables : name => value if !contains([
      "RUNNER_CLASSES", "POLICY_PUBLIC_KEYS", "KMS_KEY_ID", "INTAKE_QUEUE_URL", "ACT_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"], name) } == {
      ALLOW_PUBLIC_REPOSITORIES        = "false"
      BOOT_TIME_SECONDS                = "600"
      DEPLOYMENT                       = "ci"
      GITHUB_API_URL                   = "https://github.example.com/api/v3"
      GITHUB_APP_ID_PARAMETER          = "/stoker/ci/github-app/id"
      GITHUB_APP_PRIVATE_KEY_PARAMETER = "/stoker/ci/github-app/private-key"
      GITHUB_POINTS_A_MINUTE           = "0"
      GITHUB_REGISTRATIONS_AN_HOUR     = "500"
      GITHUB_WEB_URL                   = "https://github.example.com"
      JOURNAL_BUCKET                   = "stoker-ci-journal-123456789012"
      LEDGER_TABLE                     = "stoker-ci-ledger"
      MAX_JOBS_SHOWN                   = "500"
      MAX_LAUNCHES_PER_DECISION        = "50"
      MAX_RECEIVES                     = "5"
      MAX_REGISTRATIONS_PER_DECISION   = "60"
      MAX_RUNNERS                      = "20"
      MAX_RUNNERS_IN_ALL               = "100"
      MAX_RUNNERS_PER_REPOSITORY       = "5"
      MAX_SPEND_PER_DAY                = "20"
      MAX_SPEND_PER_HOUR               = "1.5"
      MAX_SPEND_PER_MONTH              = "300"
      MINIMUM_RUNNING_TIME_SECONDS     = "120"
      ON_POLICY_FAILURE                = "hold"
      PARAMETER_PREFIX                 = "stoker"
      PARAMETER_WRITES_A_SECOND        = "100"
      POLICIES_BUCKET                  = "stoker-ci-policies-123456789012"
      POLICY_FUEL_BASE                 = "100000000000"
      POLICY_FUEL_EACH                 = "1000000"
      POLICY_MAX_BYTES                 = "20971520"
      POLICY_MAX_MEMORY_BYTES          = "268435456"
      POLICY_MAX_OUTPUT_BYTES          = "1048576"
      POLICY_MODE                      = "policies"
      POLICY_REVALIDATE_SECONDS        = "30"
      POLICY_SIZE_CLASS                = "large"
      REPOSITORY_ALLOW_LIST            = "acme/*,other/site"
      RUNNER_GROUP                     = "ours"
      RUNNER_LEVEL                     = "repository"
      RUNNER_MODE                      = "persistent"
      RUNNER_NAME_PREFIX               = "stoker"
      RUST_LOG                         = "debug"
      SPOT_FAILURES                    = "2"
      SPOT_FALLBACK_CODES              = "none"
    }
    error_message = jsonencode(aws_lambda_function.this["scale-up"].environment[0].variables)
  }

  assert {
    condition = { for name, value in aws_lambda_function.this["scale-up"].environment[0].variables : name => value if !contains(["DEAD_LETTER_QUEUE_URL", "MAX_RECEIVES"], name) } == {
    for name, value in aws_lambda_function.this["scale-down"].environment[0].variables : name => value }
    error_message = "scale-up and scale-down go by the same settings."
  }

  assert {
    condition = alltrue([for name in ["POLICY_SIZE_CLASS", "POLICY_MAX_BYTES", "POLICY_FUEL_BASE", "POLICY_FUEL_EACH", "POLICY_MAX_MEMORY_BYTES", "POLICY_MAX_OUTPUT_BYTES", "POLICY_PUBLIC_KEYS"] :
    length(distinct([for function in ["scale-up", "scale-down", "policy-admission", "syncer"] : aws_lambda_function.this[function].environment[0].variables[name]])) == 1])
    error_message = "Policies are tried within the limits within which they run."
  }

  assert {
    condition     = aws_lambda_function.this["policy-admission"].memory_size == 3584 && aws_lambda_function.this["scale-up"].memory_size == 1024
    error_message = "Memory follows what policies may have."
  }

  assert {
    condition = { for name in ["ALLOW_MISSING_DIGEST", "GITHUB_RELEASES_URL", "MINIMUM_RUNNER_VERSION", "RUNNER_PLATFORMS", "ON_POLICY_FAILURE"] : name => aws_lambda_function.this["syncer"].environment[0].variables[name] } == {
      ALLOW_MISSING_DIGEST = "true", GITHUB_RELEASES_URL = "https://mirror.example.com", MINIMUM_RUNNER_VERSION = "2.330.0", RUNNER_PLATFORMS = "win-x64", ON_POLICY_FAILURE = "hold"
    }
    error_message = "The syncer's settings."
  }

  assert {
    condition = { for name in ["CHECK_RUN_APPS", "DELAY_SECONDS", "REPOSITORY_ALLOW_LIST"] : name => aws_lambda_function.this["webhook"].environment[0].variables[name] } == {
      CHECK_RUN_APPS = "github-actions,other", DELAY_SECONDS = "30", REPOSITORY_ALLOW_LIST = "acme/*,other/site"
    }
    error_message = "The webhook's settings."
  }
}

run "without_api_gateway_there_is_no_webhook" {
  command = plan

  variables {
    ingress = ["cloudflare"]
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.this), "webhook") && length(aws_apigatewayv2_api.webhook) == 0 && output.webhook_url == null && length(aws_iam_user.edge) == 1
    error_message = "Only the edge's user is made."
  }
}

run "without_cloudflare_there_is_no_user" {
  command = plan

  variables {
    ingress              = ["api-gateway"]
    lambda_architectures = { webhook = "arm64" }
  }

  assert {
    condition     = length(aws_iam_user.edge) == 0 && length(aws_iam_role.edge) == 0 && aws_lambda_function.this["webhook"].architectures == tolist(["arm64"])
    error_message = "Only the API is made."
  }
}

run "code_from_elsewhere" {
  command = plan

  variables {
    dist                = "tests/nowhere"
    seed_default_policy = false
    lambda_code = { for name in ["scale-up", "scale-down", "policy-admission", "syncer", "webhook"] :
    name => { bucket = "releases", key = "1.0/${name}.zip", version = "v-${name}" } }
  }

  assert {
    condition     = length(aws_s3_object.code) == 0 && alltrue([for name, function in aws_lambda_function.this : function.s3_bucket == "releases" && function.s3_object_version == "v-${name}"])
    error_message = "Code that is named is not uploaded."
  }
}

run "code_that_is_not_there" {
  command = plan

  variables {
    dist = "tests/nowhere"
  }

  expect_failures = [aws_s3_object.code]
}

run "existing_parameters" {
  command = plan

  variables {
    github_app_parameters = { private_key = "/ops/github/runner/ci/private-key", client_id = "/ops/github/runner/ci/client-id" }
  }

  assert {
    condition     = toset(keys(aws_ssm_parameter.app)) == toset(["id", "webhook_secret", "webhook_secret_previous", "client_secret"])
    error_message = "Only what is not there is made."
  }

  assert {
    condition     = output.github_app_parameters.private_key == "/ops/github/runner/ci/private-key" && local.app_parameter_arns.private_key == "arn:aws:ssm:us-east-1:123456789012:parameter/ops/github/runner/ci/private-key"
    error_message = "What is there is used."
  }
}

run "a_plan_shows_what_is_set" {
  command = plan

  assert {
    condition     = aws_lambda_function.this["scale-up"].environment[0].variables.MAX_RUNNERS == "20" && !can(aws_lambda_function.this["scale-up"].environment[0].variables.MAX_JOBS_SHOWN)
    error_message = "What is set can be read in a plan."
  }
}

run "an_environment_that_is_too_large" {
  variables {
    runner_classes = { for n in range(30) : "class-${n}" => {
      labels = ["self-hosted", "linux", "x64", "class-${n}"], instance_types = ["c7i.large", "c7a.large", "m7i.large", "m7a.large"], maximum = 1, on_demand_price = 0.1
    } }
  }

  expect_failures = [aws_lambda_function.this["scale-up"], aws_lambda_function.this["scale-down"]]
}
