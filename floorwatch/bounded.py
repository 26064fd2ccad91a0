"""Bounded runs: a file of contract events through the same broker, agents and tables, to its end.

The end of the input is made known the way all time is: a clock event on every partition of the log, dated with the
greatest event time. When the tables have caught up with it, they are what the file says.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from floorwatch.embedded.servers import Servers
from streams.adapters.admin import committed, create_topics, open_admin
from streams.adapters.readmodel import table_row
from streams.agents.ticker import tick_event
from streams.core.sources import WATERMARK_PREFIX
from streams.engine.log import KafkaLogReader, KafkaLogWriter, ProducerRecord
from streams.models import topics
from streams.models.acceptance import task_of
from streams.models.events import MAX_ID_CHARS
from streams.models.kafka_producer import started_producer

PREFIX = "floorwatch."
GROUP = "floorwatch"
_CHUNK = 20_000
_CHUNK_BYTES = 32 * 1_048_576
_STALLED_S = 300
"""Far longer than a worker needs between two commits, on a busy machine too."""

Progress = Callable[[str, int, int | None], None]
"""(phase, done, total)"""


class WorkerDied(RuntimeError):
    """The worker ended, or stood still, before the input ended; the message holds the end of its log."""


@dataclass
class BoundedRun:
    """A worker on servers of its own, fed with one bounded input.

    Attributes:
        sent: Records sent so far.
    """

    servers: Servers
    worker: subprocess.Popen[bytes]
    producer: AIOKafkaProducer
    admin: AIOKafkaAdminClient
    reader: KafkaLogReader
    partitions: int
    progress: Progress
    sent: int = 0
    _ends: list[int] = field(default_factory=list)

    async def send(self, lines: Iterable[bytes], total: int | None = None) -> None:
        """Send events in order; each task's events keep their order.

        Args:
            lines: One JSON event each; blank lines are passed over.
            total: How many there will be, for the progress.
        """
        for chunk in _chunks(lines, _CHUNK):
            by_partition: dict[int, list[ProducerRecord]] = {}
            for line in chunk:
                key = _key_of(line)
                by_partition.setdefault(topics.partition_of(key, self.partitions), []).append(ProducerRecord(key, line))
            writer = KafkaLogWriter(self.producer)
            raw = PREFIX + topics.RAW
            await asyncio.gather(*(writer.append(raw, p, records) for p, records in by_partition.items()))
            for partition, records in by_partition.items():
                self._ends[partition] += len(records)
                self.sent += len(records)
            self.progress("sending", self.sent, total)
            await self._folded(topics.RAW, [end - 4 * _CHUNK for end in self._ends], None)

    async def finish(self) -> int:
        """End the input and wait until every table holds all of it.

        Returns:
            The watermark, the greatest event time, in ms.
        """
        await self._folded(topics.RAW, self._ends, "sorting")
        await self._tick([0] * self.partitions, "folding")
        watermark_ms = max(await self._watermarks(), default=0)
        await self._tick([watermark_ms] * self.partitions, "closing")
        ends = [await self._end(topics.PARTIALS, partition) for partition in range(self.partitions)]
        await self._folded(topics.PARTIALS, ends, "publishing")
        return watermark_ms

    async def _tick(self, times_ms: list[int], phase: str) -> None:
        ends = []
        for partition, time_ms in enumerate(times_ms):
            record = tick_event(partition, time_ms, "end of input")
            sent = await self.producer.send_and_wait(
                PREFIX + topics.EVENTS, record.value, key=record.key, partition=partition
            )
            ends.append(sent.offset + 1)
        await self._folded(topics.EVENTS, ends, phase)

    async def _watermarks(self) -> list[int]:
        found: dict[bytes, int] = {}
        async for records in self.reader.read(PREFIX + topics.PARTIALS, 0):
            for _, key, value in records:
                if key.startswith(WATERMARK_PREFIX.encode()) and value is not None:
                    found[key] = max(found.get(key, 0), msgspec.msgpack.decode(value)[1])
        return list(found.values())

    async def _end(self, topic: str, partition: int) -> int:
        end = 0
        async for records in self.reader.read(PREFIX + topic, partition):
            end = records[-1][0] + 1
        return end

    async def _folded(self, topic: str, ends: list[int], phase: str | None) -> None:
        """Wait until the group has committed everything up to ``ends``.

        Raises:
            WorkerDied: The worker has ended, or has committed nothing for ``_STALLED_S`` seconds.
        """
        goal = sum(max(0, end) for end in ends)
        before, moved_s = None, time.monotonic()
        while True:
            if self.worker.poll() is not None:
                tail = self.servers.log_tail("worker")
                raise WorkerDied(f"the worker ended with code {self.worker.returncode}:\n{tail}")
            done = await committed(self.admin, GROUP, PREFIX + topic, self.partitions)
            if phase is not None:
                self.progress(phase, min(goal, sum(done.values())), goal)
            if all(done[partition] >= end for partition, end in enumerate(ends)):
                return
            if done != before:
                before, moved_s = done, time.monotonic()
            if time.monotonic() - moved_s > _STALLED_S:
                tail = self.servers.log_tail("worker")
                place = f"{topic}: {sum(done.values()):,} of {goal:,} records"
                raise WorkerDied(f"the worker has committed nothing for {_STALLED_S} s ({place}):\n{tail}")
            await asyncio.sleep(0.1)

    async def table(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the latest row of each key of a table topic."""
        rows: dict[str, dict[str, Any]] = {}
        for partition in range(self.partitions):
            async for records in self.reader.read(PREFIX + topics.TABLE_TOPICS[name], partition):
                for _, key, value in records:
                    if value is None:
                        rows.pop(key.decode(), None)
                    elif not key.startswith(b"~"):
                        rows[key.decode()] = table_row(value)
        return rows

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Return every dead letter once, whatever replays repeated."""
        return await self._letters(topics.DEAD_LETTERS)

    async def late(self) -> list[dict[str, Any]]:
        """Return a letter for every event beyond the correction horizon of its partition's watermark, each once."""
        return await self._letters(topics.LATE)

    async def _letters(self, topic: str) -> list[dict[str, Any]]:
        found: dict[bytes, dict[str, Any]] = {}
        for partition in range(self.partitions):
            async for records in self.reader.read(PREFIX + topic, partition):
                found.update((key, json.loads(value)) for _, key, value in records if value is not None)
        return list(found.values())


