# For those who want the Lambdas in a VPC: a security group, and what Lambda needs to attach them.

resource "aws_security_group" "lambda" {
  count = var.lambda_vpc == null ? 0 : length(var.lambda_vpc.security_group_ids) > 0 ? 0 : 1

  name        = "${local.name}-lambda"
  description = "Stoker ${var.environment}: Lambdas. Nothing comes in."
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-lambda" })
}

resource "aws_vpc_security_group_egress_rule" "lambda" {
  for_each = length(aws_security_group.lambda) == 0 ? toset([]) : toset(["0.0.0.0/0", "::/0"])

  security_group_id = aws_security_group.lambda[0].id
  description       = "HTTPS to ${each.key}"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = strcontains(each.key, ":") ? null : each.key
  cidr_ipv6         = strcontains(each.key, ":") ? each.key : null
  tags              = local.tags
}

# Lambda attaches a function in the name of the function's role, before it knows which interface. The function's own
# code gets none of it.
data "aws_iam_policy_document" "lambda_vpc" {
  #checkov:skip=CKV_AWS_111:Lambda is asked for these before there is an interface to name, and the second statement keeps them from the function's code.
  for_each = { for name, function in local.functions : name => function if function.in_vpc }

  statement {
    sid = "Attach"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]
  }

  statement {
    sid    = "AttachNothingByItself"
    effect = "Deny"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "lambda:SourceFunctionArn"
      values   = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.name}-${each.key}"]
    }
  }
}
