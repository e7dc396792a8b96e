resource "aws_s3_bucket" "this" {
  bucket = {{ inputs.name | hcl }}

{% include "tags.tf" %}
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = {{ ("Enabled" if inputs.versioned else "Suspended") | hcl }}
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = {{ not inputs.public }}
  ignore_public_acls      = true
  restrict_public_buckets = {{ not inputs.public }}
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "keep"
    status = "Enabled"

    filter {}

    expiration {
      days = {{ inputs.keepDays }}
    }
  }
}

output "address" {
  value = aws_s3_bucket.this.bucket_regional_domain_name
}
