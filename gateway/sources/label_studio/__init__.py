"""Label Studio: unsigned webhooks about tasks and annotations, sent once and never again."""
