# Asked for in request {{ request.id }} of the catalog.
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
}

provider "aws" {
  region  = {{ inputs.region | hcl }}
  profile = {{ inputs.account | hcl }}
}
