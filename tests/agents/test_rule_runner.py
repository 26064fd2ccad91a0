"""The rule runner: what it keeps over a restart."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import structs

from alerts.kinds.registry import KIND_OF
from alerts.looks import LOOKS, Look, decode_look, look_words
from streams.adapters.topic_names import TopicNames
from streams.agents import rule_runner
from streams.agents.rule_runner import RuleRunner
from telemetry import catalogue
from telemetry.engine_metrics import EngineMetrics
from tests.agents.test_intake import MemoryWriter
from tests.alerts.rows import NOW_MS, accuracy, rule, throughput

QUARTER_MS = 900_000
RULE = rule("throughput_drop", window="15m", min_sample=10, **{"for": 1})


class Redis:
    """Rows of the moment, and what is kept under a name."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.names: dict[str, bytes] = {}

    async def patient_rows(self, table: str, _window: str, _unreadable: Any = None) -> dict[str, Any]:
        return self.table if table == "throughput" else {}

    async def keep(self, name: str, value: bytes) -> None:
        self.names[name] = value

    async def kept(self, name: str) -> bytes | None:
        return self.names.get(name)


def runner(redis: Redis) -> RuleRunner:
    return RuleRunner((RULE,), redis, TopicNames("f.", 1), EngineMetrics(component="worker", version="test"))  # type: ignore[arg-type]


async def quarters(made: RuleRunner, redis: Redis, writer: MemoryWriter, numbers: range, labels: int) -> None:
    for number in numbers:
        at_ms = NOW_MS + number * QUARTER_MS
        redis.table = {"all": throughput({}, labels, end_ms=at_ms, window="15m")}
        made._not_before = 0.0  # how often it may look is a matter of the machine's speed
        await made.run(writer, at_ms)


def inputs_of(writer: MemoryWriter) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in writer.records["f.signals.v1"]]


def last(writer: MemoryWriter) -> dict[str, Any]:
    return [given for given in inputs_of(writer) if given["type"] == "signal"][-1]


async def drop_after(restart: bool, *, emptied: bool = False) -> dict[str, Any]:
    redis, writer = Redis(), MemoryWriter()
    made = runner(redis)
    await quarters(made, redis, writer, range(8), 100)
    if restart:
        made = runner(redis)
    if emptied:
        redis.names.clear()
    await quarters(made, redis, writer, range(8, 9), 20)
    return last(writer)


def test_a_drop_right_after_a_restart_is_seen_as_without_one() -> None:
    found = asyncio.run(drop_after(restart=True))
    assert found["firing"]
    assert found == asyncio.run(drop_after(restart=False))


def test_with_redis_emptied_it_learns_anew_and_says_so() -> None:
    found = asyncio.run(drop_after(restart=True, emptied=True))
    assert not found["firing"]
    assert "no baseline yet" in found["evidence"]


def test_a_baseline_of_another_version_is_learnt_anew() -> None:
    async def run() -> dict[str, Any]:
        redis, writer = Redis(), MemoryWriter()
        redis.names["throughput-baseline"] = b"\x00not a baseline"
        await quarters(runner(redis), redis, writer, range(1), 100)
        return last(writer)

    assert "no baseline yet" in asyncio.run(run())["evidence"]


def test_a_rule_that_fails_stops_neither_the_others_nor_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KIND_OF["throughput_drop"]

    def faulty(made: Any, context: Any) -> Any:
        if made.name == "faulty":
            raise ValueError("math domain error")
        return kind.evaluate(made, context)

    monkeypatch.setitem(KIND_OF, "throughput_drop", structs.replace(kind, evaluate=faulty))
    redis, writer, metrics = Redis(), MemoryWriter(), EngineMetrics(component="worker", version="test")
    rules = (rule("throughput_drop", window="15m", name="faulty", **{"for": 1}), RULE)
    asyncio.run(
        quarters(RuleRunner(rules, redis, TopicNames("f.", 1), metrics), redis, writer, range(3), 100)  # type: ignore[arg-type]
    )
    assert [name for name, _, _ in signals(writer) if name == RULE.name] == [RULE.name] * 3
    held = [one for one in inputs_of(writer) if one["type"] == "signal" and one["rule"] == "faulty"]
    assert held
    assert all(one["holds"] and not one["firing"] and "math domain error" in one["evidence"] for one in held)
    samples = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.collect()
        if catalogue.RULE_FAILURES.name.startswith(family.name)
        for sample in family.samples
    }
    assert samples == {("faulty",): 3.0, (RULE.name,): 0.0}


MINUTE_MS = 60_000


def signals(writer: MemoryWriter) -> list[tuple[str, bool, int]]:
    inputs: list[dict[str, Any]] = [json.loads(record.value or b"") for record in writer.records["f.signals.v1"]]
    return [(one["rule"], one["firing"], one["watermark_ms"]) for one in inputs if one["type"] == "signal"]


