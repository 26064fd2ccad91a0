"""The stage killed between any two of its writes, with groups, routes and inhibition: what was decided once stays decided."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import Input, decode_group, encode_input
from alerts.dues import told_now
from alerts.incident import Ack, Override, Silence, Tick, incident_key
from alerts.lifecycle import IncidentPolicy
from alerts.notice import Notice
from alerts.outgoing import Notification
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from alerts.signals import Contributor
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import IncidentsStage
from streams.core.records import Record
from tests.alerts.incident_world import FLOOR, INCIDENTS, VENDOR, Killed
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_requests import Log

NOTICES = "f.notices.v1"
RULES = (FLOOR, VENDOR)


def routed(name: str = "ops") -> RoutingPolicy:
    """Vendors are told to ``bpo`` and ``ops``, all else to ``ops``; ``name`` is another channel after a change."""
    routes = {
        "default": RoutePolicy("default", (f"channel:{name}",), group_interval_ms=5 * MINUTE_MS),
        "bpo": RoutePolicy("bpo", ("channel:bpo", f"channel:{name}"), group_interval_ms=5 * MINUTE_MS),
        "lead": RoutePolicy("lead", ("channel:lead",)),
        "manager": RoutePolicy("manager", ("channel:boss",)),
    }
    return RoutingPolicy(routes, rule_routes={"the-rule": "bpo"}, channels=("ops", "new", "bpo", "lead", "boss"))


class Mortal(Log):
    """A log, and an outbox that knows ids, whose writer is killed before the n-th write from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None

    def _one_more(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    async def append(self, topic: str, partition: int, records: Any) -> None:
        self._one_more()
        records = list(records)
        if self.left is not None and len(records) > 1:  # a batch may be cut short
            await super().append(topic, partition, records[:1])
            self._one_more()
            records = records[1:]
        await super().append(topic, partition, records)

    async def enqueue(self, note: Notification) -> None:
        self._one_more()
        await super().enqueue(note)


scripts = st.lists(
    st.tuples(
        st.sampled_from(["floor", "a", "b", "floor off", "a off", "b off", "ack a", "silence floor", "tick", "tick"]),
        st.sampled_from([0, 1, 4, 6, 20]),
    ),
    min_size=2,
    max_size=14,
)


def _inputs(script: list[tuple[str, int]]) -> list[Input]:
    at_ms, inputs = NOW_MS, list[Input]()
    for what, minutes in script:
        at_ms += minutes * MINUTE_MS
        name, _, off = what.partition(" ")
        if name == "ack":
            inputs.append(Ack(incident_key("the-rule", "vendor=a", 1), "mei", at_ms))
        elif name == "silence":
            inputs.append(Silence(incident_key("floor", "all", 1), "mei", at_ms, at_ms + 10 * MINUTE_MS))
        elif name != "tick":
            scope = {} if name == "floor" else {"vendor": name}
            more: dict[str, Any] = {"rule": "floor" if name == "floor" else "the-rule", "scope": scope}
            parts = (Contributor("vendor", "b", -5.0, 100, ""),) if name == "floor" else ()
            key = "all" if name == "floor" else f"vendor={name}"
            inputs.append(signal(not off, at_ms, scope_key=key, contributors=parts, **more))
        inputs.append(Tick(at_ms, at_ms))
    return inputs


async def _played(
    inputs: list[Input],
    flush_every: int,
    deaths: list[tuple[int, int]],
    *,
    changed: bool = False,
    how: RoutingPolicy | None = None,
    base: IncidentPolicy | None = None,
) -> tuple[Mortal, IncidentsStage]:
    """Fold some records a flush; a death (flush, write) kills the worker there. ``changed``: the next one has other receivers."""
    log, policy = Mortal(), how or routed()

    async def begin() -> IncidentsStage:
        made: Any = IncidentsStage
        stage: IncidentsStage = made(
            0, RULES, TopicNames("f.", 1), log, log, log, "f:", log, base, policy, clock=lambda: NOW_MS
        )
        await stage.recover()
        return stage

    stage, flushes = await begin(), 0
    while log.committed < len(inputs):
        end = min(len(inputs), log.committed + flush_every)
        stage.fold([Record(n, NOW_MS, None, encode_input(inputs[n])) for n in range(log.committed, end)])
        due = [write for at, write in deaths if at == flushes]
        flushes += 1
        log.left = due[0] if due else None
        try:
            await stage.flush()
        except Killed:
            policy = routed("new") if changed else policy
            stage = await begin()
            continue
        log.left = None
        log.committed = end
    return log, stage


def _decided(log: Mortal) -> dict[str, Notice]:
    found: dict[str, Notice] = {}
    for record in log.records.get(NOTICES, []):
        if (record.key or b"").startswith((b"~", b"+", b"=", b"!")):
            continue
        for notice in decode_group(record.value or b"").notices:
            assert found.setdefault(notice.id, notice).targets == notice.targets, "a decision was made anew"
    return found


def _sound(log: Mortal, stage: IncidentsStage) -> None:
    """What was decided was told, as it was decided and once; what was not told is explained."""
    decided = _decided(log)
    assert log.notes.keys() == decided.keys()
    for name, notice in decided.items():
        assert log.notes[name].channels == tuple(to for target in notice.targets for to in target.channels)
    told = Counter(
        (key, step, target.receiver)
        for notice in decided.values()
        for key, step in notice.members
        for target in notice.targets
    )
    assert not [one for one, times in told.items() if times > 1]
    for held in stage._state._incidents.values():
        for entry in held.told_people:
            assert (held.key, entry.step, entry.receiver) in told
        if held.state in ("open", "escalated"):
            assert held.held or told_now(held), "neither told nor explained"


OVER_IN_THE_NEXT_RECORD = [*[("floor", 0)] * 7, ("a", 0), ("floor off", 0), ("a", 20), ("floor off", 1)]
"""A vendor is told of by the floor, until the record behind a tick ends the floor: a replay of the tick knows of that end."""


@pytest.mark.slow
@example(OVER_IN_THE_NEXT_RECORD, 3, [(6, 5)])
@given(scripts, st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=4))
def test_killed_between_any_two_writes_what_was_decided_is_told_once_to_the_same_people(
    script: list[tuple[str, int]], flush_every: int, deaths: list[tuple[int, int]]
) -> None:
    inputs = _inputs(script)
    calm, calm_stage = asyncio.run(_played(inputs, flush_every, []))
    _sound(calm, calm_stage)
    rough, rough_stage = asyncio.run(_played(inputs, flush_every, deaths))
    _sound(rough, rough_stage)
    assert rough.notes.keys() == calm.notes.keys()
    assert _states(rough_stage) == _states(calm_stage)


