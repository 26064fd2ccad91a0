"""Micro-batches under Faust: a consumer that hands an agent all polled records of a partition as one message.

Stock Faust spends its time per message (tasks, futures, sensors, acks), which caps a worker near 9,000 events/s. Here a
poll yields one message per topic-partition whose value is a ``Batch``; agents stay ordinary Faust agents, supervised,
assigned and flow-controlled. This leans on Faust internals, each held by tests/engine/test_faust_contract.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import faust
from faust.events import Event
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import TP, Message
from faust.types.tuples import ConsumerMessage

from streams.core.records import Record
from streams.engine import fetch


class Batch:
    """Consecutive records of one partition, as polled."""

    __slots__ = ("highwater", "partition", "records", "topic")

    def __init__(self, topic: str, partition: int, records: list[Record], highwater: int) -> None:
        """Hold records in offset order.

        Args:
            topic: Full topic name.
            partition: Partition number.
            records: At least one record.
            highwater: The partition's end when the records were fetched.
        """
        self.topic = topic
        self.partition = partition
        self.records = records
        self.highwater = highwater


class BatchSchema(faust.Schema):
    """Passes a batch through: decoding is the fold's work, where a bad event has a place to go."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return Faust's decode callback for a topic."""

        async def decode(message: Message, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return Event(app, None, message.value, None, message)

        return decode


class BatchConsumer(AIOKafkaConsumer):
    """Faust's consumer, yielding one message per (partition, poll) for topics registered on the transport."""

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Fetch from the broker; see ``faust.transport.consumer.Consumer.getmany`` whose checks these are."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            # Records fetched while a rebalance began: go back to what is committed, the fold skips what it knows.
            await self.perform_seek()
            return
        for tp, polled in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            if not polled or not (active is None or tp in active or tp in self._buffered_partitions):
                continue
            yield tp, self._batch_message(tp, polled, generation)

    def _batch_message(self, tp: TP, polled: list[Record], generation: int) -> ConsumerMessage:
        last = polled[-1]
        batch = Batch(tp.topic, tp.partition, polled, self.highwater(tp) or last.offset + 1)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp_ms / 1000.0,
            0,
            (),
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )


class BatchTransport(AIOKafkaTransport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer


fetch.install()