def burst(*rules: Any, looks: list[tuple[int, bool, int]]) -> list[tuple[str, bool, int]]:
    """Look at one scope: (ms after a full minute, idle, wrong audits of 400), and return the signals."""

    class Rows(Redis):
        async def patient_rows(self, table: str, _window: str, _unreadable: Any = None) -> dict[str, Any]:
            return self.table if table == "accuracy" else {}

    redis, writer = Rows(), MemoryWriter()
    made = RuleRunner(tuple(rules), redis, TopicNames("f.", 1), EngineMetrics(component="worker", version="test"))  # type: ignore[arg-type]
    start_ms = NOW_MS - NOW_MS % MINUTE_MS

    async def run() -> None:
        for after_ms, idle, wrong in looks:
            redis.table = {"all": accuracy({}, 400 - wrong, 400, end_ms=start_ms + after_ms)}
            made._not_before = 0.0
            await made.run(writer, start_ms + after_ms, idle=idle)

    asyncio.run(run())
    return [(name, firing, at_ms - start_ms) for name, firing, at_ms in signals(writer)]


LOW = rule("accuracy_low", name="low", method="interval", target=0.95, min_sample=10, **{"for": 1})
SLOW = rule("accuracy_low", name="slow", method="interval", target=0.95, min_sample=10, **{"for": 2})


def test_a_burst_that_ends_within_its_minute_is_looked_at_when_the_log_says_idle() -> None:
    found = burst(LOW, looks=[(1_000, False, 0), (10_000, False, 200), (40_000, True, 200)])
    assert found == [("low", False, 1_000), ("low", True, 40_000)]


def test_a_minute_has_one_look_while_idle_and_for_goes_on_counting_minutes() -> None:
    looks = [(1_000, False, 200), (31_000, True, 200), (45_000, False, 200), (58_000, True, 200), (61_000, True, 200)]
    found = burst(LOW, SLOW, looks=looks)
    assert [at_ms for name, _, at_ms in found if name == "low"] == [1_000, 31_000, 61_000]
    assert [at_ms for name, _, at_ms in found if name == "slow"] == [1_000, 61_000]


def test_a_look_while_idle_ends_nothing() -> None:
    found = burst(LOW, looks=[(1_000, False, 200), (31_000, True, 0), (61_000, False, 0)])
    assert found == [("low", True, 1_000), ("low", False, 61_000)]


def test_it_says_how_far_it_has_looked() -> None:
    async def run() -> tuple[Look | None, Look | None, bytes | None]:
        redis, writer = Redis(), MemoryWriter()
        made = runner(redis)
        before = made.look
        await made.run(writer, NOW_MS)
        return before, made.look, await redis.kept(LOOKS)

    before, after, kept = asyncio.run(run())
    assert before is None
    assert after is not None
    assert after == Look(NOW_MS, (NOW_MS // MINUTE_MS + 1) * MINUTE_MS, after.at_ms)
    assert after.at_ms > NOW_MS
    assert kept is not None
    assert decode_look(kept) == after
    assert decode_look(b"not a look") is None
    assert "next look when event time passes" in look_words(after)
    assert "not looked yet" in look_words(None)


def test_what_a_costly_look_left_out_is_looked_at_when_all_is_idle() -> None:
    async def run() -> tuple[Look | None, Look | None]:
        redis, writer = Redis(), MemoryWriter()
        made = runner(redis)
        made._not_before = float("inf")
        await made.run(writer, NOW_MS)
        busy = made.look
        await made.run(writer, NOW_MS, idle=True)
        return busy, made.look

    busy, idle = asyncio.run(run())
    assert busy is None
    assert idle is not None


@pytest.mark.parametrize(("behind_ms", "looks"), [(5_000, 10), (3_600_000, 4)])
def test_a_look_of_12_s_comes_each_minute_on_a_live_floor_and_less_often_in_a_catch_up(
    behind_ms: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(rule_runner, "time", clock)

    class Slow(Redis):
        async def keep(self, name: str, value: bytes) -> None:
            clock.now_s += 12.0 if name == LOOKS else 0.0
            await super().keep(name, value)

    async def run() -> int:
        redis, writer = Slow(), MemoryWriter()
        made = runner(redis)
        for second in range(600):
            clock.now_s = max(clock.now_s, clock.began_s + second)
            await made.run(writer, int(clock.now_s * 1000) - behind_ms)
        return sum(given["type"] == "tick" for given in inputs_of(writer))

    assert asyncio.run(run()) == looks


class Clock:
    """The module ``time`` as a test moves it; it begins with a minute."""

    def __init__(self) -> None:
        self.began_s = self.now_s = NOW_MS // MINUTE_MS * 60.0 + 5

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s
