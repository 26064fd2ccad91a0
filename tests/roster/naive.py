"""A recount of rosters minute by minute: sets of minutes instead of intervals. Knows nothing of the core."""

from __future__ import annotations

from collections.abc import Iterable

MINUTE_MS = 60_000


def minutes(spans: Iterable[tuple[int, int]]) -> set[int]:
    """Minutes of half-open spans given in minutes."""
    return {minute for start, end in spans for minute in range(start, end)}


def breaks(marks: list[tuple[int, bool]], scheduled: set[int], until: int) -> set[int]:
    """Minutes on break: from each start walk on until an end, the end of the shift or now."""
    ends = {minute for minute, starts in marks if not starts}
    found: set[int] = set()
    for origin, starts in marks:
        minute = origin
        while starts and minute in scheduled and minute < until and (minute == origin or minute not in ends):
            found.add(minute)
            minute += 1
    return found


def gaps(due: set[int], signs: set[int]) -> list[set[int]]:
    """Runs of due minutes without a sign."""
    found: list[set[int]] = []
    for minute in sorted(due - signs):
        if found and minute - 1 in found[-1]:
            found[-1].add(minute)
        else:
            found.append({minute})
    return found
