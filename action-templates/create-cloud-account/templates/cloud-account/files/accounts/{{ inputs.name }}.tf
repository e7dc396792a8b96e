# Asked for in request {{ request.id }} of the catalog.
module "{{ inputs.name }}" {
  source = "../modules/account"

  name            = {{ inputs.name | hcl }}
  cloud           = {{ inputs.provider | hcl }}
  stage           = {{ inputs.stage | hcl }}
  system          = {{ inputs.system | hcl }}
  team            = {{ inputs.team | hcl }}
  owner           = {{ inputs.owner | hcl }}
  root_email      = {{ inputs.rootEmail | hcl }}
  monthly_budget  = {{ inputs.monthlyBudget }}
  regions         = {{ inputs.regions | hcl }}
  internet_access = {{ inputs.internetAccess }}
  purpose         = {{ inputs.purpose | hcl }}
{%- if inputs.expiresAt | default("") %}
  expires_at      = {{ inputs.expiresAt | hcl }}
{%- endif %}
}

output "{{ inputs.name }}" {
  value = module.{{ inputs.name }}.account
}
