terraform {
  required_version = ">= 1.6"

  # The state lies in the bucket that `terraform init -backend-config=...` names; the pipeline knows it.
}
