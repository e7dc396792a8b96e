variable "password" {
  type      = string
  sensitive = true
}
{%- set is_reachable = inputs.addresses or inputs.addressesV6 %}
{%- if is_reachable %}

resource "aws_security_group" "clients" {
  name        = {{ (inputs.name ~ "-clients") | hcl }}
  description = "Who reaches the database from outside of the account"

  ingress {
    protocol         = "tcp"
    from_port        = {{ { "postgres": 5432, "mariadb": 3306 }[inputs.engine] }}
    to_port          = {{ { "postgres": 5432, "mariadb": 3306 }[inputs.engine] }}
    cidr_blocks      = [{% for address in inputs.addresses %}{{ (address ~ "/32") | hcl }}{% if not loop.last %}, {% endif %}{% endfor %}]
    ipv6_cidr_blocks = [{% for address in inputs.addressesV6 %}{{ (address ~ "/128") | hcl }}{% if not loop.last %}, {% endif %}{% endfor %}]
  }

{% include "tags.tf" %}
}
{%- endif %}

resource "aws_db_instance" "this" {
  identifier        = {{ inputs.name | hcl }}
  engine            = {{ inputs.engine | hcl }}
  instance_class    = "db.t4g.small"
  allocated_storage = {{ inputs.size }}
  storage_encrypted = true

  username = "administrator"
  password = var.password
{%- if is_reachable %}

  publicly_accessible    = true
  vpc_security_group_ids = [aws_security_group.clients.id]
{%- endif %}

  backup_retention_period   = {{ [inputs.keepDays, 35] | min }}
  deletion_protection       = true
  final_snapshot_identifier = {{ (inputs.name ~ "-final") | hcl }}

{% include "tags.tf" %}
}

output "address" {
  value = aws_db_instance.this.address
}
