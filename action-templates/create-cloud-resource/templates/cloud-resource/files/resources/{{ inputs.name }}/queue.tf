resource "aws_sqs_queue" "failed" {
  name       = {{ (inputs.name ~ ("-failed.fifo" if inputs.ordered else "-failed")) | hcl }}
  fifo_queue = {{ inputs.ordered }}

{% include "tags.tf" %}
}

resource "aws_sqs_queue" "this" {
  name                      = {{ (inputs.name ~ (".fifo" if inputs.ordered else "")) | hcl }}
  fifo_queue                = {{ inputs.ordered }}
  message_retention_seconds = {{ inputs.keepDays * 86400 }}
  sqs_managed_sse_enabled   = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.failed.arn
    maxReceiveCount     = 5
  })

{% include "tags.tf" %}
}

output "address" {
  value = aws_sqs_queue.this.url
}
