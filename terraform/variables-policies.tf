# Scaling policies: what they may be and use, who signs for them, and what of the journal is kept.

variable "policy_mode" {
  description = "POLICY_MODE: built-in bypasses all policies, the glass to break. Null: policies."
  type        = string
  default     = null

  validation {
    condition     = var.policy_mode == null || try(contains(["policies", "built-in"], var.policy_mode), false)
    error_message = "policy_mode: policies or built-in."
  }
}

variable "on_policy_failure" {
  description = "ON_POLICY_FAILURE, when a policy fails and nothing that was good before can decide: built-in (the built-in rules decide) or hold (nothing is launched or retired). Null: built-in."
  type        = string
  default     = null

  validation {
    condition     = var.on_policy_failure == null || try(contains(["built-in", "hold"], var.on_policy_failure), false)
    error_message = "on_policy_failure: built-in or hold."
  }
}

variable "policy_size_class" {
  description = "POLICY_SIZE_CLASS: small (components up to 1 MiB: Rust, C) or large (up to 20 MiB: JavaScript, Python). It sets the defaults of the limits below. Null: small."
  type        = string
  default     = null

  validation {
    condition     = var.policy_size_class == null || try(contains(["small", "large"], var.policy_size_class), false)
    error_message = "policy_size_class: small or large."
  }
}

variable "policy_max_bytes" {
  description = "POLICY_MAX_BYTES: bytes of a component, 20,971,520 at most. Null: by the size class."
  type        = number
  default     = null

  validation {
    condition     = var.policy_max_bytes == null || try(var.policy_max_bytes >= 1 && var.policy_max_bytes <= 20971520, false)
    error_message = "policy_max_bytes: 1 to 20971520."
  }
}

variable "policy_fuel_base" {
  description = "POLICY_FUEL_BASE: fuel of a decision. Null: by the size class."
  type        = number
  default     = null

  validation {
    condition     = var.policy_fuel_base == null || try(var.policy_fuel_base >= 0 && var.policy_fuel_base <= 100000000000, false)
    error_message = "policy_fuel_base: 0 to 100000000000."
  }
}

variable "policy_fuel_each" {
  description = "POLICY_FUEL_EACH: more fuel for each job and runner that is shown. Null: by the size class."
  type        = number
  default     = null

  validation {
    condition     = var.policy_fuel_each == null || try(var.policy_fuel_each >= 0 && var.policy_fuel_each <= 100000000000, false)
    error_message = "policy_fuel_each: 0 to 100000000000."
  }
}

variable "policy_max_memory_bytes" {
  description = "POLICY_MAX_MEMORY_BYTES: bytes of memory of a policy. Null: by the size class. The deciding Lambdas need room for it (lambda_memory_mb)."
  type        = number
  default     = null

  validation {
    condition     = var.policy_max_memory_bytes == null || try(var.policy_max_memory_bytes >= 1 && var.policy_max_memory_bytes <= 1073741824, false)
    error_message = "policy_max_memory_bytes: 1 to 1073741824."
  }
}

variable "policy_max_output_bytes" {
  description = "POLICY_MAX_OUTPUT_BYTES: bytes that a policy may hand back in one call. Null: 1,048,576."
  type        = number
  default     = null

  validation {
    condition     = var.policy_max_output_bytes == null || try(var.policy_max_output_bytes >= 1 && var.policy_max_output_bytes <= 1073741824, false)
    error_message = "policy_max_output_bytes: 1 to 1073741824."
  }
}

variable "policy_revalidate_seconds" {
  description = "POLICY_REVALIDATE_SECONDS: after so many seconds what is active is confirmed. Null: 15."
  type        = number
  default     = null

  validation {
    condition     = var.policy_revalidate_seconds == null || try(var.policy_revalidate_seconds >= 1 && var.policy_revalidate_seconds <= 3600, false)
    error_message = "policy_revalidate_seconds: 1 to 3600."
  }
}

variable "admission_memory_bytes" {
  description = "ADMISSION_MEMORY_BYTES: the most memory of the process that compiles and tries one policy. Null: 2,147,483,648. The Lambda gets 512 MB more."
  type        = number
  default     = null

  validation {
    condition     = var.admission_memory_bytes == null || try(var.admission_memory_bytes >= 67108864 && var.admission_memory_bytes <= 10200547328, false)
    error_message = "admission_memory_bytes: 67108864 (64 MiB) to 10200547328 (a Lambda has 10,240 MB at most, and needs 512 of them itself)."
  }
}

variable "admission_cpu_seconds" {
  description = "ADMISSION_CPU_SECONDS: the most CPU time of that process. Null: 180."
  type        = number
  default     = null

  validation {
    condition     = var.admission_cpu_seconds == null || try(var.admission_cpu_seconds >= 1 && var.admission_cpu_seconds <= 900, false)
    error_message = "admission_cpu_seconds: 1 to 900."
  }
}

variable "policy_signing_keys" {
  description = "The KMS keys to sign with, one by a name each. To rotate: add a name, apply; make it policy_signing_key, apply; take the old name away once docs/publishing.md says so."
  type        = list(string)
  default     = ["first"]
  nullable    = false

  validation {
    condition     = length(var.policy_signing_keys) > 0 && length(distinct(var.policy_signing_keys)) == length(var.policy_signing_keys) && alltrue([for name in var.policy_signing_keys : can(regex("^[a-z0-9-]{1,32}$", name))])
    error_message = "policy_signing_keys: different names of 1 to 32 lower-case letters, digits and hyphens."
  }

  validation {
    condition     = length(var.policy_signing_keys) + length(var.extra_policy_public_keys) <= 2
    error_message = "policy_signing_keys: with extra_policy_public_keys, there may be two at most: that is a rotation."
  }
}

variable "policy_signing_key" {
  description = "Which of policy_signing_keys admission signs with. Null: the first of them."
  type        = string
  default     = null

  validation {
    condition     = var.policy_signing_key == null || try(contains(var.policy_signing_keys, var.policy_signing_key), false)
    error_message = "policy_signing_key: name one of policy_signing_keys."
  }
}

variable "extra_policy_public_keys" {
  description = "A further public key (base64 of its DER) that may have signed what is active: one from outside, while it is replaced by a key made here."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for key in var.extra_policy_public_keys : can(regex("^[A-Za-z0-9+/]+=*$", key))])
    error_message = "extra_policy_public_keys: give the base64 that aws kms get-public-key prints."
  }
}

variable "seed_default_policy" {
  description = "Whether the shipped policy is put into policies/default/policy.wasm with the first apply. What is uploaded there later is not overwritten. If it is withdrawn (deleted) there, the next apply puts it back. Decide it once: false, after an apply with true, deletes what lies there."
  type        = bool
  default     = true
  nullable    = false
}

variable "journal_retention_days" {
  description = "After how many days the journal's records are deleted. Replay and stoker why reach back no farther."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = var.journal_retention_days >= 7
    error_message = "journal_retention_days: keep a week at least: a replay compares with what was."
  }
}