@pytest.mark.slow
@example([("floor", 0), ("floor", 0), ("a", 0), ("floor", 0)], 4, [(1, 1), (2, 1)])  # decided, died, decided more, died
@example([("floor", 0), ("b", 0), ("floor", 0), ("floor", 6)], 3, [(1, 3), (2, 1)])  # so too, with the message written
@given(scripts, st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=3))
def test_a_configuration_that_changed_before_the_replay_changes_nobody_who_was_decided(
    script: list[tuple[str, int]], flush_every: int, deaths: list[tuple[int, int]]
) -> None:
    log, stage = asyncio.run(_played(_inputs(script), flush_every, deaths, changed=True))
    _sound(log, stage)


@pytest.mark.slow
@given(scripts, st.integers(1, 7))
def test_how_records_are_batched_changes_nothing(script: list[tuple[str, int]], flush_every: int) -> None:
    inputs = _inputs(script)
    one, one_stage = asyncio.run(_played(inputs, 1, []))
    many, many_stage = asyncio.run(_played(inputs, flush_every, []))
    assert one.notes.keys() == many.notes.keys()
    assert _states(one_stage) == _states(many_stage)


def _states(stage: IncidentsStage) -> list[Any]:
    """Without stamps: what an input did not change is not written for it."""
    return sorted(
        (structs.replace(held, stamp=None) for held in stage._state._incidents.values()), key=lambda held: held.key
    )


def test_incidents_that_other_partitions_hold_are_taken_over_and_told_of_no_second_time() -> None:
    """As of earlier versions, which kept an incident on the partition of its kind, and after a change of their number."""

    class Parts(Mortal):
        async def append(self, topic: str, partition: int, records: Any) -> None:
            await super().append(f"{topic}/{partition}", partition, records)

        def read(self, topic: str, partition: int) -> Any:
            return super().read(f"{topic}/{partition}", partition)

    async def go() -> None:
        names = TopicNames("f.", 4)
        main = names.partition_of(b"alerts")
        log, other = Parts(), (main + 1) % 4
        made: Any = IncidentsStage

        async def begin(partition: int) -> IncidentsStage:
            stage: IncidentsStage = made(
                partition, RULES, names, log, log, log, "f:", log, routing=routed(), clock=lambda: NOW_MS
            )
            await stage.recover()
            return stage

        # What is there is what one partition alone writes, moved to another.
        alone, _ = await _played(_inputs([("a", 0)]), 1, [])
        log.records[f"{INCIDENTS}/{other}"] = alone.records[INCIDENTS]
        log.records[f"{NOTICES}/{other}"] = alone.records[NOTICES]
        stage = await begin(main)
        assert [one.scope_key for one in stage.live()] == ["vendor=a"]
        await stage.flush()
        assert log.records[f"{INCIDENTS}/{other}"][-1].value is None
        assert len(log.records[f"{INCIDENTS}/{main}"]) == 1
        again = await begin(main)
        again.fold([Record(0, NOW_MS, None, encode_input(Tick(NOW_MS + MINUTE_MS, NOW_MS)))])
        await again.flush()
        assert log.notes == {}
        # An action that came to another partition is handed on; a tick there means nothing.
        act = Ack(again.live()[0].key, "mei", NOW_MS)
        old = await begin(other)
        old.fold([Record(5, NOW_MS, None, encode_input(act)), Record(6, NOW_MS, None, encode_input(Tick(NOW_MS)))])
        assert await old.flush() == 7
        (handed,) = log.records[f"f.signals.v1/{main}"][-1:]
        assert (handed.key, handed.value) == (b"alerts", encode_input(act))

    asyncio.run(go())


def test_what_people_plan_is_kept_on_the_log() -> None:
    async def go() -> None:
        given = Override("o-1", "kul", "mei", 1, 2, "ann", 5)
        log, _ = await _played([given, Tick(NOW_MS)], 1, [])
        made: Any = IncidentsStage
        stage: IncidentsStage = made(0, RULES, TopicNames("f.", 1), log, log, log, "f:", log, clock=lambda: NOW_MS)
        await stage.recover()
        assert stage._state._scene.facts.overrides == {"o-1": given}

    asyncio.run(go())
