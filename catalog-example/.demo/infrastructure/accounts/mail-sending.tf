module "mail-sending" {
  source = "../modules/account"

  name            = "mail-sending"
  cloud           = "azure"
  stage           = "production"
  system          = "messaging"
  team            = "platform"
  owner           = "bo"
  root_email      = "cloud+mail-sending@acme.example"
  monthly_budget  = 180
  regions         = ["dublin"]
  internet_access = true
  purpose         = "Came with the mail provider. To be moved."
}

output "mail-sending" {
  value = module.mail-sending.account
}
