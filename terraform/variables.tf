# What every deployment is told: its name, where it lies, and how webhooks reach it.

variable "environment" {
  description = "Names this installation of Stoker (its DEPLOYMENT): 1 to 20 lower-case letters, digits and hyphens. It is part of every name; instances carry it as the tag stoker:deployment, and IAM goes by that."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.environment))
    error_message = "environment: give it 1 to 20 lower-case letters, digits and hyphens, with a letter or digit at both ends."
  }
}

variable "prefix" {
  description = "How the names of all resources, of the runners and of the SSM parameters begin. (What EC2's console shows of an instance begins with stoker whatever it is.) Change it if the account has other things called stoker."
  type        = string
  default     = "stoker"
  nullable    = false

  validation {
    # With the longest environment and the account's id, the name of a bucket has 63 characters, S3's most.
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.prefix))
    error_message = "prefix: give it 1 to 16 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "tags" {
  description = "Tags of every resource, of the runners' instances and of their volumes. Keys may have letters, digits and + - = . , _ : @, because instances read their tags from their metadata. stoker:deployment is Stoker's own."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key))])
    error_message = "tags: EC2 takes no other characters in keys than letters, digits and + - = . , _ : @ where instances may read their tags."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "stoker:") && !startswith(lower(key), "aws:")])
    error_message = "tags: keys that begin with stoker: or aws: are not yours to set."
  }
}

variable "ingress" {
  description = "How GitHub's webhooks come in: cloudflare (the edge Worker, with an IAM user or role of its own), api-gateway (an HTTP API and the webhook Lambda), or both, for instance while one replaces the other."
  type        = set(string)
  default     = ["cloudflare"]
  nullable    = false

  validation {
    condition     = length(var.ingress) > 0 && length(setsubtract(var.ingress, ["cloudflare", "api-gateway"])) == 0
    error_message = "ingress: name cloudflare, api-gateway or both."
  }
}

variable "vpc_id" {
  description = "The VPC of the runners. They need a way out to GitHub and AWS (NAT, or endpoints and a proxy), and none in."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id: give it the id of a VPC (vpc-...)."
  }
}

variable "subnet_ids" {
  description = "The subnets of the runners, at most one in each availability zone: EC2 refuses a fleet with two in one. More zones mean more pools to find spot capacity in. A runner class may have others."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: give at least one id of a subnet (subnet-...)."
  }
}

variable "kms_key" {
  description = "The ARN of a KMS key (symmetric) that encrypts everything, in place of one that is made here. Its key policy has to allow what kms.tf allows: this account by its IAM policies, CloudWatch Logs, EventBridge, and AWSServiceRoleForEC2Spot."
  type        = object({ arn = string })
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key.arn))
    error_message = "kms_key: give it the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias: grants and conditions of policies name keys."
  }
}

variable "kms_deletion_window_days" {
  description = "For how many days a deleted KMS key can be got back: 7 to 30."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.kms_deletion_window_days >= 7 && var.kms_deletion_window_days <= 30
    error_message = "kms_deletion_window_days: KMS takes 7 to 30."
  }
}

variable "role_path" {
  description = "The path of all IAM roles, instance profiles and users, for accounts whose deployers may make them only there."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([A-Za-z0-9.,+@=_-]+/)*$", var.role_path))
    error_message = "role_path: a path begins and ends with a slash."
  }
}

variable "permissions_boundary" {
  description = "The ARN of the IAM policy that bounds all roles and users made here."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether terraform destroy deletes buckets that are not empty, and the ledger. Off, both have to be allowed first: what they hold is not made again."
  type        = bool
  default     = false
  nullable    = false
}

variable "bucket_names" {
  description = "Other names for the buckets artifacts, policies, journal and distribution than PREFIX-ENVIRONMENT-KIND-ACCOUNT."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.bucket_names), ["artifacts", "policies", "journal", "distribution"])) == 0
    error_message = "bucket_names: the buckets are artifacts, policies, journal and distribution."
  }
}

variable "edge_role" {
  description = <<-EOT
    A role for the edge in place of an IAM user with an access key, for those who hand the Worker temporary
    credentials: assumed by AWS principals (principals, with external_id if they have one), or with a token of an
    OpenID Connect provider in this account (oidc_provider_arn, and oidc_claims: claim to the values that do, such as
    { "token.example.com:sub" = ["stoker-edge"] }; at least one claim).
  EOT
  type = object({
    principals        = optional(list(string), [])
    external_id       = optional(string)
    oidc_provider_arn = optional(string)
    oidc_claims       = optional(map(list(string)), {})
  })
  default = null

  validation {
    condition     = var.edge_role == null || try(length(var.edge_role.principals) > 0 || (var.edge_role.oidc_provider_arn != null && length(var.edge_role.oidc_claims) > 0), false)
    error_message = "edge_role: give principals, or oidc_provider_arn with at least one of oidc_claims: a provider alone would let in everybody whom it knows."
  }

  validation {
    condition     = var.edge_role == null || try(!contains(var.edge_role.principals, "*"), false)
    error_message = "edge_role: * would let in the whole world."
  }
}
