# The first account we had; older than the module, so it was imported.
module "shop-production" {
  source = "../modules/account"

  name            = "shop-production"
  cloud           = "aws"
  stage           = "production"
  system          = "runtime"
  team            = "platform"
  owner           = "ada"
  root_email      = "cloud+shop-production@acme.example"
  monthly_budget  = 14000
  regions         = ["frankfurt", "dublin"]
  internet_access = true
  purpose         = "Everything that customers see."
}

output "shop-production" {
  value = module.shop-production.account
}
