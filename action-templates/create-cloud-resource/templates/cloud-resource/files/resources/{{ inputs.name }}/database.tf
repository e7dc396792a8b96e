variable "password" {
  type      = string
  sensitive = true
}

resource "aws_db_instance" "this" {
  identifier        = {{ inputs.name | hcl }}
  engine            = {{ inputs.engine | hcl }}
  instance_class    = "db.t4g.small"
  allocated_storage = {{ inputs.size }}
  storage_encrypted = true

  username = "administrator"
  password = var.password

  backup_retention_period   = {{ [inputs.keepDays, 35] | min }}
  deletion_protection       = true
  final_snapshot_identifier = {{ (inputs.name ~ "-final") | hcl }}

{% include "tags.tf" %}
}

output "address" {
  value = aws_db_instance.this.address
}
