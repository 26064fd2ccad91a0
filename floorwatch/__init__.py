"""Floorwatch: live, exact numbers and alarms for labelling operations."""
