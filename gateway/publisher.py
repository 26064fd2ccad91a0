"""Where accepted events go: Kafka or a journal on disk. One interface with two implementations."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from streams.engine.log import LogWriter, ProducerRecord
from streams.models.topics import DEAD_LETTERS, RAW, SIGNALS, partition_of

Records = Sequence[tuple[bytes, bytes]]


class Overloaded(Exception):
    """Events cannot be accepted now. Operator: see the message; the sender repeats the request."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        """Say why, and when to try again."""
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Publisher(Protocol):
    """Accepts events durably."""

    async def publish(self, records: Records) -> None:
        """Return once all (key, value) pairs are durable; order per key is kept.

        Raises:
            Overloaded: Nothing may be assumed of what was written; send again, duplicates are ignored.
        """

    async def dead_letter(self, records: Records) -> None:
        """As ``publish``, to the dead letters."""

    @property
    def in_flight_bytes(self) -> int:
        """Bytes accepted and not durable yet; their senders wait."""

    def faults(self) -> tuple[str, ...]:
        """Return what keeps it from accepting, as sentences; empty when it is ready."""


class PlanPublisher(Publisher, Protocol):
    """Accepts what people plan, too."""

    async def plan(self, records: Records) -> None:
        """As ``publish``, to the log of incidents."""


class KafkaPublisher:
    """Appends to the raw topic with acks=all, with a bound on the bytes that wait for the broker."""

    def __init__(self, prefix: str, partitions: int, max_in_flight_bytes: int) -> None:
        """Begin without a broker: until ``connected`` is called everything is refused."""
        self.watched: Callable[[], tuple[str, ...]] = tuple
        """Says which background tasks of the connection are down."""
        self._prefix = prefix
        self._partitions = partitions
        self._max_bytes = max_in_flight_bytes
        self._in_flight_bytes = 0
        self._writer: LogWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: str | None = None
        self._absent = "Kafka is not reached yet"

    @property
    def in_flight_bytes(self) -> int:
        """Bytes that wait for the broker; see the port."""
        return self._in_flight_bytes

    def connected(self, writer: LogWriter) -> None:
        """Take a writer whose producer is started."""
        self._writer = writer

    def why_not(self, fault: str) -> bool:
        """Note why there is no writer yet. Returns whether the reason is new."""
        news = fault != self._absent
        self._absent = fault
        return news

    def noted(self, fault: str | None) -> None:
        """Note the result of a probe of the broker: a fault as a sentence, or None if it answers."""
        self._fault = fault

    def faults(self) -> tuple[str, ...]:
        """Return why the last batch failed, or that the broker has not been reached yet."""
        if self._writer is None:
            return (self._absent, *self.watched())
        return (*((self._fault,) if self._fault else ()), *self.watched())

    async def publish(self, records: Records) -> None:
        """Append to the raw topic; see the port."""
        await self._append(RAW, records)

    async def dead_letter(self, records: Records) -> None:
        """Append to the dead letters; see the port."""
        await self._append(DEAD_LETTERS, records)

    async def plan(self, records: Records) -> None:
        """Append to the log of incidents; see the port."""
        await self._append(SIGNALS, records)

    async def drain(self) -> None:
        """Wait for what is under way; call it before the producer is stopped."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _append(self, topic: str, records: Records) -> None:
        if not records:
            return
        size = sum(len(key) + len(value) for key, value in records)
        if self._writer is None:
            raise Overloaded(self._absent, 5)
        if self._in_flight_bytes and self._in_flight_bytes + size > self._max_bytes:
            raise Overloaded(f"{self._in_flight_bytes} bytes wait for Kafka already")
        self._in_flight_bytes += size
        # A sender that gives up must not cancel a batch that the producer already has, because others may share it.
        task = asyncio.create_task(self._write(self._writer, topic, records))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, size))
        await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[None], size: int) -> None:
        self._tasks.discard(task)
        self._in_flight_bytes -= size
        if not task.cancelled():
            task.exception()  # retrieved here, so that asyncio does not report an error that nobody waits for any more

    async def _write(self, writer: LogWriter, topic: str, records: Records) -> None:
        by_partition: dict[int, list[ProducerRecord]] = defaultdict(list)
        for key, value in records:
            by_partition[partition_of(key, self._partitions)].append(ProducerRecord(key, value))
        name = self._prefix + topic
        said = await asyncio.gather(
            *(writer.append(name, partition, one_partition) for partition, one_partition in by_partition.items()),
            return_exceptions=True,
        )
        for fault in said:
            if isinstance(fault, BaseException):
                self._fault = f"Kafka did not take the last events: {type(fault).__name__}: {fault}"
                raise Overloaded(self._fault, 2) from fault
        self._fault = None


class Journal(Protocol):
    """The part of the embedded journal's writer that is used here."""

    @property
    def fault(self) -> str | None:
        """Why it takes no records now, None when it does."""

    async def publish(self, records: Records, topic: str = RAW) -> None:
        """Return once the records are on disk."""


class JournalPublisher:
    """Appends to the embedded stack's journal; its shipper brings everything, dead letters too, to the broker."""

    def __init__(self, journal: Journal, faults: type[Exception]) -> None:
        """Use a started writer.

        Args:
            journal: The writer.
            faults: What it raises when records could not be made durable.
        """
        self._journal = journal
        self._raises = faults
        self._in_flight_bytes = 0

    @property
    def in_flight_bytes(self) -> int:
        """Bytes on their way to the disk; see the port."""
        return self._in_flight_bytes

    def faults(self) -> tuple[str, ...]:
        """Return why the journal takes nothing: a full disk, until there is room again."""
        return (self._journal.fault,) if self._journal.fault else ()

    async def publish(self, records: Records) -> None:
        """Append to the raw topic; see the port."""
        await self._append(records, RAW)

    async def dead_letter(self, records: Records) -> None:
        """Append to the dead letters; see the port."""
        await self._append(records, DEAD_LETTERS)

    async def plan(self, records: Records) -> None:
        """Append to the log of incidents; see the port."""
        await self._append(records, SIGNALS)

    async def _append(self, records: Records, topic: str) -> None:
        size = sum(len(key) + len(value) for key, value in records)
        self._in_flight_bytes += size
        try:
            await self._journal.publish(records, topic)
        except self._raises as error:
            raise Overloaded(str(error), 5) from error
        finally:
            self._in_flight_bytes -= size
