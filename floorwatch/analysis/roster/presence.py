"""Presence: what one scheduled person did, as sets of time.

The log has labels, claims and breaks, but no log-ins. So presence is inferred from these: a gap longer than ``away_ms``
is away time, and a shorter gap is available and idle. A person with nothing to do causes no events either. So on a
queue without work, waiting looks like being away, and adherence is too low.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from streams.core.policy import MINUTE_MS
from streams.core.roster.intervals import Times, clip, first_ms_of, intersect, length_ms, subtract, union

PERMILLE = 1000


@dataclass(frozen=True)
class RosterPolicy:
    """All that shapes the roster's numbers.

    Attributes:
        away_ms: A longer stretch without a sign is away. 15 minutes are longer than nearly any handle time and shorter
            than a meal.
        break_allowance_permille: Planned breaks, in thousandths of each scheduled stretch: 125 is an hour in eight.
            Breaks beyond are exceptions to the schedule.
        occupancy_target_permille: Share of available time that may be spent handling: 850, because people who are
            busier for a long time slow down or leave.
        shrinkage_permille: Used for required headcount where none could be measured.
        min_measured_ms: Least scheduled time of named people for a measured shrinkage to be used.
    """

    away_ms: int = 15 * MINUTE_MS
    break_allowance_permille: int = 125
    occupancy_target_permille: int = 850
    shrinkage_permille: int = 300
    min_measured_ms: int = 8 * 60 * MINUTE_MS


class Presence(NamedTuple):
    """One person's time, as sets; all but ``overtime`` lie within ``scheduled``.

    ``handling``, ``idle``, ``on_break`` and ``away`` are disjoint and together are ``scheduled``; ``exception`` is
    ``away`` and the part of ``on_break`` beyond the allowance; ``overtime`` is handling outside the schedule.
    """

    scheduled: Times
    handling: Times
    idle: Times
    on_break: Times
    away: Times
    exception: Times
    overtime: Times


def presence_of(
    scheduled: Times, handled: Iterable[tuple[int, int]], breaks: Times, until_ms: int, policy: RosterPolicy
) -> Presence:
    """Return what one person did of the schedule up to now.

    Handling takes precedence over a break: a person who labels is not on break. An instant sign (a claim, a label
        without a start) counts as
    a millisecond.

    Args:
        scheduled: When the person is scheduled.
        handled: (start, end) of every label and sign of the person, any order; overlapping ones count once.
        breaks: When the person was on break.
        until_ms: As of when; later schedule is not judged.
        policy: Bounds.
    """
    due = clip(scheduled, scheduled[0][0], until_ms) if scheduled else ()
    busy = union((start_ms, max(end_ms, start_ms + 1)) for start_ms, end_ms in handled if start_ms < until_ms)
    handling = intersect(due, busy)
    on_break = subtract(intersect(due, breaks), busy)
    signs = union([*handling, *on_break])
    idle_or_away = subtract(due, signs)
    away: list[tuple[int, int]] = []
    for start_ms, end_ms in idle_or_away:
        # A gap is judged as a whole; scheduled stretches never touch.
        if end_ms - start_ms > policy.away_ms:
            away.append((start_ms, end_ms))
    gone = union(away)
    planned: list[tuple[int, int]] = []
    for stretch in scheduled:
        allowed_ms = (stretch[1] - stretch[0]) * policy.break_allowance_permille // PERMILLE
        planned += first_ms_of(clip(on_break, *stretch), allowed_ms)
    return Presence(
        scheduled=due,
        handling=handling,
        idle=subtract(idle_or_away, gone),
        on_break=on_break,
        away=gone,
        exception=union([*gone, *subtract(on_break, union(planned))]),
        overtime=subtract(clip(busy, busy[0][0], until_ms) if busy else (), scheduled),
    )


def total_ms(presence: Presence) -> dict[str, int]:
    """Return the length of each set, by name."""
    return {name: length_ms(times) for name, times in presence._asdict().items()}
