"""Offline analysis: answers questions from a log or from rows; no worker runs it. Pure, except for reading through ``replay``."""
