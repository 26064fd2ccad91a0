"""Prometheus metrics: the catalogue as data, the exporter, and the HTTP endpoint."""
