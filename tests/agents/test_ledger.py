"""The ledger stage: facts go ahead of their flush, in the order of the log, and what is refused stops the flush."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from streams.adapters.topic_names import TopicNames
from streams.agents.ledger import LedgerStage
from streams.core.ledger_store import META, SEGMENT, new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.recount import versioned
from streams.models import topics
from tests.core.harness import encode
from tests.oracle.case_events import label

POLICY = CorePolicy()
CHANGELOG = "f." + topics.LEDGER


class Broker:
    """A log whose appends arrive when it is told to let them."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.refuses: Exception | None = None
        self.held: list[tuple[bytes, bytes | None]] = []

    async def append(self, topic: str, partition: int, records: Iterable[Any]) -> None:
        records = list(records)
        await self.open.wait()
        if self.refuses is not None:
            raise self.refuses
        if topic == CHANGELOG:
            self.held.extend((record[0], record[1]) for record in records)

    @property
    def segments(self) -> list[bytes]:
        return [key for key, _ in self.held if key.startswith(SEGMENT)]


class Nothing:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def records(begin: int, end: int, *, bad: bool = False) -> list[Record]:
    found = []
    for offset in range(begin, end):
        key, value = encode(label(f"l{offset}", offset / 60, by="ann", task=f"t{offset}", queue="q"))
        found.append(Record(offset, 0, key, b"no event" if bad and offset == begin else value))
    return found


def stage_on(broker: Broker, facts_ahead: int) -> LedgerStage:
    return LedgerStage(
        0,
        POLICY,
        TopicNames("f.", 1),
        broker,
        broker,  # type: ignore[arg-type]
        Nothing(),
        owner="me",
        facts_ahead=facts_ahead,
    )


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_many_new_facts_do_not_wait_for_the_flush() -> None:
    async def go() -> tuple[list[bytes], list[bytes]]:
        broker = Broker()
        broker.open.set()
        stage = stage_on(broker, 10)
        stage.fold(records(0, 9))
        await turns()
        before = broker.segments
        stage.fold(records(9, 12))
        await turns()
        return before, broker.segments

    before, after = asyncio.run(go())
    assert before == []
    assert after == [f"s|0000000000000000|{versioned('me')}".encode()]


def test_facts_folded_amid_a_flush_come_after_its_own_however_long_it_waits() -> None:
    """Recovery takes segments in the order of the log: one that overtook another would hide it."""

    async def go() -> Broker:
        broker = Broker()
        stage = stage_on(broker, 3)
        stage.fold(records(0, 2, bad=True))  # a dead letter is written first
        flush = asyncio.ensure_future(stage.flush())
        await turns()
        stage.fold(records(2, 8))
        await turns()
        broker.open.set()
        assert await flush == 2
        assert await stage.flush() == 8
        return broker

    broker = asyncio.run(go())
    assert broker.segments == sorted(broker.segments)
    assert len(broker.segments) == 2
    recovered = new_store(0, POLICY, "next")
    assert recovered.restore(broker.held) == 8
    assert len(recovered.ledger.tasks) == 7


def test_facts_ahead_of_a_flush_that_never_came_are_folded_again() -> None:
    async def go() -> Broker:
        broker = Broker()
        broker.open.set()
        stage = stage_on(broker, 3)
        stage.fold(records(0, 4))
        await stage.flush()
        stage.fold(records(4, 9))
        await turns()
        return broker

    broker = asyncio.run(go())
    assert len(broker.segments) == 2
    assert broker.held[-1][0].startswith(SEGMENT), "ahead of any meta row of its own"
    recovered = new_store(0, POLICY, "next")
    assert recovered.restore(broker.held) == 4
    assert len(recovered.ledger.tasks) == 4


def test_a_flush_is_not_complete_without_the_facts_that_went_ahead() -> None:
    async def go() -> Broker:
        broker = Broker()
        stage = stage_on(broker, 3)
        stage.fold(records(0, 4))
        await turns()
        broker.refuses = OSError("the broker is away")
        broker.open.set()
        await turns()
        broker.refuses = None
        with pytest.raises(OSError, match="is away"):
            await stage.flush()
        return broker

    broker = asyncio.run(go())
    assert not [key for key, _ in broker.held if key.startswith(META)]


def test_what_is_under_way_ends_with_the_partition() -> None:
    async def go() -> Broker:
        broker = Broker()
        stage = stage_on(broker, 3)
        stage.fold(records(0, 4))
        stage.fold(records(4, 8))
        await turns()
        await stage.close()
        broker.open.set()
        await turns()
        return broker

    assert asyncio.run(go()).held == []
