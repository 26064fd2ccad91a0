"""Times of the local clock as instants: beginnings of turns and weekly times, also where the clock is changed.

A local time that happens twice (the clock goes back) is the first of both. One that does not happen (the clock goes forward) is
as much later as the clock is moved: 02:30 is 03:30. RFC 5545 (iCalendar) has the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from alerts.oncall.policy import Span, WeeklyTimes
from streams.models.timestamps import to_ms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant_ms(local: datetime, zone: str) -> int:
    """Return when a time of the local clock is.

    Args:
        local: Without a zone.
        zone: IANA name.
    """
    return to_ms(local.replace(tzinfo=_zone(zone), fold=0))


def local_at(at_ms: int, zone: str) -> datetime:
    """Return what the local clock shows, without a zone."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(_zone(zone)).replace(tzinfo=None, fold=0)


def next_daily_ms(at_ms: int, minute: int, zone: str) -> int:
    """Return when a minute of the local day is next, later than ``at_ms``. It is once on each local day.

    Args:
        at_ms: Unix ms.
        minute: Minutes since midnight as the local clock shows them, below 1440.
        zone: IANA name.

    Example:
        >>> next_daily_ms(0, 540, "Asia/Kuala_Lumpur")  # 09:00, of which it was 07:30 then
        5400000
    """
    day = local_at(at_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
    while (found := instant_ms(day + timedelta(minutes=minute), zone)) <= at_ms:
        day += _DAY
    return found


def weekly_spans(times: tuple[WeeklyTimes, ...], zone: str, from_ms: int, to_ms: int) -> Iterator[Span]:
    """Return the spans of weekly times that touch a time, whole, in no order; they may overlap."""
    # A span that began on the day before may go on, and the clock is at most a day away from UTC.
    day = local_at(from_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * _DAY
    last = local_at(to_ms, zone)
    while day <= last:
        for span in _spans_of_day(times, zone, day):
            if span[0] < to_ms and span[1] > from_ms:
                yield Span(*span)
        day += _DAY


@lru_cache(maxsize=8192)
def _spans_of_day(times: tuple[WeeklyTimes, ...], zone: str, day: datetime) -> tuple[tuple[int, int], ...]:
    """Return begin and end of the times that begin on a local day."""
    found = []
    for one in times:
        if day.weekday() in one.days:
            end_min = one.to_min if one.to_min > one.from_min else one.to_min + 1440
            begin, end = (instant_ms(day + timedelta(minutes=at), zone) for at in (one.from_min, end_min))
            if begin < end:  # none where the clock is put forward over all of it
                found.append((begin, end))
    return tuple(found)


def weekly_on(times: tuple[WeeklyTimes, ...], zone: str, at_ms: int) -> bool:
    """Return whether one of the weekly times is on."""
    return any(True for _ in weekly_spans(times, zone, at_ms, at_ms + 1))


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans (begin, end) in their order, those that overlap or touch as one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found
