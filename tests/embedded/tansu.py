"""A real embedded broker for tests, and reading everything from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from floorwatch.embedded.broker import broker_spec
from floorwatch.embedded.child_process import LOOPBACK, Child, free_port
from tests.waits import until


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


@contextmanager
def filled_broker(folder: Path, fill: Callable[[str], Coroutine[Any, Any, None]]) -> Iterator[str]:
    """Run Tansu for tests that are not asynchronous, with what ``fill`` writes; yields ``host:port``."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        _, address = runner.run(stack.enter_async_context(running_broker(folder)))
        try:
            runner.run(fill(address))
            yield address
        finally:
            runner.run(stack.aclose())


async def read_topic(bootstrap: str, topic: str, partitions: int, count: int = 0) -> list[ConsumerRecord]:
    """Read to the end of now, and until ``count`` records were found; in order within a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=4 << 20)
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        found: list[ConsumerRecord] = []

        ends = await consumer.end_offsets(places)

        async def enough() -> bool:
            polled = await consumer.getmany(timeout_ms=200)
            found.extend(record for part in polled.values() for record in part)
            at_end = all([await consumer.position(place) >= ends[place] for place in places])
            return at_end and len(found) >= count

        await until(enough, f"{count} records on {topic}", progress=lambda: len(found), every_s=0)
        return found
    finally:
        await consumer.stop()
