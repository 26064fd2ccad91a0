"""Argilla: signed webhooks about datasets, records and responses."""
