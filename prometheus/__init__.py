"""Prometheus alerting rules as code; ``python -m prometheus.generate`` writes the YAML."""
