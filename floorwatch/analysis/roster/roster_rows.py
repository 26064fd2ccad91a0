"""Roster rows: integers per scope and pane, to be added up over panes, and the measures read from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from floorwatch.analysis.people.standing_labels import StandingLabel
from floorwatch.analysis.roster.headcount import required_headcount
from floorwatch.analysis.roster.presence import PERMILLE, RosterPolicy, presence_of
from streams.core.policy import HOUR_MS
from streams.core.roster.intervals import Times, by_pane, clip, union
from streams.core.roster.roster_plan import PLACES, Place, RosterPlan, Shift, break_times, scheduled_by_person

Scope = tuple[tuple[str, str], ...]
"""(dimension, value) pairs in the order of ``PLACES``; empty for the whole floor."""

FIELDS = (
    *("scheduled_ms", "named_ms", "handling_ms", "idle_ms", "break_ms", "away_ms", "exception_ms", "overtime_ms"),
    *("headcount_handling_ms", "labels", "handled", "handle_ms", "arrivals"),
)
"""The integers of a row.

``scheduled_ms`` is person-time rostered and ``named_ms`` the part with names; only for that part is it known who was
away. ``handling_ms`` … ``away_ms`` add up to ``named_ms`` up to now; ``headcount_handling_ms`` is handling by people
whom no roster of the scope names, within the headcount rostered without names. ``labels``, ``handled``, ``handle_ms``
are the scope's own labels, ``arrivals`` the labels its new tasks ask for.
"""

Row = dict[str, int]


class Arrival(NamedTuple):
    """A task that came: when, where, and how many labels it asks for."""

    time_ms: int
    place: Place
    labels: int


class ClaimEvent(NamedTuple):
    """An instant at which somebody was at work: a claim."""

    time_ms: int
    labeler_id: str


class Activity(NamedTuple):
    """Everything but the plan."""

    works: Sequence[StandingLabel]
    signs: Sequence[ClaimEvent] = ()
    arrivals: Sequence[Arrival] = ()


def place_of(work: StandingLabel) -> Place:
    """Return where a label was made."""
    return work.site, work.vendor, work.team, work.queue


def scope_of(place: Place, by: Sequence[str]) -> Scope:
    """Return the scope of one kind that a place lies in; an unsaid dimension is the empty text."""
    return tuple((name, place[PLACES.index(name)]) for name in by)


class _RangeRows:
    """Rows of all scopes of one kind within one range."""

    def __init__(self, start_ms: int, end_ms: int, pane_ms: int) -> None:
        self.start_ms, self.end_ms, self.pane_ms = start_ms, end_ms, pane_ms
        self.rows: dict[Scope, dict[int, Row]] = {}

    def row(self, scope: Scope, pane_ms: int) -> Row:
        panes = self.rows.setdefault(scope, {})
        if pane_ms not in panes:
            panes[pane_ms] = dict.fromkeys(FIELDS, 0)
        return panes[pane_ms]

    def add(self, scope: Scope, field: str, times: Times, people: int = 1) -> None:
        for pane_ms, amount_ms in by_pane(clip(times, self.start_ms, self.end_ms), self.pane_ms):
            self.row(scope, pane_ms)[field] += people * amount_ms

    def count(self, scope: Scope, time_ms: int, **amounts: int) -> None:
        if self.start_ms <= time_ms < self.end_ms:
            row = self.row(scope, time_ms - time_ms % self.pane_ms)
            for field, amount in amounts.items():
                row[field] += amount


def roster_rows(
    plan: RosterPlan,
    activity: Activity,
    by: Sequence[str],
    span: tuple[int, int],
    until_ms: int,
    policy: RosterPolicy,
    pane_ms: int = HOUR_MS,
) -> dict[Scope, dict[int, Row]]:
    """Return the row of every scope of one kind and every pane.

    A person is rostered in a scope by shifts; what the person handles meanwhile counts as handling there, on any queue,
    because it is not idle time. Scopes with several shifts of one person at once count the person once; so scheduled
    time of a wide scope may be less than the sum of its parts.

    Args:
        plan: Shifts and breaks.
        activity: Labels, claims, arrivals of the whole floor.
        by: Dimensions of the scopes, of ``PLACES``; empty for the whole floor.
        span: Half-open range in ms, on pane borders.
        until_ms: As of when (the watermark): later time is scheduled, not judged.
        policy: Bounds.
        pane_ms: Length of a pane.

    Returns:
        Integers by scope, by pane start; panes where nothing was are missing.
    """
    rows = _RangeRows(*span, pane_ms)
    handled = _handled_by_person(activity)
    shifts: dict[Scope, list[Shift]] = {}
    for shift in plan.shifts.values():
        shifts.setdefault(scope_of(shift.place, by), []).append(shift)
    named: dict[Scope, dict[str, Times]] = {}
    for scope, own in shifts.items():
        named[scope] = scheduled_by_person(own)
        for name, scheduled in named[scope].items():
            rows.add(scope, "scheduled_ms", scheduled)
            breaks = break_times(plan.breaks.get(name, ()), scheduled, until_ms)
            _add_presence(rows, scope, presence_of(scheduled, handled.get(name, ()), breaks, until_ms, policy))
        for shift in own:
            if shift.unnamed:
                rows.add(scope, "scheduled_ms", ((shift.start_ms, shift.end_ms),), shift.unnamed)
    _add_headcount(rows, activity.works, by, shifts, named, until_ms)
    for work in activity.works:
        timed = work.handle_ms is not None
        counts = {"labels": 1, "handled": int(timed), "handle_ms": work.handle_ms or 0}
        rows.count(scope_of(place_of(work), by), work.time_ms, **counts)
    for arrival in activity.arrivals:
        rows.count(scope_of(arrival.place, by), arrival.time_ms, arrivals=arrival.labels)
    return rows.rows


def _handled_by_person(activity: Activity) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for work in activity.works:
        found.setdefault(work.labeler_id, []).append((work.start_ms, work.time_ms))
    for sign in activity.signs:
        found.setdefault(sign.labeler_id, []).append((sign.time_ms, sign.time_ms))
    return found


def _add_presence(rows: _RangeRows, scope: Scope, presence: Any) -> None:
    rows.add(scope, "named_ms", presence.scheduled)
    rows.add(scope, "handling_ms", presence.handling)
    rows.add(scope, "idle_ms", presence.idle)
    rows.add(scope, "break_ms", presence.on_break)
    rows.add(scope, "away_ms", presence.away)
    rows.add(scope, "exception_ms", presence.exception)
    rows.add(scope, "overtime_ms", presence.overtime)


def _add_headcount(
    rows: _RangeRows,
    works: Iterable[StandingLabel],
    by: Sequence[str],
    shifts: Mapping[Scope, list[Shift]],
    named: Mapping[Scope, Mapping[str, Times]],
    until_ms: int,
) -> None:
    """Add what people without a named shift handled, up to the unnamed headcount of each pane."""
    counted = {scope for scope, own in shifts.items() if any(shift.unnamed for shift in own)}
    if not counted:
        return
    others: dict[Scope, dict[str, list[tuple[int, int]]]] = {}
    for work in works:
        scope = scope_of(place_of(work), by)
        if scope in counted and work.labeler_id not in named[scope]:
            others.setdefault(scope, {}).setdefault(work.labeler_id, []).append((work.start_ms, work.time_ms))
    for scope in counted:
        room: dict[int, int] = {}
        for shift in shifts[scope]:
            span = clip(((shift.start_ms, min(shift.end_ms, until_ms)),), rows.start_ms, rows.end_ms)
            for pane_ms, amount_ms in by_pane(span, rows.pane_ms):
                room[pane_ms] = room.get(pane_ms, 0) + shift.unnamed * amount_ms
        spent: dict[int, int] = {}
        for spans in others.get(scope, {}).values():
            for pane_ms, amount_ms in by_pane(clip(union(spans), rows.start_ms, rows.end_ms), rows.pane_ms):
                spent[pane_ms] = spent.get(pane_ms, 0) + amount_ms
        for pane_ms, amount_ms in room.items():
            row = rows.row(scope, pane_ms)
            used_ms = min(amount_ms, spent.get(pane_ms, 0))
            row["headcount_handling_ms"] += used_ms
            # Without names, idle and away time cannot be distinguished, so all of it is available.
            row["idle_ms"] += amount_ms - used_ms


def add_rows(rows: Iterable[Row]) -> Row:
    """Return the sum of rows: panes of a day, or of scopes that do not overlap."""
    total = dict.fromkeys(FIELDS, 0)
    for row in rows:
        for field in FIELDS:
            total[field] += row[field]
    return total


def _required_h(row: Row, occupancy_permille: int, shrinkage_permille: int) -> float | None:
    """Return the hours that must be scheduled by the fluid rule, not rounded; None where no handle time is known."""
    if not row["handled"] or shrinkage_permille >= PERMILLE:
        return None
    work_h = row["arrivals"] * row["handle_ms"] / row["handled"] / HOUR_MS
    return work_h * PERMILLE * PERMILLE / (occupancy_permille * (PERMILLE - shrinkage_permille))


def measures(row: Row, span_ms: int, policy: RosterPolicy, shrinkage_permille: int | None = None) -> dict[str, Any]:
    """Return what people see of a row (formulas: docs/roster.md).

    occupancy = handling/(handling + idle available); adherence = 100·max(0, 1 − exception/scheduled); conformance =
    100·actual/scheduled with actual = scheduled − exception + overtime; shrinkage = unavailable/scheduled with unavailable
    = break + away. The last three are of named people up to now.

    Args:
        row: The integers.
        span_ms: Length of the range the row covers.
        policy: Targets.
        shrinkage_permille: Used for required headcount; None takes the row's own where enough was measured.

    Returns:
        Hours, shares and heads; None where there is nothing to divide by.
    """
    named_ms = row["named_ms"]
    handling_ms = row["handling_ms"] + row["headcount_handling_ms"]
    available_ms = handling_ms + row["idle_ms"]
    unavailable_ms = row["break_ms"] + row["away_ms"]
    used, measured = shrinkage_permille, False
    if used is None:
        measured = named_ms >= policy.min_measured_ms
        used = unavailable_ms * PERMILLE // named_ms if measured else policy.shrinkage_permille
    required = required_headcount(
        row["arrivals"], row["handle_ms"], row["handled"], span_ms, policy.occupancy_target_permille, used
    )
    return {
        "scheduled_h": row["scheduled_ms"] / HOUR_MS,
        "staffed_h": (row["scheduled_ms"] - row["break_ms"]) / HOUR_MS,
        "scheduled_heads": row["scheduled_ms"] / span_ms,
        "occupancy_ratio": handling_ms / available_ms if available_ms else None,
        "adherence_percent": 100 * max(0.0, 1 - row["exception_ms"] / named_ms) if named_ms else None,
        "conformance_percent": 100 * (named_ms - row["exception_ms"] + row["overtime_ms"]) / named_ms
        if named_ms
        else None,
        "shrinkage_ratio": unavailable_ms / named_ms if named_ms else None,
        "labels": row["labels"],
        "arrivals": row["arrivals"],
        "handle_ms_mean": row["handle_ms"] / row["handled"] if row["handled"] else None,
        "required_h": _required_h(row, policy.occupancy_target_permille, used),
        "required_heads": required,
        "shrinkage_used_ratio": used / PERMILLE,
        "shrinkage_measured": measured,
    }
