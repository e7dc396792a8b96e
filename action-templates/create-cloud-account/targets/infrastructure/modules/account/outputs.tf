output "account" {
  description = "What was asked of the landing zone"
  value       = terraform_data.account.output
}

output "purpose" {
  description = "For the yearly inventory"
  value       = var.purpose
}
