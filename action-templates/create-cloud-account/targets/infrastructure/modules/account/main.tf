# What every account has, whoever the provider is: a name, a budget with a warning, and labels that say whose it is.

locals {
  # Our words for regions, and those of the providers.
  regions = {
    aws   = { dublin = "eu-west-1", frankfurt = "eu-central-1", london = "eu-west-2", stockholm = "eu-north-1" }
    azure = { dublin = "northeurope", frankfurt = "germanywestcentral", london = "uksouth", stockholm = "swedencentral" }
    gcp   = { dublin = "europe-west1", frankfurt = "europe-west3", london = "europe-west2", stockholm = "europe-north2" }
  }

  account = {
    name            = var.name
    cloud           = var.cloud
    root_email      = var.root_email
    regions         = [for region in var.regions : local.regions[var.cloud][region]]
    internet_access = var.internet_access
    expires_at      = var.expires_at

    budget = {
      monthly_euro = var.monthly_budget
      warn_at_euro = floor(var.monthly_budget * 0.8)
      tell         = var.owner
    }

    labels = {
      stage  = var.stage
      system = var.system
      team   = var.team
      owner  = var.owner
    }
  }
}

# The request to the landing zone. It stands in for the providers' own resources, which differ from cloud to cloud.
resource "terraform_data" "account" {
  input = local.account

  lifecycle {
    precondition {
      condition     = var.stage != "sandbox" || !var.internet_access
      error_message = "A sandbox cannot be reachable from the internet: leave internet_access off, or ask for another stage."
    }
  }
}
