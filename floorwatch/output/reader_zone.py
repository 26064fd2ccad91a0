"""The zone in which people at a command line see times. What programs read (JSON, CSV) and what is quoted from a log stay UTC."""

from __future__ import annotations

import os
from datetime import UTC
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.core.formatting import UTC_ZONE, instant, times_in
from streams.core.time_text import local_moment, rfc3339

ZONE_VARIABLE = "FLOORWATCH_ZONE"
"""IANA name of the zone; ``--zone`` sets it for the command that runs."""


def reader_zone() -> str:
    """Return the IANA name of the reader's zone, UTC where none is set."""
    return os.environ.get(ZONE_VARIABLE) or UTC_ZONE


def local_instant(at_ms: int, *, seconds: bool = False, now_ms: int | None = None) -> str:
    """Return a time for people with its offset: ``Mon 23 Nov 18:42 UTC+8``.

    Args:
        at_ms: Unix ms.
        seconds: With seconds.
        now_ms: Wall time: a time of another year then names its year. None: no year is named.
    """
    zone = _zone(reader_zone()) or UTC
    year = now_ms is not None and local_moment(at_ms, zone).year != local_moment(now_ms, zone).year
    return instant(at_ms, seconds=seconds, year=year, zone=reader_zone())


def local_rfc3339(at_ms: int) -> str:
    """Return RFC 3339 with the offset of the reader's zone: ``2026-11-23T18:42:07+08:00``, in UTC with ``Z``."""
    zone = _zone(reader_zone())
    if zone is None:
        return rfc3339(at_ms)
    at = local_moment(at_ms, zone)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")


def local_times_in(text: str, near_ms: int) -> str:
    """Return a text whose instants, written in UTC, are those of the reader's zone; see ``times_in``."""
    return times_in(text, reader_zone(), near_ms)


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo | None:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return None if name in (UTC_ZONE, str(UTC)) else zone
