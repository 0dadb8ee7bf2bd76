# What each role may do, spelled out: whoever gives one more changes this file too.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "the_actions_of_each" {
  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.lambda["scale-up"].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Log            = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Environment    = ["kms:Decrypt"]
      ActivePolicies = ["s3:GetObject"]
      ListPolicies   = ["s3:ListBucket"]
      Journal        = ["s3:PutObject"]
      BucketsKey     = ["kms:Decrypt", "kms:GenerateDataKey"]
      App            = ["ssm:GetParameter"]
      AppKeys        = ["kms:Decrypt"]
      Ledger = [
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
      ]
      LedgersKey = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ]
      AskForActs           = ["sqs:SendMessage"]
      QueuesKey            = ["kms:Decrypt", "kms:GenerateDataKey"]
      SeeInstances         = ["ec2:DescribeInstances"]
      TerminateOurs        = ["ec2:TerminateInstances"]
      ForgetConfigurations = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
      TakeMessages = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
      ]
      PutAsideAndRedrive = ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
      FleetsWithOurTag   = ["ec2:CreateFleet"]
      FleetsParts        = ["ec2:CreateFleet"]
      LaunchWithOurTag   = ["ec2:RunInstances"]
      LaunchOurTemplates = ["ec2:CreateFleet", "ec2:RunInstances"]
      LaunchInOurNetwork = ["ec2:CreateFleet", "ec2:RunInstances"]
      LaunchImages       = ["ec2:CreateFleet", "ec2:RunInstances"]
      TagAtLaunch        = ["ec2:CreateTags"]
      ImageParameters    = ["ssm:GetParameters"]
      VolumesKey = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ]
      VolumesGrants       = ["kms:CreateGrant"]
      RunnersRole         = ["iam:PassRole"]
      WriteConfigurations = ["ssm:AddTagsToResource", "ssm:PutParameter"]
      ConfigurationsKey   = ["kms:Encrypt", "kms:GenerateDataKey"]
    })
    error_message = "scale-up may do something else than its statements: ${aws_iam_role_policy.lambda["scale-up"].policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.lambda["scale-down"].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Log            = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Environment    = ["kms:Decrypt"]
      ActivePolicies = ["s3:GetObject"]
      ListPolicies   = ["s3:ListBucket"]
      Journal        = ["s3:PutObject"]
      BucketsKey     = ["kms:Decrypt", "kms:GenerateDataKey"]
      App            = ["ssm:GetParameter"]
      AppKeys        = ["kms:Decrypt"]
      Ledger = [
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
      ]
      LedgersKey = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ]
      AskForActs           = ["sqs:SendMessage"]
      QueuesKey            = ["kms:Decrypt", "kms:GenerateDataKey"]
      SeeInstances         = ["ec2:DescribeInstances"]
      TerminateOurs        = ["ec2:TerminateInstances"]
      ForgetConfigurations = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
    })
    error_message = "scale-down may do something else than its statements: ${aws_iam_role_policy.lambda["scale-down"].policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.lambda["policy-admission"].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Log          = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Environment  = ["kms:Decrypt"]
      ReadUploads  = ["s3:GetObject", "s3:GetObjectVersion"]
      Publish      = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      ListPolicies = ["s3:ListBucket", "s3:ListBucketVersions"]
      BucketsKey   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Sign         = ["kms:GetPublicKey", "kms:Sign"]
    })
    error_message = "policy-admission may do something else than its statements: ${aws_iam_role_policy.lambda["policy-admission"].policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.lambda["syncer"].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Log              = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Environment      = ["kms:Decrypt"]
      ActivePolicies   = ["s3:GetObject"]
      ListPolicies     = ["s3:ListBucket"]
      Journal          = ["s3:PutObject"]
      BucketsKey       = ["kms:Decrypt", "kms:GenerateDataKey"]
      Distribution     = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      ListDistribution = ["s3:ListBucket"]
      DistributionsKey = ["kms:Decrypt", "kms:GenerateDataKey"]
    })
    error_message = "syncer may do something else than its statements: ${aws_iam_role_policy.lambda["syncer"].policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.lambda["webhook"].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Log               = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Environment       = ["kms:Decrypt"]
      Intake            = ["sqs:SendMessage"]
      QueuesKey         = ["kms:Decrypt", "kms:GenerateDataKey"]
      WebhookSecret     = ["ssm:GetParameter"]
      WebhookSecretsKey = ["kms:Decrypt"]
    })
    error_message = "webhook may do something else than its statements: ${aws_iam_role_policy.lambda["webhook"].policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_role_policy.runner.policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      OwnConfiguration  = ["ssm:DeleteParameter", "ssm:GetParameter"]
      ConfigurationsKey = ["kms:Decrypt"]
      TerminateItself   = ["ec2:TerminateInstances"]
      Distribution      = ["s3:GetObject"]
      DistributionsKey  = ["kms:Decrypt"]
      Log               = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    })
    error_message = "An instance may do something else than its statements: ${aws_iam_role_policy.runner.policy}"
  }

  assert {
    condition = jsonencode({ for one in jsondecode(aws_iam_user_policy.edge[0].policy).Statement : one.Sid => sort(flatten([one.Action])) }) == jsonencode({
      Intake    = ["sqs:SendMessage"]
      QueuesKey = ["kms:Decrypt", "kms:GenerateDataKey"]
    })
    error_message = "The edge may do something else than its statements: ${aws_iam_user_policy.edge[0].policy}"
  }
}

