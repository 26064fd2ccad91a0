"""Chaos: real Kafka, real processes, seeded faults, and an independent recount at the end."""
