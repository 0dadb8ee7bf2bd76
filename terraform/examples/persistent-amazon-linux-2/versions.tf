terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Where it runs."
  type        = string
  default     = "eu-central-1"
}

variable "vpc_id" {
  description = "The VPC of the runners."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way out, at most one in each zone."
  type        = list(string)
}
