"""Times as text: whole milliseconds, and never an error.

A log keeps whatever was once accepted, so a time may lie outside the years a date can hold: an offset carries it into the
year 10000, or a due date plus a window passes its end. Such a time is counted as it is and shown as the nearest one that
can be shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

FIRST_MS = -62_135_596_800_000
"""0001-01-01T00:00:00Z, the first time that can be shown."""

LAST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last one."""

_MARGIN_MS = 2 * 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def clamped(time_ms: int) -> int:
    """Return the nearest time that can be shown, in ms since 1970."""
    return min(max(time_ms, FIRST_MS), LAST_MS)


def moment(time_ms: int) -> datetime:
    """Return milliseconds since 1970 as a datetime in UTC, the nearest one that can be shown."""
    return _EPOCH + timedelta(milliseconds=clamped(time_ms))


def local_moment(time_ms: int, zone: tzinfo) -> datetime:
    """Return milliseconds since 1970 as a datetime in a zone, at least two days from both ends of the calendar."""
    inside_ms = min(max(time_ms, FIRST_MS + _MARGIN_MS), LAST_MS - _MARGIN_MS)
    return (_EPOCH + timedelta(milliseconds=inside_ms)).astimezone(zone)


@lru_cache(maxsize=4096)
def rfc3339(time_ms: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 in UTC, clamped to the years 1 to 9999.

    Example:
        >>> rfc3339(1_795_396_242_250)
        '2026-11-23T01:10:42.250Z'
        >>> rfc3339(10**15)
        '9999-12-31T23:59:59.999Z'
    """
    inside_ms = clamped(time_ms)
    whole, ms = divmod(inside_ms, 1000)
    text = (_EPOCH + timedelta(seconds=whole)).isoformat()[:19]
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"
