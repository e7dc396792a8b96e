  tags = {
    owner   = {{ inputs.owner | hcl }}
    account = {{ inputs.account | hcl }}
  }
