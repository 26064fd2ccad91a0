"""Scheduled time for the live rows: what the shifts of one subject put into each quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.core.facts import Fact
from streams.core.grants import permitted
from streams.core.policy import DIMENSIONS, HOUR_MS, QUARTER_MS, Dims
from streams.core.roster.intervals import by_pane
from streams.core.roster.roster_plan import PLACES, Shift, fold_roster

LONGEST_MS = 48 * HOUR_MS
"""The most that counts of one shift. Nobody works longer, and every quarter of an hour of it is a row."""


def scheduled(facts: Sequence[Fact]) -> Iterator[tuple[str, Dims, int, int]]:
    """Yield (name, dimensions, start of the quarter, person-time scheduled in it in ms) of the shifts that facts leave.

    Shifts of different subjects are added up, so people who are rostered twice count twice. ``roster_rows`` is exact.

    Args:
        facts: Facts of one subject in log order; those that are not of the roster are passed over.
    """
    for shift in fold_roster(permitted(facts)).shifts.values():
        people = len(shift.names) + shift.unnamed
        end_ms = min(shift.end_ms, shift.start_ms + LONGEST_MS)
        if people:
            for start_ms, amount_ms in by_pane(((shift.start_ms, end_ms),), QUARTER_MS):
                yield f"shift:{shift.shift_id}:{start_ms}", _dims(shift), start_ms, people * amount_ms


def _dims(shift: Shift) -> Dims:
    given = dict(zip(PLACES, shift.place, strict=True))
    return tuple(given.get(name) or None for name in DIMENSIONS)
