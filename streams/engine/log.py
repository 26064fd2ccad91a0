"""The log as the engine needs it: append and wait, read a partition whole. One port, a Kafka and a memory side."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError

from streams.engine.errors import Misconfigured
from streams.engine.fetch import plain
from streams.engine.meter import Meter
from streams.models.topics import MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)


class ProducerRecord(NamedTuple):
    """One record to append: key, value (None is a tombstone) and a timestamp in ms (None: now)."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None


Entry = tuple[bytes | None, bytes | None, int | None]
"""What ``ProducerRecord`` is a name for: hot paths write plain tuples."""


class LogWriter(Protocol):
    """Appends records; ``append`` returns when the broker has them all (acks=all)."""

    async def append(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        """Append records to one partition in order.

        Raises:
            Misconfigured: A record is larger than the topic may hold.
            Exception: Any broker error. What is on the log then is records from the first on, in order and without a gap;
                how many is not known.
        """


class LogReader(Protocol):
    """Reads a partition from its beginning to the end it had when asked."""

    def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        """Yield batches of (offset, key, value)."""

    async def empty(self, topic: str, partition: int) -> bool:
        """Tell whether a partition holds no record."""


MAX_IN_FLIGHT_BYTES = 32 * 1_048_576

_READ_RETRY_S = 1.0

BATCH_BYTES = 786_432
"""A batch of the producer."""


class KafkaLogWriter:
    """Builds batches itself, which costs one microsecond per record; ``producer.send`` costs twenty."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        meter: Meter | None = None,
        max_in_flight_bytes: int = MAX_IN_FLIGHT_BYTES,
        *,
        max_record_bytes: int = MAX_MESSAGE_BYTES,
        large_bytes: int = BATCH_BYTES,
    ) -> None:
        """Use a started producer; the caller stops it.

        Args:
            producer: Appends in order: one batch of a partition is under way at a time.
            meter: Where waits and bytes in flight go.
            max_in_flight_bytes: Bytes given to the producer and not acknowledged, beyond which ``append`` waits. Also a
                bound on one request, which a broker refuses above its ``socket.request.max.bytes`` (100 MiB).
            max_record_bytes: Largest record that its topic holds, with what the batch adds to it.
            large_bytes: Size of the producer's batches; a record that is larger goes in one of its own.
        """
        self._producer, self._meter = producer, meter
        self._max_record_bytes, self._large_bytes = max_record_bytes, large_bytes
        self._max_in_flight_bytes = max_in_flight_bytes
        self._in_flight_bytes = 0
        self._room = asyncio.Event()

    async def append(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        """Append records to one partition in order and wait for every acknowledgement."""
        meter = self._meter
        began = 0.0 if meter is None else meter.wait_began("broker")
        try:
            await self._append(topic, partition, records if isinstance(records, list) else list(records))
        finally:
            if meter is not None:
                meter.wait_ended("broker", began)

    async def _append(self, topic: str, partition: int, entries: list[Entry]) -> None:
        """Send the batches one after the other; each waits until the one before it is acknowledged.

        The producer would accept a second batch meanwhile and send it even if the first fails. Then its records would
        be on the log without those before them. The next batch is built while one is under way, so this is not slower.
        """
        before: asyncio.Future[Any] | None = None
        begin = 0
        while begin < len(entries):
            builder = self._producer.create_batch()
            taken = _fill(builder, entries, begin)
            if builder.size() > self._large_bytes:
                self._large(topic, partition, entries[begin], builder.size())
            if before is not None:
                await _acknowledged(before, topic, self._max_record_bytes)
            before = await self._send(builder, topic, partition)
            begin += taken
        if before is not None:
            await _acknowledged(before, topic, self._max_record_bytes)

    def _large(self, topic: str, partition: int, entry: Entry, size: int) -> None:
        """Count a record that fills a batch of its own; refuse one that is larger than its topic may hold."""
        if self._meter is not None:
            self._meter.large_record(topic, size)
        if size > self._max_record_bytes:
            key = (entry[0] or b"")[:200].decode(errors="replace")
            raise Misconfigured(
                f"the record {key!r} for {topic}[{partition}] takes {size:,} bytes, and kafka.max_message_bytes is "
                f"{self._max_record_bytes:,}. Nothing is lost: it is made again from the log of events after a start. A row grows "
                "with the distinct labelers of its pane, so first look for a sender whose labeler_id never repeats. Then "
                f"raise kafka.max_message_bytes and the topic's own limit: {_alter(topic, 'max.message.bytes=N')}"
            )

    async def _send(self, builder: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        """Give a batch to the producer once there is room for it."""
        size = builder.size()
        while self._in_flight_bytes and self._in_flight_bytes + size > self._max_in_flight_bytes:
            self._room.clear()
            await self._room.wait()
        self._count(size)
        try:
            future: asyncio.Future[Any] = await self._queued(builder, topic, partition)
        except BaseException:
            self._count(-size)
            raise
        future.add_done_callback(lambda _: self._count(-size))
        return future

    async def _queued(self, builder: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        while True:
            try:
                future: asyncio.Future[Any] = await self._producer.send_batch(builder, topic, partition=partition)
            except KafkaTimeoutError:
                # The batch before it is still under way, and nothing of this one was taken.
                log.warning("%s[%d]: the broker has not taken the batch before; waiting on", topic, partition)
            else:
                return future

    def _count(self, size: int) -> None:
        self._in_flight_bytes += size
        self._room.set()
        if self._meter is not None:
            self._meter.in_flight(self._in_flight_bytes)


def _alter(topic: str, config: str) -> str:
    """Return the command that changes the configuration of a topic that exists."""
    return f"kafka-configs --alter --topic {topic} --add-config {config}"


async def _acknowledged(sent: asyncio.Future[Any], topic: str, max_record_bytes: int) -> None:
    """Wait until the broker has a batch.

    Raises:
        Misconfigured: The topic holds no records as large as the configuration allows.
    """
    try:
        await sent
    except MessageSizeTooLargeError as error:
        raise Misconfigured(
            f"the broker takes no batch as large as the last one for {topic}: the topic's max.message.bytes is smaller than "
            f"kafka.max_message_bytes, {max_record_bytes:,}. Make them the same: "
            f"{_alter(topic, f'max.message.bytes={max_record_bytes}')}"
        ) from error


_MOST_RECORDS = 16_384


def _fill(builder: Any, records: list[Entry], begin: int = 0) -> int:
    """Append records from ``begin`` on until the batch is full; return how many went in.

    Goes to the C builder inside aiokafka's: its Python wrapper costs three times as much as the work (held by
    tests/engine/test_faust_contract.py).
    """
    now_ms = int(time.time() * 1000)
    add, count = builder._builder.append, 0  # noqa: SLF001
    no_headers: list[Any] = []
    for key, value, stamp in records[begin : begin + _MOST_RECORDS]:
        if add(count, now_ms if stamp is None else stamp, key, value, no_headers) is None:
            builder.close()
            break
        count += 1
    builder._relative_offset = count  # noqa: SLF001
    return count


class KafkaLogReader:
    """Reads partitions with consumers of its own, outside any group."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Hold aiokafka connection settings (bootstrap_servers, security)."""
        self._settings = settings

    async def read(
        self, topic: str, partition: int, *, latest: int | None = None
    ) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        """Yield batches of (offset, key, value) from the beginning, or of about the ``latest`` records, to the end as of now.

        The end is the higher of what ListOffsets and the fetches themselves say: the embedded broker answers the first
        too low after a batch of several records (docs/adr/0005).
        """
        consumer = await self._started(auto_offset_reset="earliest", key_deserializer=plain)
        try:
            tp = TopicPartition(topic, partition)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            begin = (await consumer.beginning_offsets([tp]))[tp]
            if end <= begin:
                return
            consumer.seek(tp, begin if latest is None else max(begin, end - latest))
            while await consumer.position(tp) < max(end, consumer.highwater(tp) or 0):
                polled = await consumer.getmany(tp, timeout_ms=1000, max_records=20_000)
                for records in polled.values():
                    yield [(record.offset, record.key or b"", record.value) for record in records]
        finally:
            await consumer.stop()

    async def _started(self, **options: Any) -> AIOKafkaConsumer:
        """Start a consumer. If the broker is away, wait for it: the caller is recovering and gives up by cancellation."""
        while True:
            consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **options, **self._settings)
            try:
                await consumer.start()
            except KafkaConnectionError as error:
                await consumer.stop()
                log.warning("cannot read yet, trying again in %g s: %s", _READ_RETRY_S, error)
                await asyncio.sleep(_READ_RETRY_S)
            else:
                return consumer

    async def empty(self, topic: str, partition: int) -> bool:
        """Tell whether a partition holds no record."""
        consumer = await self._started()
        try:
            tp = TopicPartition(topic, partition)
            begin, end = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
            return bool(end[tp] <= begin[tp])
        finally:
            await consumer.stop()