@asynccontextmanager
async def bounded_run(
    directory: Path | None = None, *, partitions: int = 4, progress: Progress = lambda *_: None, **settings: str
) -> AsyncIterator[BoundedRun]:
    """Start servers and a worker for one bounded input; everything stops with the context.

    Args:
        directory: Where logs go; temporary by default.
        partitions: Partitions of each topic.
        progress: Told what is going on.
        **settings: Environment overrides of the worker, without their ``FLOORWATCH_`` prefix.
    """
    async with Servers(directory) as servers:
        connection = {"bootstrap_servers": servers.brokers}
        await create_topics(connection, topics.topic_specs(PREFIX, partitions))
        progress("starting", 0, None)
        # The end of the input moves time here, not silence while the worker is busy elsewhere.
        bounded = {
            "ENGINE__IDLE_TIMEOUT_S": "86400",
            "ENGINE__FLUSH_INTERVAL_S": "2",
            "ENGINE__PUBLISH_INTERVAL_S": "5",
        }
        settings = {**bounded, "KAFKA__PARTITIONS": str(partitions), **settings}
        worker = servers.start_worker(**settings)
        producer = await started_producer(connection, batch_bytes=262_144, request_bytes=20 * 1_048_576)
        admin = await open_admin(connection)
        reader = KafkaLogReader(connection)
        try:
            yield BoundedRun(servers, worker, producer, admin, reader, partitions, progress, 0, [0] * partitions)
        finally:
            await admin.close()
            await producer.stop()


def _key_of(line: bytes) -> bytes:
    """Return the task id of an event; whatever cannot be read gets a key of its own, intake will refuse it.

    So does an id that is too long to be one: key and event together must fit into one record.
    """
    subject = task_of(line)
    return subject.encode() if subject and len(subject) <= MAX_ID_CHARS else b"unreadable-%d" % crc32(line)


JSON_SPACE = b" \t\r\n"
"""No others: a form feed around an event is a fault here as everywhere."""


def _chunks(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    chunk_bytes = 0
    for line in lines:
        stripped = line.strip(JSON_SPACE)
        if stripped:
            chunk.append(stripped)
            chunk_bytes += len(stripped)
        if len(chunk) >= size or chunk_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, chunk_bytes = [], 0
    if chunk:
        yield chunk
