"""Parses times that users write, into ms since 1970."""

from __future__ import annotations

from datetime import datetime


class BadTimestamp(ValueError):
    """The text is not a time with a zone; the message says how to write one."""


def parse_timestamp_ms(text: str) -> int:
    """Return an RFC 3339 moment as whole milliseconds since 1970, rounding down.

    Args:
        text: For example ``2026-11-22T18:00:00Z``.

    Raises:
        BadTimestamp: It is not a time, or has no zone: a disputed number must not depend on the reader's own zone.

    Example:
        >>> parse_timestamp_ms("1970-01-01T00:00:01.5Z")
        1500
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadTimestamp(f"{text!r} is not a time: write for example 2026-11-22T18:00:00Z") from None
    if moment.tzinfo is None:
        raise BadTimestamp(f"{text!r} has no zone: write {text}Z for UTC, or an offset such as {text}+08:00")
    return int(moment.timestamp() * 1000.0 + 5e-4)
