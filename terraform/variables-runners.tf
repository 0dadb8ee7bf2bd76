# The runners: their classes, images, disks and boot.

variable "runner_classes" {
  description = <<-EOT
    The kinds of runner, by name. Of each:
      labels          what its runners register with; a job fits when each of its labels is among them
      instance_types  EC2 instance types that will do, all of the class's architecture; more find spot capacity sooner
      architecture    x64 or arm64
      maximum         the most runners of this class that an organisation (or repository) may have
      spot_price, on_demand_price
                      US dollars an hour; a capacity without a price is not launched
      subnet_ids      other subnets than the deployment's, at most one in each zone
      ami             where its image comes from, see ami
      root_device     the image's root device, if it is neither of a preset nor /dev/xvda
      volume_size, volume_type, volume_iops, volume_throughput
                      the root volume: GiB (30), gp3
      run_as          the user that runs the runner ("runner", made if it is not there)
      pre_install, post_install
                      shell scripts, run as root before and after the runner is installed
      hook_job_started, hook_job_completed
                      shell scripts that the runner runs before and after each job
      public_address  whether instances get a public IPv4 address
      key_name        an EC2 key pair, for those who must log in by SSH
      security_group_ids
                      more security groups
      attributes      told to policies, such as { gpu = true, team = "ml" }; nothing to Stoker itself
  EOT
  type = map(object({
    labels             = list(string)
    instance_types     = list(string)
    architecture       = optional(string, "x64")
    maximum            = number
    spot_price         = optional(number)
    on_demand_price    = optional(number)
    subnet_ids         = optional(list(string))
    root_device        = optional(string)
    volume_size        = optional(number, 30)
    volume_type        = optional(string, "gp3")
    volume_iops        = optional(number)
    volume_throughput  = optional(number)
    run_as             = optional(string, "runner")
    pre_install        = optional(string, "")
    post_install       = optional(string, "")
    hook_job_started   = optional(string, "")
    hook_job_completed = optional(string, "")
    public_address     = optional(bool, false)
    key_name           = optional(string)
    security_group_ids = optional(list(string), [])
    attributes         = optional(map(string), {})
    ami = optional(object({
      preset        = optional(string)
      id            = optional(string)
      ssm_parameter = optional(string)
      owners        = optional(list(string))
      filters       = optional(map(list(string)), {})
    }))
  }))
  nullable = false

  validation {
    condition     = length(var.runner_classes) > 0
    error_message = "runner_classes: without a class no runner can be launched."
  }

  validation {
    condition     = alltrue([for name in keys(var.runner_classes) : can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "runner_classes: a name has 1 to 32 lower-case letters, digits and hyphens."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) :
    length(class.labels) > 0 && alltrue([for label in class.labels : trimspace(label) != "" && !strcontains(label, ",")])])
    error_message = "runner_classes: give each class at least one label, none of them empty or with a comma."
  }

  validation {
    condition     = alltrue([for class in values(var.runner_classes) : class.spot_price != null || class.on_demand_price != null])
    error_message = "runner_classes: give each class a spot_price, an on_demand_price or both: a capacity without a price is not launched."
  }

  validation {
    condition = alltrue(flatten([for class in values(var.runner_classes) :
    [for price in [class.spot_price, class.on_demand_price] : price == null || try(price >= 0, false)]]))
    error_message = "runner_classes: a price is US dollars an hour, 0 or more."
  }

  validation {
    condition     = alltrue([for class in values(var.runner_classes) : class.maximum >= 1 && class.maximum <= 10000])
    error_message = "runner_classes: a maximum is 1 to 10000."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) : length(class.instance_types) > 0 &&
    alltrue([for type in class.instance_types : can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", type))])])
    error_message = "runner_classes: give each class at least one EC2 instance type, such as c7i.large."
  }

  validation {
    condition     = alltrue([for class in values(var.runner_classes) : contains(["x64", "arm64"], class.architecture)])
    error_message = "runner_classes: an architecture is x64 or arm64."
  }

  validation {
    # A Graviton type has a g behind its generation, and a1 is the one without.
    condition = alltrue(flatten([for class in values(var.runner_classes) :
    [for type in class.instance_types : (can(regex("^([a-z-]+[0-9]+g|a1\\.)", type)) == (class.architecture == "arm64"))]]))
    error_message = "runner_classes: an instance type is of another architecture than its class; an image boots on one only."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) : class.ami == null || try(
      (class.ami.preset != null ? 1 : 0) + (class.ami.id != null ? 1 : 0) +
    (class.ami.ssm_parameter != null ? 1 : 0) + (length(class.ami.filters) > 0 ? 1 : 0) == 1, false)])
    error_message = "runner_classes: an ami is one of preset, id, ssm_parameter, or filters with owners."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) : try(length(class.ami.filters), 0) == 0 ||
    try(length(class.ami.owners) > 0 && !contains(class.ami.owners, "*"), false)])
    error_message = "runner_classes: an ami by filters needs owners: anybody may publish an image of any name."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) :
    try(class.ami.preset, null) == null || try(contains(["amazon-linux-2023", "amazon-linux-2", "ubuntu-24.04"], class.ami.preset), false)])
    error_message = "runner_classes: an ami's preset is amazon-linux-2023, amazon-linux-2 or ubuntu-24.04."
  }

  validation {
    condition     = alltrue([for class in values(var.runner_classes) : can(regex("^[a-z_][a-z0-9_-]{0,31}$", class.run_as)) && class.run_as != "root"])
    error_message = "runner_classes: run_as is the name of a user, and not root: the runner runs what workflows say."
  }

  validation {
    condition     = alltrue([for class in values(var.runner_classes) : contains(["gp3", "io1", "io2"], class.volume_type) && class.volume_size >= 8])
    error_message = "runner_classes: a volume is gp3, io1 or io2, of 8 GiB at least."
  }

  validation {
    condition = alltrue([for class in values(var.runner_classes) :
    class.subnet_ids == null || try(length(class.subnet_ids) > 0 && alltrue([for id in class.subnet_ids : startswith(id, "subnet-")]), false)])
    error_message = "runner_classes: subnet_ids, where given, has at least one id of a subnet (subnet-...)."
  }
}

