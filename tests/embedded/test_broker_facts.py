"""What Floorwatch relies on, and works around, in the embedded broker (docs/adr/0005-embedded-broker.md).

A new wheel that behaves otherwise fails here first: then the ADR, and what is built on it, want another look.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import UnknownError

from floorwatch.embedded.broker import answers_metadata, broker_binary, create_topics
from floorwatch.embedded.child_process import StartError
from streams.models.topics import TopicSpec, topic_specs
from tests.embedded.tansu import read_topic, running_broker

pytestmark = pytest.mark.servers

PLACE = TopicPartition("t", 0)


def on_broker(folder: Path, work: Callable[[str], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with running_broker(folder) as (_, bootstrap):
            await create_topics(bootstrap, [TopicSpec("t", 2, {"cleanup.policy": "compact"})])
            return await work(bootstrap)

    return asyncio.run(run())


async def send_batch(bootstrap: str, count: int) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    batch = producer.create_batch()
    for number in range(count):
        batch.append(key=b"same", value=b"%d" % number, timestamp=1000 + number)
    sent = await (await producer.send_batch(batch, "t", partition=0))
    await producer.stop()
    return sent.offset


async def latest(bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return (await consumer.end_offsets([PLACE]))[PLACE]
    finally:
        await consumer.stop()


def test_the_latest_offset_is_wrong_after_a_batch_and_the_fetched_high_watermark_is_right(tmp_path: Path) -> None:
    async def work(bootstrap: str) -> tuple[int, int, int, int | None]:
        base = await send_batch(bootstrap, 5)
        listed = await latest(bootstrap)
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await consumer.start()
        consumer.assign([PLACE])
        consumer.seek(PLACE, 0)
        await consumer.getmany(timeout_ms=3000)
        high = consumer.highwater(PLACE)
        await consumer.stop()
        return base, listed, high, await send_batch(bootstrap, 1)

    assert on_broker(tmp_path, work) == (0, 1, 5, 5)


def test_the_latest_offset_is_right_after_a_batch_of_one(tmp_path: Path) -> None:
    async def work(bootstrap: str) -> int:
        await send_batch(bootstrap, 5)
        await send_batch(bootstrap, 1)
        return await latest(bootstrap)

    assert on_broker(tmp_path, work) == 6


def test_records_keep_their_times_and_nothing_is_compacted(tmp_path: Path) -> None:
    async def work(bootstrap: str) -> list[tuple[int, int]]:
        await send_batch(bootstrap, 3)
        return [(record.offset, record.timestamp) for record in await read_topic(bootstrap, "t", 2, 3)]

    assert on_broker(tmp_path, work) == [(0, 1000), (1, 1001), (2, 1002)]


def test_a_commit_is_kept_while_it_runs(tmp_path: Path) -> None:
    async def commit(bootstrap: str, offset: int | None) -> int | None:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id="g", enable_auto_commit=False)
        await consumer.start()
        consumer.assign([PLACE])
        if offset is not None:
            await consumer.commit({PLACE: offset})
        try:
            return await consumer.committed(PLACE)
        finally:
            await consumer.stop()

    async def work(bootstrap: str) -> list[int | None]:
        return [await commit(bootstrap, offset) for offset in (None, 42, None)]

    assert on_broker(tmp_path, work) == [None, 42, 42]


def test_there_is_no_idempotent_producer(tmp_path: Path) -> None:
    async def work(bootstrap: str) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
        try:
            await producer.start()
            await producer.send_and_wait("t", b"x", partition=0)
        finally:
            await producer.stop()

    with pytest.raises(UnknownError):
        on_broker(tmp_path, work)


def test_a_restart_forgets_topics_records_and_commits(tmp_path: Path) -> None:
    async def run() -> bool:
        specs = topic_specs("floorwatch.", 4)
        async with running_broker(tmp_path) as (_, bootstrap):
            await create_topics(bootstrap, specs)
            await create_topics(bootstrap, specs)  # again: nothing happens
            with pytest.raises(StartError, match="has 4 partitions and not 8"):
                await create_topics(bootstrap, topic_specs("floorwatch.", 8))
        async with running_broker(tmp_path, int(bootstrap.rpartition(":")[2])) as (_, bootstrap):
            await create_topics(bootstrap, topic_specs("floorwatch.", 8))
        return await answers_metadata(bootstrap)

    assert asyncio.run(run()) is False


def test_the_version_is_the_one_that_was_measured() -> None:
    said = subprocess.run([broker_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert "0.6.0" in said
