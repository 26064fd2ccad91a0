"""Any tool whose webhooks are JSON: a file in YAML says what they mean, with expressions in JMESPath."""
