module "search-sandbox" {
  source = "../modules/account"

  name            = "search-sandbox"
  cloud           = "gcp"
  stage           = "sandbox"
  system          = "storefront"
  team            = "storefront"
  owner           = "finn"
  root_email      = "cloud+search-sandbox@acme.example"
  monthly_budget  = 300
  regions         = ["london"]
  internet_access = false
  purpose         = "Ranking by meaning, with made-up orders only."
  expires_at      = "2027-03-31T22:00:00Z"
}

output "search-sandbox" {
  value = module.search-sandbox.account
}
