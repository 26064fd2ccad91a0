"""Sinks that people and programs read: one module each, with the only escape of its kind."""
