"""Exposure against a naive meter that looks at every millisecond."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floorwatch.analysis.people.exposure import dose_of, exposure_of, pieces_of
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.rotation import present_weight_milli, queue_loads, rotations
from tests.people.floor import BASE, DAY, HOUR, MINUTE, work
from tests.support import size

SMALL = PeoplePolicy(
    exposure_cap_ms=20, exposure_window_ms=60, exposure_pace_ms=10, exposure_ahead_ms=15,
    severity_milli={"hard": 2000, "mild": 300}, other_severity_milli=1000,
)  # fmt: skip
LABELS = st.lists(
    st.tuples(st.integers(1, 100), st.integers(0, 30), st.sampled_from(["hard", "mild", "other"])), max_size=10
)


def made(labels):
    return [work(n, at=at, handle=handle, policy=policy) for n, (at, handle, policy) in enumerate(labels)]


def weights(labels) -> dict[int, int]:
    """The weight of every ms, by a table."""
    found: dict[int, int] = {}
    for at, handle, policy in labels:
        for ms in range(at - handle, at):
            found[ms] = max(found.get(ms, 0), SMALL.weight_milli(policy))
    return found


@given(LABELS, st.integers(0, 120), st.integers(0, 120))
def test_the_dose_is_the_greatest_weight_of_every_ms(labels, start, end):
    pieces = pieces_of(made(labels), SMALL)
    expected = sum(weight for ms, weight in weights(labels).items() if start <= ms < end)
    assert dose_of(pieces, BASE + start, BASE + end) == expected
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(pieces))


@pytest.mark.slow
@given(LABELS, st.one_of(st.none(), st.integers(100, 220)))
@settings(max_examples=size(150, 1000))
def test_the_cap_is_reached_when_a_walk_ms_by_ms_reaches_it(labels, until):
    now = 100
    found = exposure_of(pieces_of(made(labels), SMALL), BASE + now, SMALL, None if until is None else BASE + until)
    table = weights(labels)
    pace = sum(table.get(ms, 0) for ms in range(now - 10, now)) / 10
    last = min(now + 60, now + 60 if until is None else until)

    def dose(at: int) -> float:
        past = sum(table.get(ms, 0) for ms in range(at - 60, min(at, now)))
        return past + pace * max(0, at - now)

    assert found.dose_ms == int(dose(now)) // 1000
    assert found.over == (dose(now) >= 20_000)
    # 1e-6: the walk adds floats
    reached = next((at for at in range(now, last + 1) if dose(at) >= 20_000 - 1e-6), None)
    if found.over or reached is not None:
        assert found.reached_ms == BASE + reached
    else:
        assert found.reached_ms is None
    ahead = reached is not None and not found.over and reached <= now + 15
    assert found.warn == ahead


def test_two_open_tabs_are_not_twice_the_time_and_active_time_counts_where_it_is_measured():
    policy = PeoplePolicy()
    works = [work(1, at=HOUR, handle=HOUR), work(2, at=HOUR, handle=30 * MINUTE)]
    assert exposure_of(pieces_of(works, policy), BASE + HOUR, policy).dose_ms == HOUR
    active = [works[0]._replace(active_ms=20 * MINUTE)]
    assert exposure_of(pieces_of(active, policy), BASE + HOUR, policy).dose_ms == 20 * MINUTE


def test_a_working_day_by_hand():
    """Steady work from 00:00: at 03:00, 3 h are spent and the cap of 4 h is an hour away; the warning comes at 02:00."""
    policy = PeoplePolicy()
    works = [work(n, at=(n + 1) * MINUTE, handle=MINUTE) for n in range(180)]
    found = exposure_of(pieces_of(works, policy), BASE + 3 * HOUR, policy)
    assert (found.dose_ms, found.pace_ratio, found.reached_ms) == (3 * HOUR, 1.0, BASE + 4 * HOUR)
    assert found.warn
    assert not found.over
    early = exposure_of(pieces_of(works[:119], policy), BASE + 119 * MINUTE, policy)
    assert not early.warn
    # the shift ends at 03:30: at this pace the cap is not reached
    assert exposure_of(pieces_of(works, policy), BASE + 3 * HOUR, policy, BASE + 210 * MINUTE).reached_ms is None
    # a day later all of it has left the window
    assert exposure_of(pieces_of(works, policy), BASE + 3 * HOUR + DAY, policy).dose_ms == 0


def test_rotation_goes_to_milder_known_queues_in_need():
    policy = PeoplePolicy(severity_milli={"gore": 3000, "spam": 100}, other_severity_milli=1000)
    floor = [
        work(1, "a", HOUR, HOUR, queue="dark", policy="gore"),
        work(2, "a", 2 * HOUR, 10 * MINUTE, queue="ads", policy="spam"),
        work(3, "b", 2 * HOUR, 30 * MINUTE, queue="new", policy="spam"),
        work(4, "b", 2 * HOUR, 30 * MINUTE, queue="idle", policy="spam"),
        work(5, "b", 2 * HOUR, 30 * MINUTE, queue="worse", policy="gore"),
        work(6, "b", 2 * HOUR, 30 * MINUTE, queue="mixed", policy="gore"),
        work(7, "b", 2 * HOUR, 60 * MINUTE, queue="mixed", policy="other"),
    ]
    loads = queue_loads(floor, policy)
    assert loads["mixed"].weight_milli == (30 * 3000 + 60 * 1000) // 90
    exposure = exposure_of(pieces_of(floor[:1], policy), BASE + HOUR, policy)
    assert exposure.dose_ms == 3 * HOUR
    assert present_weight_milli(floor[:1], policy) == 3000
    found = rotations("a", exposure, 3000, loads, {"ads": 2, "new": 90, "worse": 99, "mixed": 10})
    assert [(item.queue, item.known, item.open_tasks) for item in found] == [
        ("ads", True, 2), ("new", False, 90), ("mixed", False, 10),
    ]  # fmt: skip
    assert found[0].lasts_ms == 10 * HOUR
    assert found[0].open_ms == 20 * MINUTE
