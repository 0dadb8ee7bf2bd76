# On what and on which conditions roles may do what they may, and who takes them on.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "on_what" {
  # * is only where AWS knows nothing narrower.
  assert {
    condition = alltrue(flatten([for role, policy in aws_iam_role_policy.lambda : [
      for one in jsondecode(policy.policy).Statement : one.Resource != "*" || one.Sid == "SeeInstances"
    ]]))
    error_message = "A statement of a Lambda is about everything."
  }

  assert {
    condition     = alltrue([for one in jsondecode(aws_iam_role_policy.runner.policy).Statement : one.Resource != "*"])
    error_message = "A statement of the runners is about everything."
  }

  assert {
    condition = alltrue(flatten([for policy in concat(values(aws_iam_role_policy.lambda)[*].policy, [aws_iam_role_policy.runner.policy, aws_iam_user_policy.edge[0].policy]) : [
      for one in jsondecode(policy).Statement : [for action in flatten([one.Action]) : !strcontains(action, "*")]
    ]]))
    error_message = "Actions are named, not matched."
  }

  # Every use of the key is for something: through a service, or for this function's own environment.
  assert {
    condition = alltrue(flatten([for policy in concat(values(aws_iam_role_policy.lambda)[*].policy, [aws_iam_role_policy.runner.policy, aws_iam_user_policy.edge[0].policy]) : [
      for one in jsondecode(policy).Statement : can(one.Condition) || one.Sid == "Sign"
      if length([for action in flatten([one.Action]) : action if startswith(action, "kms:")]) > 0
    ]]))
    error_message = "A role may use the key without a condition."
  }

  assert {
    condition = alltrue([for role in ["scale-up", "scale-down"] : one([
      for one in jsondecode(aws_iam_role_policy.lambda[role].policy).Statement : one if one.Sid == "TerminateOurs"
    ]).Condition == { StringEquals = { "ec2:ResourceTag/stoker:deployment" = "ci" } }])
    error_message = "Only the deployment's own instances may be terminated."
  }

  assert {
    condition = alltrue([for sid in ["FleetsWithOurTag", "LaunchWithOurTag"] : one([
      for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one if one.Sid == sid
    ]).Condition == { StringEquals = { "aws:RequestTag/stoker:deployment" = "ci" } }])
    error_message = "Nothing may be launched without the deployment's tag."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one if one.Sid == "TagAtLaunch"]).Condition == {
      StringEquals = { "ec2:CreateAction" = ["CreateFleet", "RunInstances"], "aws:RequestTag/stoker:deployment" = "ci" }
    }
    error_message = "Tags may be given at the launch alone."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one if one.Sid == "RunnersRole"]) == {
      Sid       = "RunnersRole"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = aws_iam_role.runner.arn
      Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
    }
    error_message = "scale-up passes the runners' role to EC2, and nothing else."
  }

  assert {
    condition = toset(one([for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one.Resource if one.Sid == "LaunchOurTemplates"])) == toset(
    [for template in values(aws_launch_template.runner) : template.arn])
    error_message = "scale-up launches the deployment's templates, and no other."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.runner.policy).Statement : one if one.Sid == "OwnConfiguration"]) == {
      Sid       = "OwnConfiguration"
      Effect    = "Allow"
      Action    = ["ssm:GetParameter", "ssm:DeleteParameter"]
      Resource  = "arn:aws:ssm:us-east-1:123456789012:parameter/stoker/ci/runners/*"
      Condition = { StringLike = { "ec2:SourceInstanceARN" = "*/$${aws:ResourceTag/InstanceId}" } }
    }
    error_message = "An instance reads its own parameter, and no other's."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.runner.policy).Statement : one.Condition if one.Sid == "TerminateItself"]) == {
      ArnEquals    = { "ec2:SourceInstanceARN" = "arn:aws:ec2:us-east-1:123456789012:instance/$${ec2:InstanceID}" }
      StringEquals = { "ec2:ResourceTag/stoker:deployment" = "ci" }
    }
    error_message = "An instance ends itself, and no other."
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_user_policy.edge[0].policy).Statement : one if one.Sid == "Intake"]) == {
      Sid = "Intake", Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.this["intake"].arn
    }
    error_message = "The edge posts to the intake queue, and nothing else."
  }

  assert {
    condition     = alltrue([for role in values(aws_iam_role.lambda) : jsondecode(role.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }])
    error_message = "Lambda alone takes on the Lambdas' roles."
  }
}

run "a_role_in_place_of_the_edges_user" {
  command = plan

  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
    role_path            = "/ci/"
    edge_role            = { principals = ["arn:aws:iam::123456789012:role/broker"], external_id = "stoker" }
  }

  assert {
    condition     = length(aws_iam_user.edge) == 0 && length(aws_iam_role.edge) == 1 && output.edge_user_name == null
    error_message = "With edge_role there is no user."
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.lambda), [aws_iam_role.runner, aws_iam_role.edge[0]]) : role.path == "/ci/" && role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "All roles are bounded and lie in the path."
  }

  assert {
    condition = jsondecode(aws_iam_role.edge[0].assume_role_policy).Statement[0] == {
      Sid       = "Principals"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:aws:iam::123456789012:role/broker" }
      Condition = { StringEquals = { "sts:ExternalId" = "stoker" } }
    }
    error_message = "Who takes on the edge's role: ${aws_iam_role.edge[0].assume_role_policy}"
  }
}

run "session_manager_without_every_parameter" {
  variables {
    runner_session_manager = true
  }

  assert {
    condition = one([for one in jsondecode(aws_iam_role_policy.runner.policy).Statement : sort(one.Action) if one.Sid == "SessionManager"]) == tolist([
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ])
    error_message = "Session Manager's agent needs these five and no more."
  }
}
