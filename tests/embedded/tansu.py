"""A real embedded broker for tests, and reading everything from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from floorwatch.embedded.broker import broker_spec
from floorwatch.embedded.process import LOOPBACK, Child, free_port


@asynccontextmanager
async def running_broker(folder: Path, port: int = 0) -> AsyncIterator[tuple[Child, str]]:
    """Run Tansu; yields the process and ``host:port``. Killed at the end, as memory needs no goodbye."""
    port = port or free_port()
    child = Child(broker_spec(port, folder / "broker.log"))
    await child.start()
    try:
        await child.wait_ready()
        yield child, f"{LOOPBACK}:{port}"
    finally:
        await child.kill()


async def read_topic(bootstrap: str, topic: str, partitions: int, count: int) -> list[ConsumerRecord]:
    """Read until ``count`` records were found (or nothing comes for two seconds); in order within a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=4 << 20)
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        found: list[ConsumerRecord] = []
        while len(found) < count:
            polled = await consumer.getmany(timeout_ms=2000)
            if not polled:
                break
            found += [record for part in polled.values() for record in part]
        return found
    finally:
        await consumer.stop()
