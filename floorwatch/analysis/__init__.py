"""Offline analysis: what people ask of a log or of rows, and no worker computes. Pure, but for reading through ``replay``."""
