"""The stage killed between any two of its writes while people plan: whoever is told, and who is not, stays as it was decided."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import Input
from alerts.incident import Maintenance, Override, Tick
from alerts.oncall.policy import RotaLayer, SchedulePolicy
from alerts.routing.policy import PersonPolicy, RoutePolicy, RoutingPolicy
from tests.alerts import test_telling_replay as replay
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS

LONG_MS = 8 * 60 * MINUTE_MS


def routed(_name: str = "ops") -> RoutingPolicy:
    """Vendors are told to whoever is on duty: mei, unless somebody takes the schedule."""
    routes = {
        "default": RoutePolicy("default", ("channel:ops",), group_interval_ms=5 * MINUTE_MS),
        "bpo": RoutePolicy("bpo", ("schedule:kul",), group_interval_ms=5 * MINUTE_MS),
        "lead": RoutePolicy("lead", ("schedule:kul", "channel:lead")),
        "manager": RoutePolicy("manager", ("channel:boss",)),
    }
    channels = ("ops", "lead", "boss", "mei", "ana")
    people = {name: PersonPolicy(name, "UTC", {"warn": (name,)}) for name in ("mei", "ana")}
    schedule = SchedulePolicy("kul", "UTC", (RotaLayer(("mei",), "2026-01-01T00:00", 24),))
    return RoutingPolicy(
        routes, rule_routes={"the-rule": "bpo"}, channels=channels, people=people, schedules={"kul": schedule}
    )


@pytest.fixture(autouse=True)
def _duty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "routed", routed)


scripts = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a off", "b off", "hold a", "free a", "ana", "mei", "tick", "tick"]),
        st.sampled_from([0, 1, 4, 6, 20]),
    ),
    min_size=2,
    max_size=14,
)


def inputs_of(script: list[tuple[str, int]]) -> list[Input]:
    """Signals and plans, each followed by a tick."""
    at_ms, found = NOW_MS, list[Input]()
    for what, minutes in script:
        at_ms += minutes * MINUTE_MS
        name, _, off = what.partition(" ")
        window = Maintenance("w", ("vendor=a",), NOW_MS, NOW_MS + LONG_MS, "ann", at_ms)
        turn = Override("o", "kul", "ana", NOW_MS, NOW_MS + LONG_MS, "ann", at_ms)
        match name:
            case "hold" | "free":
                found.append(structs.replace(window, removed=name == "free"))
            case "ana" | "mei":
                found.append(structs.replace(turn, removed=name == "mei"))
            case "a" | "b":
                more: dict[str, Any] = {"rule": "the-rule", "scope": {"vendor": name}, "contributors": ()}
                found.append(signal(not off, at_ms, scope_key=f"vendor={name}", **more))
        found.append(Tick(at_ms, at_ms))
    return found


def told_at(log: replay.Mortal) -> dict[str, int]:
    """When each message was decided (wall time of its tick)."""
    return {name: notice.at_ms for name, notice in replay._decided(log).items()}


@pytest.mark.slow
@given(scripts, st.integers(1, 6), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=4))
def test_a_kill_changes_neither_who_is_told_nor_when(
    script: list[tuple[str, int]], flush_every: int, deaths: list[tuple[int, int]]
) -> None:
    inputs = inputs_of(script)
    calm, calm_stage = asyncio.run(replay._played(inputs, flush_every, []))
    replay._sound(calm, calm_stage)
    rough, rough_stage = asyncio.run(replay._played(inputs, flush_every, deaths))
    replay._sound(rough, rough_stage)
    assert told_at(rough) == told_at(calm)
    assert replay._states(rough_stage) == replay._states(calm_stage)
    assert rough_stage._state.plans() == calm_stage._state.plans()


def test_a_tick_that_is_folded_again_sees_the_windows_and_the_duty_of_then() -> None:
    """Killed behind the record that ends what held the first tick back: folded again, that tick still tells nobody."""
    inputs = [Tick(NOW_MS), *inputs_of([("hold a", 0), ("a", 0), ("ana", 3), ("free a", 3), ("tick", 0)])]
    calm, _ = asyncio.run(replay._played(inputs, 1, []))
    assert told_at(calm) == {next(iter(calm.notes)): NOW_MS + 6 * MINUTE_MS}
    assert [one.channels for one in calm.notes.values()] == [("ana",)]
    for records in range(
        1, len(inputs) + 1
    ):  # of four, the second flush begins with a tick that is held and ends with the end
        for flush, write in product(range(3), range(8)):
            rough, stage = asyncio.run(replay._played(inputs, records, [(flush, write)]))
            replay._sound(rough, stage)
            assert told_at(rough) == told_at(calm), (records, flush, write)
