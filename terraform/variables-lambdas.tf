# The Lambdas: their code, size, queues and schedules.

variable "dist" {
  description = "The folder that make dist fills: NAME.zip of each Lambda, and policies/default.wasm. Null: dist beside this module's folder."
  type        = string
  default     = null
}

variable "lambda_code" {
  description = "Where the code of Lambdas lies if it is not uploaded from dist: by name (scale-up, scale-down, policy-admission, syncer, webhook) bucket, key and version of an object."
  type = map(object({
    bucket  = string
    key     = string
    version = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.lambda_code), ["scale-up", "scale-down", "policy-admission", "syncer", "webhook"])) == 0
    error_message = "lambda_code: the Lambdas are scale-up, scale-down, policy-admission, syncer and webhook."
  }
}

variable "lambda_architectures" {
  description = "x86_64 or arm64, by the Lambda's name. Only webhook may be arm64: the others run or compile policies, and compiled policies are x86_64 machine code."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for architecture in values(var.lambda_architectures) : contains(["x86_64", "arm64"], architecture)])
    error_message = "lambda_architectures: x86_64 or arm64."
  }

  validation {
    condition     = alltrue([for name, architecture in var.lambda_architectures : name == "webhook" || architecture == "x86_64"])
    error_message = "lambda_architectures: scale-up, scale-down, policy-admission and syncer run on x86_64 only, because compiled policies are x86_64 machine code, made and tried for that one target."
  }
}

variable "lambda_memory_mb" {
  description = "MB of memory, by the Lambda's name. Left out: scale-up and scale-down 512 (with large policies 1,024), policy-admission what admission_memory_bytes asks for, syncer 512, webhook 256. A Lambda's share of CPU and network grows with it."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([for name, memory in var.lambda_memory_mb :
    contains(["scale-up", "scale-down", "policy-admission", "syncer", "webhook"], name) && memory >= 128 && memory <= 10240])
    error_message = "lambda_memory_mb: 128 to 10240, for scale-up, scale-down, policy-admission, syncer or webhook."
  }
}

variable "lambda_timeout_seconds" {
  description = "Time-outs, by the Lambda's name. Left out: scale-up 60, scale-down 300, policy-admission and syncer 900, webhook 10. The queues' visibility time-out is six times scale-up's."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([for name, timeout in var.lambda_timeout_seconds :
    contains(["scale-up", "scale-down", "policy-admission", "syncer", "webhook"], name) && timeout >= 10 && timeout <= 900])
    error_message = "lambda_timeout_seconds: 10 to 900, for scale-up, scale-down, policy-admission, syncer or webhook."
  }

  validation {
    condition     = lookup(var.lambda_timeout_seconds, "scale-down", 300) >= 300
    error_message = "lambda_timeout_seconds: scale-down needs 300 or more: it waits for GitHub's points before it removes the next runners."
  }

  validation {
    condition     = lookup(var.lambda_timeout_seconds, "scale-up", 60) >= 60
    error_message = "lambda_timeout_seconds: scale-up needs 60 or more: an act waits for CreateFleet and for registrations."
  }
}

variable "lambda_vpc" {
  description = "A VPC for the Lambdas: private subnets with a way out to AWS and GitHub, security groups (none: one that lets everything out is made in vpc_id), and which Lambdas (null: all). They need none; it gives them addresses of their own, which GitHub's allow lists or its limit of requests without an account (the syncer's) may ask for."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = optional(list(string), [])
    functions          = optional(list(string))
  })
  default = null

  validation {
    condition     = var.lambda_vpc == null || try(length(var.lambda_vpc.subnet_ids) > 0, false)
    error_message = "lambda_vpc: give at least one subnet."
  }

  validation {
    condition     = var.lambda_vpc == null || try(length(setsubtract(var.lambda_vpc.functions, ["scale-up", "scale-down", "policy-admission", "syncer", "webhook"])) == 0, var.lambda_vpc.functions == null, false)
    error_message = "lambda_vpc: the Lambdas are scale-up, scale-down, policy-admission, syncer and webhook."
  }
}

