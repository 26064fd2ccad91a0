"""A batch whose answer was lost is sent again: an idempotent producer's is on the log once, in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.settings.load import load
from streams.adapters.admin import create_topics
from streams.adapters.clients import started_producer
from streams.engine.errors import Invariant
from streams.engine.log import Entry, KafkaLogReader, KafkaLogWriter
from streams.models.topics import TopicSpec
from tests.embedded.tansu import running_broker
from tests.limits.proxy import PRODUCE, Proxy, Request, kafka_behind_a_proxy

pytestmark = pytest.mark.servers

BATCH_BYTES = 4096
LOST = (1, 4, 5)
"""Produce requests, counted from 0, whose answers are lost."""


def entries(number: int) -> list[Entry]:
    """Return an append of several batches."""
    return [(b"k%d" % key, b"%d:%d " % (number, key) + b"x" * 50, 1_000 + number) for key in range(150)]


def losing(proxy: Proxy) -> None:
    """Lose the answers of some produce requests."""
    seen = -1

    def lose(request: Request) -> bool:
        nonlocal seen
        seen += request[0] == PRODUCE
        return request[0] == PRODUCE and seen in LOST

    proxy.lose_answer = lose


async def appended(bootstrap: str, proxy: Proxy, topic: str, *, idempotent: bool) -> list[tuple[bytes, bytes]]:
    """Append three times through the proxy; return what is then on the log."""
    await create_topics({"bootstrap_servers": bootstrap}, [TopicSpec(topic, 1, {})])
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=idempotent,
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    losing(proxy)
    writer = KafkaLogWriter(producer)
    try:
        for number in range(3):
            await writer.append(topic, 0, entries(number))
    finally:
        proxy.lose_answer = None
        await producer.stop()
    found: list[tuple[bytes, bytes]] = []
    async for records in KafkaLogReader({"bootstrap_servers": bootstrap}).read(topic, 0):
        found += [(key, value or b"") for _, key, value in records]
    return found


async def both(folder: Path) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    """Return what stands on the log after an idempotent producer and after another."""
    async with kafka_behind_a_proxy(folder) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        once = await appended(address, proxy, "once", idempotent=True)
        again = await appended(address, proxy, "again", idempotent=False)
    return once, again


def test_only_an_idempotent_producer_survives_lost_answers(tmp_path: Path) -> None:
    sent = [(key, value) for number in range(3) for key, value, _ in entries(number)]
    once, again = asyncio.run(both(tmp_path))
    assert once == sent
    # The same losses without producer ids: that this side differs shows that answers were lost at all.
    assert len(again) > len(sent)


def test_a_broker_without_producer_ids_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def go() -> None:
        async with running_broker(tmp_path) as (_, bootstrap):
            env = {"FLOORWATCH_KAFKA__BROKERS": bootstrap}
            with pytest.raises(Invariant, match=r"kafka\.idempotent_producer"):
                await started_producer(load(None, env))
            producer = await started_producer(load(None, {**env, "FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER": "false"}))
            await producer.stop()

    asyncio.run(go())
