"""Alerts: rules, incidents, outbox and channels."""