variable "lambda_reserved_concurrency" {
  description = "Reserved concurrent executions, by the Lambda's name. Left out: none, since new accounts have too few to reserve any. One is enough for the syncer."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.lambda_reserved_concurrency) : contains(["scale-up", "scale-down", "policy-admission", "syncer", "webhook"], name)])
    error_message = "lambda_reserved_concurrency: the Lambdas are scale-up, scale-down, policy-admission, syncer and webhook."
  }
}

variable "lambda_log_level" {
  description = "RUST_LOG of the Lambdas: error, warn, info, debug or trace. Null: info."
  type        = string
  default     = null

  validation {
    condition     = var.lambda_log_level == null || try(contains(["error", "warn", "info", "debug", "trace"], var.lambda_log_level), false)
    error_message = "lambda_log_level: error, warn, info, debug or trace."
  }
}

variable "tracing_mode" {
  description = "X-Ray: Active (each Lambda samples its invocations), or PassThrough (it follows what invoked it, which nothing here does)."
  type        = string
  default     = "PassThrough"
  nullable    = false

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode: Active or PassThrough."
  }
}

variable "max_receives" {
  description = "MAX_RECEIVES: how often a message may fail before Stoker puts it into the dead-letter queue with its reason. Null: 10. The queues' own maxReceiveCount is twice that, since what SQS moves by itself has no reason."
  type        = number
  default     = null

  validation {
    condition     = var.max_receives == null || try(var.max_receives >= 1 && var.max_receives <= 500, false)
    error_message = "max_receives: 1 to 500."
  }
}

variable "intake" {
  description = "How scale-up is fed from the intake queue: messages in a batch (10, at most 10,000), seconds in which one is gathered (0; a batch of more than 10 needs at least 1), and how many invocations there are at once (10, at least 2)."
  type = object({
    batch_size              = optional(number, 10)
    batching_window_seconds = optional(number, 0)
    maximum_concurrency     = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.intake.batch_size >= 1 && var.intake.batch_size <= 10000 && var.intake.batching_window_seconds >= 0 && var.intake.batching_window_seconds <= 300
    error_message = "intake: a batch has 1 to 10000 messages, gathered in 0 to 300 seconds."
  }

  validation {
    condition     = var.intake.batch_size <= 10 || var.intake.batching_window_seconds >= 1
    error_message = "intake: Lambda gathers more than 10 messages only in a window of at least a second (batching_window_seconds)."
  }

  validation {
    condition     = var.intake.maximum_concurrency >= 2 && var.intake.maximum_concurrency <= 1000
    error_message = "intake: Lambda takes a maximum_concurrency of 2 to 1000."
  }
}

variable "act" {
  description = "How scale-up is fed from the act queue: messages in a batch (10, the most of a FIFO queue, which knows no window either; they are of different organisations or repositories, and acted on at once), and how many invocations there are at once (20, at least 2)."
  type = object({
    batch_size          = optional(number, 10)
    maximum_concurrency = optional(number, 20)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.act.batch_size >= 1 && var.act.batch_size <= 10
    error_message = "act: a FIFO queue gives 1 to 10 messages in a batch."
  }

  validation {
    condition     = var.act.maximum_concurrency >= 2 && var.act.maximum_concurrency <= 1000
    error_message = "act: Lambda takes a maximum_concurrency of 2 to 1000."
  }
}

variable "message_retention_seconds" {
  description = "How long messages stay in the intake and the act queue: 60 to 1,209,600 seconds. A job whose message is lost is found by the tick all the same."
  type        = number
  default     = 345600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 60 && var.message_retention_seconds <= 1209600
    error_message = "message_retention_seconds: SQS takes 60 to 1209600."
  }
}

variable "scale_down_schedule" {
  description = "When runners are scaled down, as rate(...) or cron(...) (UTC). Each minute where idle runners are dear."
  type        = string
  default     = "rate(5 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.scale_down_schedule))
    error_message = "scale_down_schedule: rate(...) or cron(...)."
  }
}

variable "sync_schedule" {
  description = "When GitHub's releases of the runner are looked at. One that changed nothing costs one request."
  type        = string
  default     = "rate(1 hour)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.sync_schedule))
    error_message = "sync_schedule: rate(...) or cron(...)."
  }
}

variable "admission_schedule" {
  description = "When uploaded policies are looked at again, besides at each upload."
  type        = string
  default     = "rate(5 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.admission_schedule))
    error_message = "admission_schedule: rate(...) or cron(...)."
  }
}
