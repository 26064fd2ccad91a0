"""Times on the wire: RFC 3339 text and whole milliseconds since 1970.

The one parser of times that programs write. What people type is read by ``floorwatch/cli/options.py``, which is built on it.
"""

from __future__ import annotations

from datetime import datetime, timezone

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class BadTimestamp(ValueError):
    """The text is not a time with a zone; the message says how to write one."""


def to_ms(instant: datetime) -> int:
    """Return an aware datetime as whole milliseconds since 1970, rounding down. Exact in every year.

    Example:
        >>> to_ms(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=timezone.utc))
        1999
    """
    since = instant - _EPOCH  # by its parts: a division by a timedelta takes a third longer
    return since.days * DAY_MS + since.seconds * 1_000 + since.microseconds // 1_000


def parse_rfc3339(text: str) -> datetime:
    """Return the time of RFC 3339 text, with its zone. Small ``t`` and ``z``, a space for ``T`` and ``+0800`` are accepted too.

    Raises:
        BadTimestamp: It is not a time, or has no zone: a number must not depend on the reader's own zone.
    """
    compact = text.strip()
    try:
        found = datetime.fromisoformat(compact.upper())
    except ValueError:
        raise BadTimestamp(f"{text!r} is not a time: write for example 2026-11-22T18:00:00Z") from None
    if found.tzinfo is None:
        raise BadTimestamp(f"{text!r} has no zone: write {compact}Z for UTC, or an offset such as {compact}+08:00")
    return found


def parse_rfc3339_ms(text: str) -> int:
    """Return RFC 3339 text as whole milliseconds since 1970, rounding down.

    Raises:
        BadTimestamp: See ``parse_rfc3339``.

    Example:
        >>> parse_rfc3339_ms("1970-01-01T00:00:01.5Z")
        1500
    """
    return to_ms(parse_rfc3339(text))


def parse_local(text: str) -> datetime:
    """Return a local time without a zone, as schedules write it: ``2026-11-30T09:00``.

    Raises:
        BadTimestamp: It is not a time, or it has a zone: the zone of what holds it counts.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadTimestamp(f"{text!r} is not a local time: write for example 2026-11-30T09:00") from None
    if found.tzinfo is not None:
        raise BadTimestamp(f"{text!r} has a zone: write the local time alone, for example 2026-11-30T09:00")
    return found
