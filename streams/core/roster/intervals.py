"""Sets of time as sorted, disjoint, half-open intervals of integer milliseconds.

Every function takes and returns a *set*: a tuple of ``(start_ms, end_ms)`` with start < end, ascending, no two touching.
Integers make lengths exact, so a correction of a shift or a break changes every number to what it would have been.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]
"""Half-open: the start belongs to it, the end does not."""

Times = tuple[Interval, ...]
"""A set of time."""

NOTHING: Times = ()


def union(intervals: Iterable[Interval], bridge_ms: int = 0) -> Times:
    """Return the set covered by any of some intervals, in any order; empty and reversed ones cover nothing.

    Args:
        intervals: Half-open intervals in ms.
        bridge_ms: Gaps up to this long are filled; 0 joins only what touches.

    Example:
        >>> union([(5, 9), (0, 3), (2, 4)])
        ((0, 4), (5, 9))
        >>> union([(5, 9), (0, 4)], bridge_ms=1)
        ((0, 9),)
    """
    found: list[Interval] = []
    for start_ms, end_ms in sorted(intervals):
        if end_ms <= start_ms:
            continue
        if found and start_ms - found[-1][1] <= bridge_ms:
            if end_ms > found[-1][1]:
                found[-1] = (found[-1][0], end_ms)
        else:
            found.append((start_ms, end_ms))
    return tuple(found)


def intersect(one: Times, other: Times) -> Times:
    """Return what lies in both sets.

    Example:
        >>> intersect(((0, 4), (5, 9)), ((3, 6),))
        ((3, 4), (5, 6))
    """
    found: list[Interval] = []
    at, to = 0, 0
    while at < len(one) and to < len(other):
        start_ms, end_ms = max(one[at][0], other[to][0]), min(one[at][1], other[to][1])
        if start_ms < end_ms:
            found.append((start_ms, end_ms))
        if one[at][1] <= other[to][1]:
            at += 1
        else:
            to += 1
    return tuple(found)


def subtract(one: Times, other: Times) -> Times:
    """Return what lies in the first set and not in the second.

    Example:
        >>> subtract(((0, 10),), ((3, 4), (8, 12)))
        ((0, 3), (4, 8))
    """
    found: list[Interval] = []
    at = 0
    for start_ms, end_ms in one:
        cursor_ms = start_ms
        while at < len(other) and other[at][1] <= start_ms:
            at += 1
        seen = at
        while seen < len(other) and other[seen][0] < end_ms:
            if other[seen][0] > cursor_ms:
                found.append((cursor_ms, other[seen][0]))
            cursor_ms = max(cursor_ms, other[seen][1])
            seen += 1
        if cursor_ms < end_ms:
            found.append((cursor_ms, end_ms))
    return tuple(found)


def clip(times: Times, start_ms: int, end_ms: int) -> Times:
    """Return what lies in one half-open range."""
    return intersect(times, ((start_ms, end_ms),)) if start_ms < end_ms else NOTHING


def length_ms(times: Times) -> int:
    """Return how long a set is, in ms."""
    return sum(end_ms - start_ms for start_ms, end_ms in times)


def first_ms_of(times: Times, wanted_ms: int) -> Times:
    """Return the earliest part of a set that is ``wanted_ms`` long, or all of it where it is shorter."""
    found: list[Interval] = []
    left_ms = wanted_ms
    for start_ms, end_ms in times:
        if left_ms <= 0:
            break
        taken_ms = min(left_ms, end_ms - start_ms)
        found.append((start_ms, start_ms + taken_ms))
        left_ms -= taken_ms
    return tuple(found)


def holding(times: Times, time_ms: int) -> Interval | None:
    """Return the interval of a set that holds an instant, or None."""
    at = bisect_right(times, (time_ms, 1 << 62)) - 1
    if at >= 0 and times[at][0] <= time_ms < times[at][1]:
        return times[at]
    return None


def by_pane(times: Times, pane_ms: int) -> Iterator[tuple[int, int]]:
    """Split a set at pane borders.

    Args:
        times: The set.
        pane_ms: Length of a pane; panes start at multiples of it.

    Yields:
        (pane start, ms of the set within the pane), panes ascending, none empty.
    """
    pending_ms, total_ms = -1, 0
    for start_ms, end_ms in times:
        cursor_ms = start_ms
        while cursor_ms < end_ms:
            pane_start_ms = cursor_ms - cursor_ms % pane_ms
            until_ms = min(end_ms, pane_start_ms + pane_ms)
            if pane_start_ms != pending_ms:
                if total_ms:
                    yield pending_ms, total_ms
                pending_ms, total_ms = pane_start_ms, 0
            total_ms += until_ms - cursor_ms
            cursor_ms = until_ms
    if total_ms:
        yield pending_ms, total_ms
