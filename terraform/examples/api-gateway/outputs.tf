output "stoker" {
  description = "All that Stoker's module says: what the next step needs, for people and for make deploy-edge, edge-secrets and publish-policy."
  value       = module.stoker
}
