"""The plan: shifts and breaks as their events leave them.

A shift sent again under its ``shift_id`` replaces the former one wholly, in log order. A shift without people is
cancelled. A break is a start and an end of one labeller, in any order of arrival.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from streams.core.facts import Fact, Roster
from streams.core.roster.intervals import Times, holding, union
from streams.models.events import BreakData, BreakEnded, BreakStarted, ShiftScheduled, ShiftScheduledData
from streams.models.timestamps import to_ms

_decode_shift: Any = msgspec.msgpack.Decoder(ShiftScheduledData).decode
_decode_break: Any = msgspec.msgpack.Decoder(BreakData).decode

PLACES = ("site", "vendor", "team", "queue")
"""The dimensions a shift may name."""

Place = tuple[str, str, str, str]
"""One value per entry of ``PLACES``; empty text where nobody said."""


class Shift(NamedTuple):
    """One rostered shift.

    Attributes:
        start_ms: From, half-open.
        end_ms: To.
        names: Who, sorted, each once.
        unnamed: How many more than the names the headcount says.
    """

    shift_id: str
    start_ms: int
    end_ms: int
    place: Place
    names: tuple[str, ...]
    unnamed: int


@dataclass
class RosterPlan:
    """Shifts and breaks.

    Attributes:
        shifts: By shift_id, as their last event leaves them; shifts that end before they begin are not among them.
        breaks: (start, true) and (end, false) marks by labeller, in log order.
        replaced: Shifts given again.
        reversed: Shifts that end before they begin, by shift_id: refused by this table, and counted.
    """

    shifts: dict[str, Shift] = field(default_factory=dict)
    breaks: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    replaced: int = 0
    reversed: set[str] = field(default_factory=set)


def fold_roster(facts: Iterable[Fact]) -> RosterPlan:
    """Return the plan that roster facts leave; other facts are passed over.

    Args:
        facts: In log order, duplicates taken out. The log's order is total per subject, so whoever sends a shift again
            keeps its subject.
    """
    plan = RosterPlan()
    for fact in facts:
        if type(fact) is not Roster:
            continue
        if fact.kind == ShiftScheduled.__name__:
            _take_shift(plan, _decode_shift(fact.data))
        elif fact.kind in (BreakStarted.__name__, BreakEnded.__name__):
            labeler_id = _decode_break(fact.data).labeler_id
            plan.breaks.setdefault(labeler_id, []).append((fact.time_ms, fact.kind == BreakStarted.__name__))
    return plan


def _take_shift(plan: RosterPlan, data: ShiftScheduledData) -> None:
    names = tuple(sorted(set(data.labeler_ids)))
    place = (data.site or "", data.vendor or "", data.team or "", data.queue or "")
    unnamed = max(0, (data.headcount or 0) - len(names))
    shift = Shift(data.shift_id, to_ms(data.from_), to_ms(data.to), place, names, unnamed)
    if plan.shifts.pop(shift.shift_id, None) is not None or shift.shift_id in plan.reversed:
        plan.replaced += 1
    plan.reversed.discard(shift.shift_id)
    if shift.end_ms <= shift.start_ms:
        plan.reversed.add(shift.shift_id)
    else:
        plan.shifts[shift.shift_id] = shift


def scheduled_by_person(shifts: Iterable[Shift]) -> dict[str, Times]:
    """Return when each named person is scheduled; overlapping shifts of one person are joined and counted once."""
    found: dict[str, list[tuple[int, int]]] = {}
    for shift in shifts:
        for name in shift.names:
            found.setdefault(name, []).append((shift.start_ms, shift.end_ms))
    return {name: union(spans) for name, spans in found.items()}


def break_times(marks: Iterable[tuple[int, bool]], scheduled: Times, until_ms: int) -> Times:
    """Return when one person was on break.

    A break begins at a start within the schedule and lasts to the first end after it, at most to the end of the
    scheduled stretch it began in (its end was then forgotten) and to now. A start while on break changes nothing; a start
    outside of the schedule is not a break.

    Args:
        marks: (time in ms, is a start), any order.
        scheduled: When the person is scheduled.
        until_ms: As of when.

    Returns:
        A set of time within ``scheduled``.
    """
    held = list(marks)
    ends = sorted(time_ms for time_ms, starts in held if not starts)
    spans: list[tuple[int, int]] = []
    for time_ms, starts in held:
        stretch = holding(scheduled, time_ms) if starts else None
        if stretch is None:
            continue
        at = bisect_right(ends, time_ms)
        told_ms = ends[at] if at < len(ends) else stretch[1]
        spans.append((time_ms, min(told_ms, stretch[1], until_ms)))
    return union(spans)
