"""Reads partitions of the log of events from a running cluster: outside any group, up to the end as of now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.core.records import Record

_POLL_RECORDS = 20_000
_POLL_MS = 1000
_POLLS = 3


class NoLog(RuntimeError):
    """The topic of events does not exist on that broker. Operator: create the topics, or fix the topic prefix."""


@dataclass(frozen=True)
class Extent:
    """What one partition of the log held when it was asked.

    Attributes:
        partition: Its number.
        begin: Offset of the first record still there; above 0 the broker has deleted older ones.
        end: Offset after the last record.
        final: ``end`` is exact and not to be passed.
    """

    partition: int
    begin: int
    end: int
    final: bool = False


class EventLog:
    """One topic of a running cluster, read partition by partition."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partitions: list[int]) -> None:
        """Use a started consumer; ``open_log`` makes one."""
        self._consumer = consumer
        self.topic = topic
        self.partitions = partitions

    async def extent(self, partition: int, end: int | None = None) -> Extent:
        """Return the first and last offsets of a partition.

        The embedded broker answers the end too low (docs/adr/0005); ``read`` goes on to the end the fetches tell.

        Args:
            partition: Its number.
            end: End here and nowhere else.
        """
        place = TopicPartition(self.topic, partition)
        begin: int = (await self._consumer.beginning_offsets([place]))[place]
        if end is not None:
            return Extent(partition, begin, end, final=True)
        last: int = (await self._consumer.end_offsets([place]))[place]
        return Extent(partition, begin, last)

    async def record_at(self, partition: int, offset: int) -> Record | None:
        """Return one record; None where the broker no longer has it, or never had.

        Args:
            partition: Its partition.
            offset: Its offset.
        """
        place = TopicPartition(self.topic, partition)
        if partition not in self.partitions or offset < (await self._consumer.beginning_offsets([place]))[place]:
            return None
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        for _ in range(_POLLS):  # no end to go by: the embedded broker answers it too low
            polled = await self._consumer.getmany(place, timeout_ms=_POLL_MS, max_records=1)
            for found in polled.values():
                for r in found:
                    return Record(r.offset, r.timestamp, r.key, r.value) if r.offset == offset else None
        return None

    async def read(self, extent: Extent) -> AsyncGenerator[list[Record], None]:
        """Yield the records of a partition in batches, up to the end it had at the first fetch.

        Args:
            extent: As ``extent`` told it.

        Yields:
            Records in offset order.
        """
        if extent.end <= extent.begin:
            return
        consumer, place = self._consumer, TopicPartition(self.topic, extent.partition)
        consumer.assign([place])
        consumer.seek(place, extent.begin)
        end, fetched = extent.end, extent.final
        while await consumer.position(place) < end:
            polled = await consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            for found in polled.values():
                if not fetched:
                    # The end is fixed here, because on a busy log the reader would never reach it.
                    end, fetched = max(end, consumer.highwater(place) or 0), True
                records = [Record(r.offset, r.timestamp, r.key, r.value) for r in found if r.offset < end]
                if records:
                    yield records


@asynccontextmanager
async def open_log(settings: dict[str, Any], topic: str) -> AsyncIterator[EventLog]:
    """Connect to a cluster for reading one topic.

    Args:
        settings: aiokafka connection settings (bootstrap_servers, security).
        topic: Full name of the topic of events.

    Raises:
        NoLog: The broker has no such topic.
        aiokafka.errors.KafkaError: The broker cannot be reached or refuses.
    """
    partitions = await _partitions_of(settings, topic)
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **settings)
    await consumer.start()
    try:
        yield EventLog(consumer, topic, partitions)
    finally:
        await consumer.stop()


async def _partitions_of(settings: dict[str, Any], topic: str) -> list[int]:
    """Return the numbers of a topic's partitions.

    All topics are listed instead of asking for this one, because a broker may create a topic that is asked for by name.
    """
    admin = AIOKafkaAdminClient(**settings)
    await admin.start()
    try:
        for found in await admin.describe_topics():
            if found["topic"] == topic and found["partitions"]:
                return sorted(int(part["partition"]) for part in found["partitions"])
    finally:
        await admin.close()
    reason = "nothing was ever logged there (`floorwatch up` does), or the topic prefix is another"
    raise NoLog(f"the broker has no topic {topic}: {reason}")