variable "ami" {
  description = "The image of classes that name none: preset (amazon-linux-2023, amazon-linux-2, ubuntu-24.04: AWS's and Canonical's newest, by their public SSM parameters), id, ssm_parameter (the name of one that holds an image's id: a new image needs no apply), or filters with owners (the newest that fits, at each apply)."
  type = object({
    preset        = optional(string)
    id            = optional(string)
    ssm_parameter = optional(string)
    owners        = optional(list(string))
    filters       = optional(map(list(string)), {})
  })
  default  = { preset = "amazon-linux-2023" }
  nullable = false

  validation {
    condition = ((var.ami.preset != null ? 1 : 0) + (var.ami.id != null ? 1 : 0) +
    (var.ami.ssm_parameter != null ? 1 : 0) + (length(var.ami.filters) > 0 ? 1 : 0)) == 1
    error_message = "ami: give one of preset, id, ssm_parameter, or filters with owners."
  }

  validation {
    condition     = length(var.ami.filters) == 0 || try(length(var.ami.owners) > 0 && !contains(var.ami.owners, "*"), false)
    error_message = "ami: filters need owners: anybody may publish an image of any name."
  }

  validation {
    condition     = var.ami.preset == null || try(contains(["amazon-linux-2023", "amazon-linux-2", "ubuntu-24.04"], var.ami.preset), false)
    error_message = "ami: a preset is amazon-linux-2023, amazon-linux-2 or ubuntu-24.04."
  }
}

variable "image_kms_key_arns" {
  description = "The KMS keys of images that are encrypted with a key of their own: who launches has to be allowed it, here and in the key's own policy."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.image_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", arn))])
    error_message = "image_kms_key_arns: give ARNs of keys, not of aliases."
  }
}

