"""Scheduled time in the live rows: where, how much, and what takes it back."""

from __future__ import annotations

from typing import Any

from streams.core import counters as c
from streams.core.policy import DAY_MS, HOUR_MS, QUARTER_MS
from streams.core.roster.scheduled import LONGEST_MS, scheduled
from streams.models.timestamps import to_ms
from tests.core.harness import CoreRun, tick
from tests.oracle.case_events import START, at, event
from tests.quality.floor import facts_of

DAY_MIN = 24 * 60
START_MS = to_ms(START)


def shift(minute: float, begin: float, end: float, **data: Any) -> dict[str, Any]:
    body = {"shift_id": "s-1", "site": "KUL", "from": at(begin), "to": at(end), **data}
    return event("shift.scheduled", minute, body, task="roster-1")


def panes(run: CoreRun, scope: str, tier: int) -> dict[int, int]:
    """Scheduled person-time in ms by pane start in ms since ``START``."""
    for partition in range(len(run.stores)):
        run.flush(partition)
    state = run.floor.scopes[scope]
    found = {start - START_MS: state.pane_counters(tier, start).get(c.SCHEDULED_MS, 0) for start in state.panes[tier]}
    return {start: amount for start, amount in sorted(found.items()) if amount}


def test_person_time_by_quarter_in_every_scope_of_the_place() -> None:
    run = CoreRun()
    run.send([shift(0, 10, 40, labeler_ids=["ana", "ben"], headcount=3, team="t-1")])
    expected = {0: 3 * 5 * 60_000, QUARTER_MS: 3 * QUARTER_MS, 2 * QUARTER_MS: 3 * 10 * 60_000}
    for scope in ("all", "site=KUL", "team=t-1"):
        assert panes(run, scope, 1) == expected
        assert panes(run, scope, 2) == {0: sum(expected.values())}
    assert not [key for key in run.floor.scopes if "labeler" in key or "queue" in key]


def test_a_shift_sent_again_replaces_it_and_nobody_calls_it_off() -> None:
    run = CoreRun()
    run.send([shift(0, 60, 120, headcount=4), shift(1, 60, 90, headcount=2)], flush_every=1)
    assert panes(run, "all", 2) == {HOUR_MS: 2 * HOUR_MS // 2}
    run.send([shift(2, 60, 90, headcount=0)])
    assert panes(run, "all", 2) == {}


def test_a_shift_sent_weeks_ahead_can_be_changed_until_it_has_been() -> None:
    """The ledger lets go of a task when all it speaks of is older than the horizon: a shift speaks of its end."""
    run, ahead = CoreRun(), 20 * DAY_MIN
    run.send([shift(0, ahead, ahead + 60, headcount=4), tick(START_MS + 18 * DAY_MS)], flush_every=1)
    run.send([shift(18 * DAY_MIN, ahead, ahead + 60, headcount=1)], flush_every=1)
    assert panes(run, "all", 2) == {20 * DAY_MS: HOUR_MS}


def test_of_a_shift_without_end_two_days_count() -> None:
    (facts,) = facts_of([shift(0, 0, 400 * DAY_MIN, headcount=1)]).values()
    assert sum(amount for _, _, _, amount in scheduled(facts)) == LONGEST_MS
