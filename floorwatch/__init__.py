"""Floorwatch: live, exact numbers and alarms for labelling operations."""

__version__ = "0.1.0"
