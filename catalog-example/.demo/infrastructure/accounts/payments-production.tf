# The card auditors read this file. Keep it plain.
module "payments-production" {
  source = "../modules/account"

  name            = "payments-production"
  cloud           = "aws"
  stage           = "production"
  system          = "checkout"
  team            = "payments"
  owner           = "cleo"
  root_email      = "cloud+payments-production@acme.example"
  monthly_budget  = 5200
  regions         = ["stockholm"]
  internet_access = false
  purpose         = "Payment gateway, fraud check, ledger and invoices."
}

output "payments-production" {
  value = module.payments-production.account
}
