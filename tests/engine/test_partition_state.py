"""The phases of a partition: what may follow what, and that nothing else does."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from streams.engine.errors import Invariant
from streams.engine.partition_state import TRANSITIONS, PartitionState, Phase, marked

LEGAL = {
    "recovering": "active fenced closed",
    "active": "parked fenced failed closed",
    "parked": "active fenced failed closed",
    "fenced": "failed closed",
    "failed": "closed",
    "closed": "",
}
"""Written out a second time, so that a change of the table is a decision."""


def state_in(phase: Phase) -> PartitionState:
    owned = PartitionState(3, processor=None)  # type: ignore[arg-type]
    owned.phase = phase
    return owned


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_a_phase_follows_another_as_the_table_says(before: Phase, after: Phase) -> None:
    owned = state_in(before)
    if after.value in LEGAL[before.value].split():
        owned.to(after)
        assert owned.phase is after
    else:
        with pytest.raises(Invariant, match=f"partition 3 is {before.value} and cannot become {after.value}"):
            owned.to(after)
        assert owned.phase is before


def test_the_table_has_every_phase_and_each_can_be_reached_and_left_for_good() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert set().union(*TRANSITIONS.values()) == set(Phase) - {Phase.RECOVERING}
    assert [phase for phase in Phase if phase is not Phase.CLOSED and Phase.CLOSED not in TRANSITIONS[phase]] == []


@pytest.mark.parametrize(
    ("event", "outcomes"),
    [
        (PartitionState.recovered, {"recovering": "active"}),
        (PartitionState.reassigned, {"parked": "active"}),
        (PartitionState.park, {"active": "parked"}),
        (lambda owned: owned.fence(5.0), {"recovering": "fenced", "active": "fenced", "parked": "fenced"}),
        (PartitionState.fail, {"active": "failed", "parked": "failed", "fenced": "failed"}),
        (PartitionState.close, dict.fromkeys(LEGAL, "closed")),
    ],
    ids=["recovered", "reassigned", "park", "fence", "fail", "close"],
)
def test_an_event_changes_only_phases_it_is_about(event: Any, outcomes: dict[str, str]) -> None:
    impossible = {PartitionState.fail: {"recovering"}}.get(event, set())  # nothing is folded or flushed then
    for phase in Phase:
        if phase.value not in impossible:
            owned = state_in(phase)
            event(owned)
            assert owned.phase.value == outcomes.get(phase.value, phase.value)


def test_a_worker_fenced_during_recovery_stays_fenced_but_is_not_waited_for() -> None:
    owned = state_in(Phase.RECOVERING)
    assert owned.fence(7.0)
    assert not owned.fence(9.0)
    owned.recovered()
    assert owned.ready.is_set()
    assert (owned.phase, owned.fenced_s, owned.active) == (Phase.FENCED, 7.0, False)


def test_only_an_active_partition_is_parked() -> None:
    parked = {phase.value for phase in Phase if state_in(phase).park()}
    assert parked == {"active", "parked"}


def test_work_that_ends_half_way_fails_the_partition_unless_it_was_given_back() -> None:
    for phase, after in ((Phase.ACTIVE, Phase.FAILED), (Phase.PARKED, Phase.FAILED), (Phase.CLOSED, Phase.CLOSED)):
        owned = state_in(phase)
        with pytest.raises(ZeroDivisionError), marked(owned):
            _ = 1 / 0
        owned.reassigned()
        assert owned.phase is after