variable "runner_egress_cidrs" {
  description = "Where runners may connect to, IPv4 and IPv6. Jobs download from everywhere, so by default that is everywhere."
  type        = list(string)
  default     = ["0.0.0.0/0", "::/0"]
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.runner_egress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "runner_egress_cidrs: give CIDR blocks."
  }
}

variable "runner_security_group_ids" {
  description = "More security groups of all runners, for instance those that a proxy or a database lets in."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "runner_managed_policy_arns" {
  description = "IAM policies that every runner's role gets besides its own. Whatever they allow, every job may do."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    # That policy reads every parameter of the account, the other runners' registrations among them.
    condition     = alltrue([for arn in var.runner_managed_policy_arns : !endswith(arn, "/AmazonSSMManagedInstanceCore") && !endswith(arn, "/AmazonEC2RoleforSSM")])
    error_message = "runner_managed_policy_arns: AmazonSSMManagedInstanceCore lets each runner read every parameter, other runners' registrations too; set runner_session_manager instead."
  }
}

variable "runner_session_manager" {
  description = "Whether Session Manager may open shells on runners (and the role gets what its agent needs for that, no more)."
  type        = bool
  default     = false
  nullable    = false
}

variable "runner_logs" {
  description = "Whether instances send their logs to CloudWatch (/PREFIX/ENVIRONMENT/runner)."
  type        = bool
  default     = true
  nullable    = false
}

variable "runner_disable_update" {
  description = "Whether runners do not update themselves. GitHub refuses runners that are too old after some weeks, so leave it off unless the syncer keeps the distribution fresh."
  type        = bool
  default     = false
  nullable    = false
}

variable "runner_detailed_monitoring" {
  description = "Whether EC2 measures instances each minute in place of each five, at a price."
  type        = bool
  default     = false
  nullable    = false
}

variable "create_spot_service_linked_role" {
  description = "Whether to make AWSServiceRoleForEC2Spot, without which EC2 launches no spot instance by its API. An account has it once: true only where no spot instance has ever been launched."
  type        = bool
  default     = false
  nullable    = false
}

variable "runner_platforms" {
  description = "RUNNER_PLATFORMS: which builds of GitHub's runner the syncer mirrors: linux-x64, linux-arm64, linux-arm, win-x64, win-arm64, osx-x64, osx-arm64. Null: those of the classes' architectures."
  type        = list(string)
  default     = null

  validation {
    condition     = var.runner_platforms == null || try(length(var.runner_platforms) > 0 && length(setsubtract(var.runner_platforms, ["linux-x64", "linux-arm64", "linux-arm", "win-x64", "win-arm64", "osx-x64", "osx-arm64"])) == 0, false)
    error_message = "runner_platforms: out of linux-x64, linux-arm64, linux-arm, win-x64, win-arm64, osx-x64 and osx-arm64."
  }
}

variable "allow_missing_digest" {
  description = "ALLOW_MISSING_DIGEST: whether a release of the runner is mirrored for which GitHub publishes no digest. Null: false."
  type        = bool
  default     = null
}

variable "minimum_runner_version" {
  description = "MINIMUM_RUNNER_VERSION: the oldest version of GitHub's runner that is offered, such as 2.330.0; 0.0.0: any. Null: computed from what GitHub asks for."
  type        = string
  default     = null

  validation {
    condition     = var.minimum_runner_version == null || can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.minimum_runner_version))
    error_message = "minimum_runner_version: three numbers with dots between, such as 2.330.0."
  }
}

variable "github_releases_url" {
  description = "GITHUB_RELEASES_URL: where the syncer finds actions/runner. Null: https://api.github.com."
  type        = string
  default     = null

  validation {
    condition     = var.github_releases_url == null || can(regex("^https://", var.github_releases_url))
    error_message = "github_releases_url: give it an https URL."
  }
}
