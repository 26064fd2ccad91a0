"""Arrival: whose clock it is, records with absurd times, and that a replay contradicts no earlier decision."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

import streams.agents.intake
from streams.adapters.topic_names import TopicNames
from streams.agents.arrival import arrival_ms
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.core.time_text import rfc3339
from streams.engine.log import Entry
from tests.oracle.case_events import label

NOW_MS = 1_795_430_000_000
DAY_MS = 86_400_000
ABSURD = [2**61, 2**63 - 1, -(2**63), -1, 0, 1, NOW_MS - 400 * DAY_MS, NOW_MS + 30 * DAY_MS]


class Killed(Exception):
    """The process ends here."""


class Log:
    """Topics in memory; a writer that dies after a given number of appends, the last of them cut short."""

    def __init__(self) -> None:
        self.topics: dict[tuple[str, int], list[Entry]] = {}
        self.left = 1 << 30

    async def append(self, topic: str, partition: int, records: Any) -> None:
        records = list(records)
        self.left -= 1
        if self.left < 0:
            self.topics.setdefault((topic, partition), []).extend(records[: len(records) // 2])
            raise Killed
        self.topics.setdefault((topic, partition), []).extend(records)
        await asyncio.sleep(0)

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        found = self.topics.get((topic, partition), [])
        yield [(at, key or b"", value) for at, (key, value, _) in enumerate(found)]

    async def empty(self, topic: str, partition: int) -> bool:
        return not self.topics.get((topic, partition))

    def of(self, topic: str) -> list[Entry]:
        return [entry for (name, _), entries in self.topics.items() if name == topic for entry in entries]


class Nothing:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def intake(log: Log, now_ms: int, *, trusted: bool = False, partition: int = 1) -> Intake:
    policy = IntakePolicy(trust_record_time=trusted)
    return Intake("raw", partition, TopicNames("f.", 4), log, log, policy, Nothing(), now_ms=lambda: now_ms)


def dated(number: int, time_ms: int) -> bytes:
    return json.dumps({**label(f"l-{number}", 0), "id": f"e-{number}", "time": rfc3339(time_ms)}).encode()


def folded(log: Log, records: list[Record], **options: Any) -> tuple[list[Entry], list[dict[str, Any]]]:
    stage = intake(log, NOW_MS, **options)
    stage.fold(records)
    asyncio.run(stage.flush())
    return log.of("f.events.v1"), [json.loads(value or b"") for _, value, _ in log.of("f.deadletters.v1")]


@pytest.mark.parametrize("record_ms", ABSURD)
def test_a_record_of_any_time_is_judged_by_the_clock(record_ms: int) -> None:
    good, future = dated(1, NOW_MS - 1000), dated(2, NOW_MS + 30 * DAY_MS)
    records = [Record(7 + at, record_ms, None, value, True) for at, value in enumerate([good, future, b"{oops", None])]
    events, dead = folded(Log(), records)
    assert [entry[1:] for entry in events] == [(good, NOW_MS)], "arrival is the record time on the log of events"
    assert [letter["code"] for letter in dead] == ["future_time", "not_json", "not_json"]
    assert {letter["at"] for letter in dead} == {rfc3339(NOW_MS)}
    assert [letter["offset"] for letter in dead] == [8, 9, 10]


def test_a_time_the_broker_has_set_is_not_questioned() -> None:
    appended_ms = NOW_MS - 3 * DAY_MS
    records = [
        Record(0, appended_ms, None, dated(1, NOW_MS - DAY_MS)),
        Record(1, appended_ms, None, dated(2, NOW_MS - 9 * DAY_MS)),
    ]
    events, dead = folded(Log(), records)
    assert [entry[2] for entry in events] == [appended_ms]
    assert dead[0]["code"] == "future_time", "dated two days after it arrived, whenever it is folded"


@pytest.mark.parametrize(
    ("record_ms", "arrived_ms"),
    [(NOW_MS - 5, NOW_MS - 5), (0, 0), (-1, NOW_MS), (NOW_MS + 1, NOW_MS), (2**61, NOW_MS), (-(2**63), NOW_MS)],
)
def test_a_trusted_sender_is_trusted_between_1970_and_now(record_ms: int, arrived_ms: int) -> None:
    assert arrival_ms(record_ms, NOW_MS, trusted=True) == arrived_ms
    assert arrival_ms(record_ms, NOW_MS, trusted=False) == NOW_MS


@pytest.mark.parametrize("record_ms", [1, NOW_MS - 30 * DAY_MS, NOW_MS - 600_000, 2**61, NOW_MS + 30 * DAY_MS])
def test_only_a_marked_record_of_a_trusted_broker_is_judged_by_its_own_time(record_ms: int) -> None:
    value = dated(1, NOW_MS - 1000)
    for trusted, marked in [(True, False), (False, True), (False, False)]:
        events, dead = folded(Log(), [Record(0, record_ms, None, value, True, marked)], trusted=trusted)
        assert ([entry[1:] for entry in events], dead) == ([(value, NOW_MS)], []), (trusted, marked)


def test_a_forged_mark_falsifies_only_its_own_record() -> None:
    values = [dated(number, NOW_MS - 1000) for number in range(4)]
    records = [Record(at, 1, None, value, True, at == 1) for at, value in enumerate(values)]
    events, dead = folded(Log(), records, trusted=True)
    assert [entry[1:] for entry in events] == [(values[at], NOW_MS) for at in (0, 2, 3)]
    assert [(letter["offset"], letter["code"]) for letter in dead] == [(1, "future_time")]
    ahead, _ = folded(Log(), [Record(0, NOW_MS + DAY_MS, None, dated(9, NOW_MS + DAY_MS), True, True)], trusted=True)
    assert ahead == [], "a mark lets no record come before it has come"


def test_dead_letters_of_a_topic_with_more_partitions_than_ours_can_be_written() -> None:
    log = Log()
    folded(log, [Record(0, 0, None, b"{oops", True)], partition=11)
    assert list(log.topics) == [("f.deadletters.v1", 3)]


def crashing_run(seed: int, *, trusted: bool) -> tuple[list[int], list[int], int]:
    """Run intake over one partition, killed again and again while the clock goes on; return offsets by where they went."""
    chance, log = random.Random(seed), Log()
    now_ms = NOW_MS
    # Dated from well in the past to an hour ahead: many become acceptable while the partition is folded.
    values = [dated(at, NOW_MS + chance.randrange(-600_000, 3_600_000)) for at in range(60)]
    # Of a trusted broker a third has the shipper's mark, and is judged by its own time.
    records = [
        Record(at, chance.choice(ABSURD), None, value, True, trusted and chance.random() < 1 / 3)
        for at, value in enumerate(values)
    ]
    committed, kills = 0, 0
    while committed < len(records):
        stage, at = intake(log, now_ms, trusted=trusted), committed
        stage._now_ms = lambda: now_ms  # noqa: B023 - the clock as it goes on
        log.left = chance.randrange(1, 9)
        try:
            while at < len(records):
                upto = min(len(records), at + chance.randrange(1, 12))
                fresh = [Record(r.offset, r.timestamp_ms, None, r.value, True, r.marked) for r in records[at:upto]]
                stage.fold(fresh)
                at = upto
                now_ms += chance.choice([0, 1, 30_000, 400_000])
                if chance.random() < 0.7:
                    offset = asyncio.run(stage.flush())
                    if offset is not None and chance.random() < 0.5:
                        committed = offset
            log.left = 1 << 30
            committed = asyncio.run(stage.flush()) or at
        except Killed:
            kills += 1
            now_ms += chance.choice([0, 60_000, 900_000])
    at_of = {value: at for at, value in enumerate(values)}
    events = [at_of[entry[1] or b""] for entry in log.of("f.events.v1")]
    dead = [int((entry[0] or b"").rpartition(b"|")[2]) for entry in log.of("f.deadletters.v1")]
    return events, dead, kills


def both_ways(seeds: range, *, trusted: bool) -> int:
    """Return how many records went to both places, having checked that none went to neither."""
    both = kills = 0
    for seed in seeds:
        events, dead, killed = crashing_run(seed, trusted=trusted)
        assert {*events, *dead} == set(range(60)), f"seed {seed}: a record went nowhere"
        both, kills = both + len({*events} & {*dead}), kills + killed
    assert kills > len(seeds), "hardly anything was killed: nothing is shown"
    return both


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True])
def test_no_event_is_on_the_log_and_in_the_dead_letters_however_often_intake_dies(trusted: bool) -> None:
    assert both_ways(range(150), trusted=trusted) == 0


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True])
def test_without_the_earlier_letters_some_are(trusted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the run above must be able to see it."""

    async def nothing(*_: Any) -> frozenset[int]:
        return frozenset()

    monkeypatch.setattr(streams.agents.intake, "refused_before", nothing)
    assert both_ways(range(150), trusted=trusted) > 20
