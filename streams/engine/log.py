"""The log as the engine needs it: append and wait, read a partition whole. One port, a Kafka and a memory side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition


class Outgoing(NamedTuple):
    """One record to append: key, value (None is a tombstone) and a timestamp in ms (None: now)."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None


class LogWriter(Protocol):
    """Appends records; ``append`` returns when the broker has them all (acks=all)."""

    async def append(self, topic: str, partition: int, records: Iterable[Outgoing]) -> None:
        """Append records to one partition in order.

        Raises:
            Exception: Any broker error; then nothing may be assumed of what was written.
        """


class LogReader(Protocol):
    """Reads a partition from its beginning to the end it had when asked."""

    def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        """Yield batches of (offset, key, value)."""


class KafkaLogWriter:
    """Batches built by hand: a microsecond a record where ``producer.send`` costs twenty."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        """Use a started producer; the caller stops it."""
        self._producer = producer

    async def append(self, topic: str, partition: int, records: Iterable[Outgoing]) -> None:
        """Append records to one partition in order and wait for every acknowledgement."""
        waiting: list[asyncio.Future[Any]] = []
        builder = self._producer.create_batch()
        now_ms = int(time.time() * 1000)
        for record in records:
            stamp = now_ms if record.timestamp_ms is None else record.timestamp_ms
            added = builder.append(key=record.key, value=record.value, timestamp=stamp)
            if added is None:
                waiting.append(await self._producer.send_batch(builder, topic, partition=partition))
                builder = self._producer.create_batch()
                builder.append(key=record.key, value=record.value, timestamp=stamp)
        if builder.record_count():
            waiting.append(await self._producer.send_batch(builder, topic, partition=partition))
        for future in waiting:
            await future


class KafkaLogReader:
    """Reads partitions with consumers of its own, outside any group."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Hold aiokafka connection settings (bootstrap_servers, security)."""
        self._settings = settings

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        """Yield batches of (offset, key, value) from the beginning to the end as of now.

        The end is the higher of what ListOffsets and the fetches themselves say: the embedded broker answers the first
        too low after a batch of several records (docs/adr/0005).
        """
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **self._settings
        )
        await consumer.start()
        try:
            tp = TopicPartition(topic, partition)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            begin = (await consumer.beginning_offsets([tp]))[tp]
            if end <= begin:
                return
            consumer.seek(tp, begin)
            while await consumer.position(tp) < max(end, consumer.highwater(tp) or 0):
                polled = await consumer.getmany(tp, timeout_ms=1000, max_records=20_000)
                for records in polled.values():
                    yield [(r.offset, r.key or b"", r.value) for r in records]
        finally:
            await consumer.stop()
