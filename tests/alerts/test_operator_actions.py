"""What people do about incidents, and what time does: the stage over a log in memory, with a real outbox in Valkey."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.acts import ACTIONS_KEPT
from alerts.codec import Input, decode_incident, encode_incident, encode_input
from alerts.incident import Ack, Incident, Silence, Tick
from alerts.lifecycle import UNHEARD
from alerts.text import title_of
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import TICK_MS, IncidentsStage
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from tests.alerts.incident_world import FLOOR, INCIDENTS, KEY, SIGNALS, TWICE, VENDOR, Killed, World, on, run
from tests.alerts.machine import move, opened, routing, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_requests import Log


def test_an_alert_escalates_is_acknowledged_silenced_and_ends_when_its_scope_is_gone(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        assert world.told == [("default", "open")]
        await world.wait(0.1)
        await world.wait(14.8)
        assert world.told == [("default", "open")]
        await world.wait(0.2)
        assert world.told[1:] == [("lead", "escalated-0-1")]
        assert (await world.shown())["state"] == "escalated"
        await world.put(Ack(KEY, "mei", world.now_ms, "looking"))
        await world.turn()
        shown = await world.shown()
        assert (shown["state"], shown["machine"]["acknowledged_by"]) == ("acknowledged", "mei")
        at = "2026-11-23T10:17:06.000Z"
        assert shown["acts"] == [{"what": "ack", "by": "mei", "at": at, "note": "looking", "until": None}]
        await world.wait(120)
        assert len(world.told) == 2
        await world.put(Silence(KEY, "mei", world.now_ms, world.now_ms + 60 * MINUTE_MS))
        gone_ms = NOW_MS + 2 * 60 * MINUTE_MS + 1  # two windows of 1h without a word
        await world.put(Tick(world.now_ms, gone_ms - 1))
        await world.turn()
        assert (await world.shown())["state"] == "acknowledged"
        await world.put(Tick(world.now_ms, gone_ms))
        await world.turn()
        shown = await world.shown()
        assert (shown["state"], shown["evidence"]) == ("resolved", UNHEARD)
        assert len(world.told) == 2  # the silence holds it
        await world.wait(61)
        assert world.told[2:] == [
            ("default", "resolved-0"),
            ("lead", "resolved-0"),
        ]  # who heard of it hears the end, once
        assert (await world.shown())["machine"]["silenced_until_ms"] is None

    run(redis_url, story)


def test_time_is_put_on_the_log_only_while_something_waits_for_it(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.wait(5)
        assert world.ticks() == []
        await world.put(on(), Tick(world.now_ms, NOW_MS))
        await world.turn()
        first = len(world.ticks())
        for _ in range(8):
            world.now_ms += TICK_MS // 2
            await world.turn()
        assert world.ticks()[first:] == [Tick(NOW_MS + 5 * MINUTE_MS + n * TICK_MS, NOW_MS) for n in (1, 2, 3, 4)]
        await world.put(*[signal(False, NOW_MS + MINUTE_MS, rule="the-rule")] * 2)
        await world.turn()
        count = len(world.ticks())
        await world.wait(5)
        assert len(world.ticks()) == count

    run(redis_url, story)


def test_a_clock_set_back_does_not_stop_the_ticks(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.wait(-60)
        assert world.ticks()[1:] == [Tick(world.now_ms)]

    run(redis_url, story)


def test_the_time_until_it_escalates_survives_a_restart(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.wait(0.1)
        await world.wait(14)
        await world.restart()
        await world.wait(1.1)
        assert world.told == [("default", "open"), ("lead", "escalated-0-1")]

    run(redis_url, story)


def test_an_act_sent_before_a_restart_counts_before_the_time_that_passed_meanwhile(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.wait(0.1)
        await world.put(Ack(KEY, "mei", world.now_ms))
        world.now_ms += 60 * MINUTE_MS  # nobody is there to fold it
        await world.restart()
        await world.turn()
        await world.wait(1)
        assert world.told == [("default", "open")]
        assert (await world.shown())["state"] == "acknowledged"

    run(redis_url, story)


@pytest.mark.parametrize("where", ["enqueue", "append", "commit"])
def test_killed_at_any_write_of_an_escalation_it_is_told_once(redis_url: str, where: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.wait(0.1)
        world.now_ms += 20 * MINUTE_MS
        await world.turn()  # the tick is on the log
        owner: Any = world.outbox if where == "enqueue" else world.log
        real = getattr(owner, where, None)

        async def dies(*given: Any) -> Any:
            if where == "append" and given[0] != INCIDENTS:
                return await real(*given)  # type: ignore[misc]
            if where == "enqueue":
                await real(*given)  # type: ignore[misc]
            raise Killed

        if where == "commit":
            await world.turn(commit=False)
        else:
            setattr(owner, where, dies)
            with pytest.raises(Killed):
                await world.turn()
            setattr(owner, where, real)
        await world.restart()
        await world.turn()
        await world.turn()
        assert world.told == [("default", "open"), ("lead", "escalated-0-1")]
        assert (await world.shown())["machine"]["tier"] == 1

    run(redis_url, story)


def test_an_old_state_that_a_stalled_worker_wrote_late_is_not_taken_for_the_newest(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        stale = world.log.records[INCIDENTS][-1]
        await world.put(Ack(KEY, "mei", world.now_ms))
        await world.turn()
        world.log.records[INCIDENTS].append(stale)
        await world.restart()
        await world.turn()
        assert (await world.shown())["state"] == "acknowledged"
        assert [one.state for one in world.stage.live()] == ["acknowledged"]
        # Compaction keeps what stands last.
        assert decode_incident(world.log.records[INCIDENTS][-1].value or b"").state == "acknowledged"
        written = len(world.log.records[INCIDENTS])
        await world.restart()
        await world.turn()
        assert len(world.log.records[INCIDENTS]) == written

    run(redis_url, story)


def test_a_redis_that_was_emptied_shows_the_incidents_again_after_a_restart(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on(), on(rule="twice"))
        await world.turn()
        assert await world.redis.hlen("f:incidents") == 1  # one that is pending is nobody's business yet
        await world.redis.flushall()
        await world.restart()
        await world.turn()
        assert (await world.shown())["state"] == "open"
        assert await world.redis.hlen("f:incidents") == 1
        await world.put(on(1, rule="twice"))
        await world.turn()
        assert await world.redis.hlen("f:incidents") == 2  # the first firing was counted before the restart

    run(redis_url, story, VENDOR, TWICE.model_copy(update={"name": "twice"}))


def test_a_child_is_told_when_its_parent_ends_and_escalates_from_then_on(redis_url: str) -> None:
    async def story(world: World) -> None:
        floor = {"rule": "floor", "scope": {}, "scope_key": "all"}
        await world.put(signal(True, NOW_MS, **floor), on())
        await world.turn()
        assert world.told == [("default", "open")]
        await world.wait(0.1)
        await world.wait(120)
        assert world.told == [("default", "open")]
        await world.put(*[signal(False, NOW_MS, **floor)] * 2)
        await world.turn()
        await world.wait(0.1)
        assert world.told == [("default", "open"), ("default", "changed")]  # the floor's end and the vendor's beginning
        await world.wait(14.8)
        assert len(world.told) == 2
        await world.wait(0.3)
        assert world.told[2:] == [("lead", "escalated-0-1")]

    run(redis_url, story, FLOOR, VENDOR)


def test_group_wait_runs_by_itself(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.wait(0.1)
        assert world.told == []
        await world.wait(1.5)
        assert world.told == [("default", "open")]

    run(redis_url, story, how=routing(wait_ms=90_000))


def test_an_incident_whose_rule_is_gone_ends_too(redis_url: str) -> None:
    async def story(world: World) -> None:
        orphan = structs.replace(opened(), stamp=None)
        await world.log.append(INCIDENTS, 0, [ProducerRecord(b"k", encode_incident(orphan, title_of(orphan)))])
        await world.restart()
        await world.put(Tick(world.now_ms, NOW_MS + 25 * 60 * MINUTE_MS))
        await world.turn()
        assert (await world.shown(orphan.key))["state"] == "resolved"

    run(redis_url, story)


def test_what_cannot_be_an_act_is_passed_over(redis_url: str) -> None:
    async def story(world: World) -> None:
        bad = [b"", b"{}", b"null", b'{"type":"ack","key":"k","by":"","at_ms":1}', b'{"type":"shout"}']
        bad += [json.dumps({"type": "ack", "key": KEY, "by": by, "at_ms": 1}).encode() for by in ("x" * 201, "a\x1bb")]
        await world.put(on())
        await world.log.append(SIGNALS, 0, [ProducerRecord(None, value) for value in bad])
        await world.put(Ack("0" * 32, "mei", world.now_ms))
        await world.turn()
        assert world.log.committed == len(bad) + 3
        assert (await world.shown())["state"] == "open"
        assert (await world.shown())["acts"] == []

    run(redis_url, story)


def test_the_trail_is_bounded_and_a_silence_can_be_shortened(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        acts = [Silence(KEY, f"p{n}", world.now_ms + n, world.now_ms + (99 - n) * MINUTE_MS) for n in range(30)]
        await world.put(*acts)
        await world.turn()
        shown = await world.shown()
        assert [act["by"] for act in shown["acts"]] == [f"p{n}" for n in range(30 - ACTIONS_KEPT, 30)]
        assert shown["machine"]["silenced_until_ms"] == world.now_ms + 70 * MINUTE_MS

    run(redis_url, story)


moves = st.lists(
    st.tuples(st.sampled_from(["on", "off", "ack", "silence", "tick"]), st.sampled_from([0, 1, 16, 70, 400, 6000])),
    min_size=1,
    max_size=12,
)


def _inputs(script: list[tuple[str, int]]) -> list[Input]:
    at_ms, inputs = NOW_MS, list[Input]()
    for what, minutes in script:
        at_ms += minutes * MINUTE_MS
        inputs.append(move(what, at_ms, KEY, rule="the-rule"))
    return inputs


async def _played(inputs: list[Input], deaths: list[tuple[int, bool]]) -> tuple[list[str], Incident | None]:
    """One input a flush; at each (position, after its flush) the worker is killed before the commit, another goes on."""
    log, committed = Log(), 0

    async def begin() -> IncidentsStage:
        made: Any = IncidentsStage
        stage: IncidentsStage = made(0, (TWICE,), TopicNames("f.", 1), log, log, log, "f:", log, clock=lambda: NOW_MS)
        await stage.recover()
        return stage

    stage = await begin()
    while committed < len(inputs):
        stage.fold([Record(committed, NOW_MS, None, encode_input(inputs[committed]))])
        if (committed, False) in deaths:
            deaths.remove((committed, False))
            stage = await begin()
            continue
        await stage.flush()
        if (committed, True) in deaths:
            deaths.remove((committed, True))
            stage = await begin()
            continue
        committed += 1
    return [*log.notes], next(iter(stage._state._incidents.values()), None)


@pytest.mark.slow
@given(moves, st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=5))
def test_killed_anywhere_a_replay_tells_the_same_and_ends_the_same(
    script: list[tuple[str, int]], deaths: list[tuple[int, bool]]
) -> None:
    inputs = _inputs(script)
    calm = asyncio.run(_played(inputs, []))
    rough = asyncio.run(_played(inputs, list(deaths)))
    assert rough[0] == calm[0]
    assert _unstamped(rough[1]) == _unstamped(calm[1])


def _unstamped(incident: Incident | None) -> Incident | None:
    """Without the stamp: what an input did not change is not written for it."""
    return incident and structs.replace(incident, stamp=None)


def test_a_breach_that_is_not_told_yet_is_kept_for_people_to_see(redis_url: str) -> None:
    """With ``for: 2`` the first firing makes a pending incident, the second an open one; after quiet, firing again is pending too."""

    async def pending(world: World) -> dict[str, tuple[str, int]]:
        found = await world.redis.hgetall("f:incidents-pending")
        records = [json.loads(value) for value in found.values()]
        return {record["key"]: (record["state"], record["machine"]["streak"]) for record in records}

    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        assert await pending(world) == {KEY: ("pending", 1)}
        assert await world.shown() == {}
        await world.restart()
        await world.redis.flushall()
        await world.turn()
        assert await pending(world) == {KEY: ("pending", 1)}, "Redis was emptied, the log has it"
        await world.put(on(1))
        await world.turn()
        assert await pending(world) == {}
        assert (await world.shown())["state"] == "open"
        for minute in (2, 3):
            await world.put(signal(False, NOW_MS + minute * MINUTE_MS, rule="the-rule"))
        await world.turn()
        assert (await world.shown())["state"] == "resolved"
        assert await pending(world) == {}
        await world.put(on(4))
        await world.turn()
        assert await pending(world) == {KEY: ("resolved", 1)}
        await world.put(signal(False, NOW_MS + 5 * MINUTE_MS, rule="the-rule"))
        await world.turn()
        assert await pending(world) == {}

    run(redis_url, story, TWICE)


def test_what_a_worker_left_pending_is_corrected_by_the_next(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        await world.redis.hset("f:incidents-pending", KEY, b"{}")
        await world.put(signal(False, NOW_MS + MINUTE_MS, rule="the-rule"))
        await world.turn()
        await world.redis.hset("f:incidents-pending", KEY, b"{}")  # as if it had been killed before it removed it
        await world.restart()
        await world.turn()
        assert not await world.redis.hgetall("f:incidents-pending")

    run(redis_url, story, TWICE)
