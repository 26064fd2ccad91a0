"""Reminders, digests, quiet hours and flapping together: nothing lost, nothing twice, nothing after an acknowledgement."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import Input
from alerts.dues import is_end, is_reminder, told_now
from alerts.flapping import FlapPolicy
from alerts.incident import Ack, Tick, incident_key
from alerts.lifecycle import IncidentPolicy
from alerts.notice import Notice, is_digest
from alerts.oncall.policy import CalendarPolicy, WeeklyTimes
from alerts.routing.policy import RoutingPolicy
from alerts.signals import Signal
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_telling_replay import Mortal, _decided, _played, _sound, _states, routed

HOUR = 60
QUIET = CalendarPolicy("quiet", "UTC", (WeeklyTimes(tuple(range(7)), 22 * HOUR, 7 * HOUR),))
NAMES = ("floor", "a", "b")
FLAPS = IncidentPolicy(flapping=FlapPolicy(reopened=2))
KEYS = {"floor": incident_key("floor", "all", 1)} | {
    name: incident_key("the-rule", f"vendor={name}", 1) for name in "ab"
}


def rich() -> RoutingPolicy:
    """Vendors are pages of ``bpo`` with reminders and quiet hours but for pages; the floor is a warning in a digest of 09:00."""
    base = routed()
    own = {
        "default": {"renotify_ms": 3 * HOUR * MINUTE_MS, "digest_at_min": 9 * HOUR, "digest_severities": ("warn",)},
        "bpo": {"renotify_ms": HOUR * MINUTE_MS, "quiet": ("quiet",)},
    }
    routes = {name: structs.replace(route, **own.get(name, {})) for name, route in base.routes.items()}
    return structs.replace(base, routes=routes, calendars={"quiet": QUIET})


scripts = st.lists(
    st.tuples(
        st.sampled_from(
            [*NAMES, *NAMES, "floor off", "a off", "a off", "b off", "ack a", "ack floor", "tick", "tick", "mark"]
        ),
        st.sampled_from([0, 1, 6, 20, 70, 400]),
    ),
    min_size=2,
    max_size=24,
)


def inputs_of(script: list[tuple[str, int]]) -> list[Input]:
    """The script, each followed by its tick; then everything ends and three days pass.

    Only a ``mark`` tells event time, by which what nothing is heard of ends.
    """
    at_ms, found = NOW_MS, list[Input]()
    over = [(f"{name} off", 1) for name in NAMES]
    for what, minutes in [*script, *over, *[("mark", 6 * HOUR)] * 12]:
        at_ms += minutes * MINUTE_MS
        name, _, off = what.partition(" ")
        if name == "ack":
            found.append(Ack(KEYS[off], "mei", at_ms))
        elif name not in ("tick", "mark"):
            scope = {} if name == "floor" else {"vendor": name}
            key, rule = ("all", "floor") if name == "floor" else (f"vendor={name}", "the-rule")
            one = signal(not off, at_ms, rule=rule, scope=scope, scope_key=key, contributors=())
            found += [one, one] if off else [one]  # rules end after two quiet looks
        found.append(Tick(at_ms, at_ms if name == "mark" else None))
    return found


def in_order(log: Mortal) -> list[Notice]:
    return sorted(_decided(log).values(), key=lambda one: one.stamp)


def test_the_world_of_these_tests_has_all_of_it() -> None:
    script = [("floor", 0), ("a", 1), *[("a off", 20), ("a", 20)] * 2, ("a off", 1), ("mark", 70)]
    script += [("floor", 1), ("b", 1), ("tick", 70), ("tick", 400), ("tick", 400), ("tick", 400)]
    log, _ = asyncio.run(_played(inputs_of(script), 3, [], how=rich(), base=FLAPS))
    told = [(is_digest(notice.id), its.partition("-")[0]) for notice in in_order(log) for _, its in notice.members]
    assert {*told} >= {
        (False, "open"),
        (False, "flapping"),
        (False, "reminder"),
        (True, "reopened"),
        (True, "resolved"),
    }


@pytest.mark.slow
@given(scripts)
def test_who_was_told_of_a_beginning_is_told_of_its_end_once_and_nothing_twice(script: list[tuple[str, int]]) -> None:
    log, stage = asyncio.run(_played(inputs_of(script), 3, [], how=rich(), base=FLAPS))
    _sound(log, stage)
    open_to: dict[tuple[str, str], bool] = defaultdict(bool)
    for notice in in_order(log):
        for key, its in notice.members:
            for one in notice.targets:
                assert open_to[key, one.receiver] or not (is_end(its) or is_reminder(its)), f"{its} without a beginning"
                open_to[key, one.receiver] = not is_end(its)
    assert not any(open_to.values()), "an end was never told"
    for held in stage._state._incidents.values():
        assert told_now(held) == {}
        assert held.state == "resolved"


@pytest.mark.slow
@example([("a", 0), ("ack a", 1), ("tick", 70), ("tick", 70)])
@example([("a", 0), ("a off", 0), ("ack a", 0), ("a", 70)])
@given(scripts)
def test_nobody_is_reminded_after_an_acknowledgement_or_in_quiet_hours(script: list[tuple[str, int]]) -> None:
    inputs = inputs_of(script)
    log, _ = asyncio.run(_played(inputs, 3, [], how=rich(), base=FLAPS))
    taken: set[str] = set()
    live: set[str] = set()
    fires: dict[str, bool] = {}
    by_offset: dict[int, list[Notice]] = defaultdict(list)
    for notice in in_order(log):
        by_offset[notice.stamp.offset].append(notice)
    for offset, given_ in enumerate(inputs):
        if isinstance(given_, Signal):
            fires[incident_key(given_.rule, given_.scope_key, 1)] = given_.firing
        if isinstance(given_, Ack) and given_.key in live and fires[given_.key]:  # nobody takes what is over
            taken.add(given_.key)
        for notice in by_offset[offset]:
            hour = notice.at_ms // 3_600_000 % 24
            assert notice.route != "bpo" or 7 <= hour < 22, "told in quiet hours"
            for key, its in notice.members:
                if its.startswith(("open", "reopened", "flapping")):
                    taken.discard(key)
                    live.add(key)
                if is_end(its):
                    live.discard(key)
                    taken.discard(key)
                assert not (its.startswith(("reminder", "escalated")) and key in taken), "told of what somebody has"


@pytest.mark.slow
@given(scripts)
def test_what_is_told_is_bounded(script: list[tuple[str, int]]) -> None:
    inputs = inputs_of(script)
    log, _ = asyncio.run(_played(inputs, 3, [], how=rich(), base=FLAPS))
    minutes = (inputs[-1].at_ms - NOW_MS) / MINUTE_MS  # type: ignore[union-attr]
    by_group: dict[str, set[int]] = defaultdict(set)
    for notice in in_order(log):
        by_group[notice.group].add(notice.stamp.offset)
    for group, told in by_group.items():
        most = minutes / (24 * HOUR) + 2 if is_digest(group) else 1.5 * minutes / 5 + 2
        assert len(told) <= most


TWO_GROUPS_AT_ONE_TICK = [*[("floor", 0)] * 5, ("a", 0), ("floor", 70)]
"""A reminder of one group and an escalation of another are told at the same tick."""


@pytest.mark.slow
@example(TWO_GROUPS_AT_ONE_TICK, 3, [(5, 2)])
@example(TWO_GROUPS_AT_ONE_TICK, 3, [(5, 1)])
@given(scripts, st.integers(1, 5), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), max_size=4))
def test_batches_and_deaths_change_nothing(
    script: list[tuple[str, int]], flush_every: int, deaths: list[tuple[int, int]]
) -> None:
    inputs = inputs_of(script)
    calm, calm_stage = asyncio.run(_played(inputs, 1, [], how=rich(), base=FLAPS))
    rough, rough_stage = asyncio.run(_played(inputs, flush_every, deaths, how=rich(), base=FLAPS))
    _sound(rough, rough_stage)
    assert rough.notes.keys() == calm.notes.keys()
    assert _states(rough_stage) == _states(calm_stage)
