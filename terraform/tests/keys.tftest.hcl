# Who may use the key that encrypts, and who may sign.

override_data {
  target = data.aws_subnet.class
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone_id = "use1-az1" }
}

run "who_signs" {
  assert {
    condition = [for one in jsondecode(aws_kms_key.signing["first"].policy).Statement : one.Principal if contains(flatten([one.Action]), "kms:Sign")] == [
      { AWS = aws_iam_role.lambda["policy-admission"].arn }
    ]
    error_message = "Admission alone may sign."
  }

  assert {
    condition = length([for one in jsondecode(aws_kms_key.signing["first"].policy).Statement : one
    if contains(flatten([one.Action]), "kms:CreateGrant") || contains(flatten([one.Action]), "kms:*")]) == 0
    error_message = "Nobody may give signing away."
  }

  assert {
    condition     = aws_kms_key.signing["first"].customer_master_key_spec == "ECC_NIST_P256" && aws_kms_key.signing["first"].key_usage == "SIGN_VERIFY"
    error_message = "Admission signs with ECDSA on P-256."
  }

  assert {
    condition = alltrue(flatten([for role, policy in aws_iam_role_policy.lambda : [
      for one in jsondecode(policy.policy).Statement : !contains(flatten([one.Action]), "kms:Sign") || role == "policy-admission"
    ]]))
    error_message = "No other role may sign."
  }

  assert {
    condition = one([for one in jsondecode(aws_s3_bucket_policy.this["policies"].policy).Statement : one if one.Sid == "AdmissionAlonePublishes"]) == {
      Sid       = "AdmissionAlonePublishes"
      Effect    = "Deny"
      Action    = "s3:PutObject"
      Principal = { AWS = "*" }
      Resource = [
        "${aws_s3_bucket.this["policies"].arn}/verdicts/*",
        "${aws_s3_bucket.this["policies"].arn}/generations/*",
        "${aws_s3_bucket.this["policies"].arn}/admitted/*",
        "${aws_s3_bucket.this["policies"].arn}/active.json",
      ]
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.lambda["policy-admission"].arn } }
    }
    error_message = "Admission alone may publish: ${aws_s3_bucket_policy.this["policies"].policy}"
  }

  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.signing.event_pattern).detail.requestParameters.keyId, aws_kms_key.signing["first"].arn)
    error_message = "A change of the signing key must be told."
  }
}

run "who_uses_the_key" {
  assert {
    condition     = length([for one in jsondecode(aws_kms_key.main[0].policy).Statement : one if contains(flatten([one.Action]), "kms:*")]) == 0
    error_message = "Nobody may do everything with the key."
  }

  # Whoever decrypts does it through a service, for its logs, or for a queue.
  assert {
    condition = alltrue([for one in jsondecode(aws_kms_key.main[0].policy).Statement :
    can(one.Condition) if contains(flatten([one.Action]), "kms:Decrypt") || contains(flatten([one.Action]), "kms:CreateGrant")])
    error_message = "A statement of the key's policy lets somebody decrypt on no condition."
  }

  assert {
    condition     = aws_kms_key.main[0].enable_key_rotation
    error_message = "The key is rotated."
  }
}
