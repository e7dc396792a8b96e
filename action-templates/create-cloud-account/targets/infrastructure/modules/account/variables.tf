variable "name" {
  description = "Name of the account, the same as in the catalog"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 30 small letters, digits and dashes, and begins with a letter."
  }
}

variable "cloud" {
  description = "Provider of the account"
  type        = string

  validation {
    condition     = contains(["aws", "azure", "gcp"], var.cloud)
    error_message = "The cloud is one of aws, azure and gcp."
  }
}

variable "stage" {
  description = "What the account is used for"
  type        = string

  validation {
    condition     = contains(["production", "staging", "sandbox"], var.stage)
    error_message = "The stage is one of production, staging and sandbox."
  }
}

variable "system" {
  description = "The system that the account is for"
  type        = string
}

variable "team" {
  description = "The team that the account belongs to"
  type        = string
}

variable "owner" {
  description = "Who answers questions on the bill"
  type        = string
}

variable "root_email" {
  description = "Where the provider writes to"
  type        = string
}

variable "monthly_budget" {
  description = "Budget in euro"
  type        = number

  validation {
    condition     = var.monthly_budget >= 50 && var.monthly_budget <= 20000
    error_message = "A budget lies between 50 and 20000 euro a month."
  }
}

variable "regions" {
  description = "Where things may run, in our words"
  type        = list(string)

  validation {
    condition     = length(var.regions) > 0 && alltrue([for region in var.regions : contains(["dublin", "frankfurt", "london", "stockholm"], region)])
    error_message = "Regions are dublin, frankfurt, london and stockholm."
  }
}

variable "internet_access" {
  description = "Whether something in it may be reached from the internet"
  type        = bool
  default     = false
}

variable "purpose" {
  description = "What it is for"
  type        = string
}

variable "expires_at" {
  description = "When it goes away by itself; for sandboxes"
  type        = string
  default     = null
}
