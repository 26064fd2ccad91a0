"""Errors of the engine, by what the operator does about them."""

from __future__ import annotations


class Invariant(RuntimeError):
    """Something that must not happen has happened. The worker stops rather than count wrongly. Read the message."""


class Misconfigured(Invariant):
    """A restart will not help until somebody has changed what the message names. The worker ends with ``EX_CONFIG``."""


class Fenced(RuntimeError):
    """The group no longer knows this member, so others may own its partitions. Drop their state and write nothing."""
