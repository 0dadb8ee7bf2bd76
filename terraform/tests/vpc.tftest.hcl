# Whoever wants the Lambdas, or some of them, in a VPC.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "the_syncer_alone" {
  variables {
    lambda_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], functions = ["syncer"] }
  }

  assert {
    condition = (aws_lambda_function.this["syncer"].vpc_config[0].subnet_ids == toset(["subnet-0123456789abcdef0"]) &&
    aws_lambda_function.this["syncer"].vpc_config[0].security_group_ids == toset([aws_security_group.lambda[0].id]) && length(aws_lambda_function.this["scale-up"].vpc_config) == 0)
    error_message = "The syncer is in the VPC, and no other."
  }

  assert {
    condition     = toset([for one in jsondecode(aws_iam_role_policy.lambda["syncer"].policy).Statement : one.Sid if one.Resource == "*"]) == toset(["Attach", "AttachNothingByItself"])
    error_message = "Nothing else is about everything."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.lambda["syncer"].policy).Statement : [one.Effect, sort(one.Action), one.Condition] if one.Sid == "AttachNothingByItself"]) == [
      "Deny",
      one([for one in jsondecode(aws_iam_role_policy.lambda["syncer"].policy).Statement : sort(one.Action) if one.Sid == "Attach"]),
      { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:us-east-1:123456789012:function:stoker-ci-syncer" } },
    ]
    error_message = "Lambda attaches it, and its own code may not."
  }

  assert {
    condition     = length([for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one if one.Sid == "Attach"]) == 0
    error_message = "Those outside need nothing."
  }
}

run "all_with_a_group_of_ones_own" {
  command = plan

  variables {
    lambda_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
  }

  assert {
    condition     = alltrue([for function in values(aws_lambda_function.this) : function.vpc_config[0].security_group_ids == toset(["sg-0123456789abcdef0"])]) && length(aws_security_group.lambda) == 0
    error_message = "All are in the VPC, with the group that was given."
  }
}
