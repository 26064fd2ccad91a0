"""Errors of the engine, by what the operator does about them."""

from __future__ import annotations


class Invariant(RuntimeError):
    """Something that must not happen has happened. The worker stops rather than count wrongly. Read the message."""


class Misconfigured(Invariant):
    """Starting again will not help before somebody has changed what the message says; the worker ends with ``EX_CONFIG``."""


class Retryable(RuntimeError):
    """A dependency failed in a way that usually passes; the caller tries again."""


class Fenced(RuntimeError):
    """The group knows this member no more, so its partitions may be another's: drop their state and write nothing."""
