"""Windows: which run of panes a row shows, given the watermark. Pure; time zones come as data."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from streams.core.policy import DAY_MS, MINUTE_MS, QUARTER_MS, Window
from streams.core.time_text import FIRST_MS, LAST_MS

_FIRST_DAY, _LAST_DAY = FIRST_MS // DAY_MS + 4, LAST_MS // DAY_MS - 4

_TIER_PANE_MS = (MINUTE_MS, QUARTER_MS, 60 * MINUTE_MS)


def window_range(window: Window, watermark_ms: int, zone: str) -> tuple[int, int]:
    """Return the panes a window covers as a half-open range in ms.

    A sliding window ends with the pane the watermark stands in. A calendar window is the day or shift, in ``zone``,
    that the watermark stands in.

    Args:
        window: The window.
        watermark_ms: The watermark.
        zone: IANA time zone for calendar windows.
    """
    if window.size_ms:
        pane_ms = _TIER_PANE_MS[window.tier]
        end_ms = (watermark_ms // pane_ms + 1) * pane_ms
        return end_ms - window.size_ms, end_ms
    day = watermark_ms // DAY_MS
    # Near the ends of the calendar no local date can be made: there the days are as long as in the last one that can.
    known = min(max(day, _FIRST_DAY), _LAST_DAY)
    apart_ms = (day - known) * DAY_MS
    starts = _local_starts(window.starts_min, zone, known)
    at = bisect_right(starts, watermark_ms - apart_ms) - 1
    return starts[at] + apart_ms, starts[at + 1] + apart_ms


@lru_cache(maxsize=1024)
def _local_starts(starts_min: tuple[int, ...], zone: str, utc_day: int) -> tuple[int, ...]:
    """Return every local start from two days before to two days after a UTC day, ascending, in ms."""
    tz = ZoneInfo(zone)
    middle = datetime.fromtimestamp(utc_day * 86_400, tz).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for days in range(-2, 3):
        day = (middle + timedelta(days=days)).date()
        for minute in starts_min:
            local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=tz)
            found.append(int(local.timestamp()) * 1000)
    return tuple(sorted(found))
