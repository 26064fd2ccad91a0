"""Grafana boards as code: queries, panels and boards apart; ``python -m grafana.generate`` writes the JSON."""
