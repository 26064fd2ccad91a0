"""What the gateway writes and reads of plans: the one partition of alerts, and the hash that a worker writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from alerts.append import ALERTS_KEY
from alerts.codec import encode_input
from alerts.incident import Maintenance, Override
from gateway.plans import NoPlans, PlansUnavailable, RedisPlans
from gateway.publisher import JournalPublisher, KafkaPublisher, Overloaded
from streams.adapters.topic_names import TopicNames
from streams.models.topics import SIGNALS
from tests.redis_clients import async_client

WINDOW = Maintenance("m", ("site=kul",), 1_000, 2_000, "ann", 500)
RECORDS = [(ALERTS_KEY, encode_input(WINDOW))]


class Writer:
    """Notes what is written where."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int, Any]] = []

    async def append(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        self.written.append((topic, partition, [(one.key, one.value) for one in records]))


class Journal:
    """The same of a journal."""

    fault = None

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    async def publish(self, records: Any, topic: str = "") -> None:
        self.written.append((topic, list(records)))


def test_a_plan_goes_to_the_one_partition_of_alerts() -> None:
    writer, journal = Writer(), Journal()
    publisher = KafkaPublisher("f.", 7, 1_000_000)
    with pytest.raises(Overloaded):
        asyncio.run(publisher.plan(RECORDS))
    publisher.connected(writer)  # type: ignore[arg-type]
    asyncio.run(publisher.plan(RECORDS))
    names = TopicNames("f.", 7)
    assert writer.written == [(names.name(SIGNALS), names.partition_of(ALERTS_KEY), RECORDS)]
    asyncio.run(JournalPublisher(journal, OSError).plan(RECORDS))
    assert journal.written == [(SIGNALS, RECORDS)]


def test_windows_are_read_as_the_worker_writes_them(redis_url: str) -> None:
    async def go() -> None:
        redis = async_client(redis_url)
        plans = RedisPlans(redis, "f:")
        try:
            await redis.flushall()
            with pytest.raises(PlansUnavailable, match="no worker has written yet"):
                await plans.windows()
            await redis.hset("f:plans", mapping={"~": b"", "maintenance/m": encode_input(WINDOW)})
            await redis.hset("f:plans", "override/o", encode_input(Override("o", "kul", "mei", 1, 2, "ann", 1)))
            assert await plans.windows() == {"m": WINDOW}
            for value in (b"{", b'{"format":99,"type":"maintenance"}', b'{"type":"tick","at_ms":1}'):
                await redis.hset("f:plans", "maintenance/m", value)
                with pytest.raises(PlansUnavailable, match="f:plans in Redis cannot be read"):
                    await plans.windows()
        finally:
            await redis.aclose()
        with pytest.raises(PlansUnavailable, match="Redis cannot be asked"):
            await RedisPlans(async_client("redis://127.0.0.1:1"), "f:").windows()

    asyncio.run(go())
    with pytest.raises(PlansUnavailable):
        asyncio.run(NoPlans().windows())
