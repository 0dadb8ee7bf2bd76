output "edge_vars" {
  description = "The [vars] of wrangler.toml."
  value       = module.stoker.edge_vars
}

output "edge_user_name" {
  description = "Whose access key make edge-secrets makes."
  value       = module.stoker.edge_user_name
}

output "github_app_parameters" {
  description = "Where the GitHub App's id, private key and webhook secret go."
  value       = module.stoker.github_app_parameters
}

output "functions" {
  description = "What stoker doctor and stoker policy are told by --function."
  value       = module.stoker.functions
}

output "policies_bucket" {
  description = "What stoker policy is told by --bucket."
  value       = module.stoker.buckets.policies
}
