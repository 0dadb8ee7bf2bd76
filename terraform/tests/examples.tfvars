# What the examples are planned with: what they ask for and do not say themselves.
vpc_id      = "vpc-0123456789abcdef0"
subnet_ids  = ["subnet-0123456789abcdef0"]
image_owner = "123456789012"
