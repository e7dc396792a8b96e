module "shop-staging" {
  source = "../modules/account"

  name            = "shop-staging"
  cloud           = "aws"
  stage           = "staging"
  system          = "runtime"
  team            = "platform"
  owner           = "bo"
  root_email      = "cloud+shop-staging@acme.example"
  monthly_budget  = 3500 # half of it is previews that somebody forgot
  regions         = ["frankfurt"]
  internet_access = false
  purpose         = "Tests before production, and all previews."
}

output "shop-staging" {
  value = module.shop-staging.account
}
