"""Micro-batches under Faust: a consumer that hands an agent all polled records of a partition as one message.

Stock Faust spends its time per message (tasks, futures, sensors, acks), which caps a worker near 9,000 events/s. Here a
poll yields one message per topic-partition whose value is a ``Batch``; agents stay ordinary Faust agents, supervised,
assigned and flow-controlled. This leans on Faust internals, each held by tests/engine/test_faust_contract.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import faust
from aiokafka.errors import IllegalStateError
from faust.events import Event
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import TP, Message
from faust.types.tuples import ConsumerMessage

from streams.core.records import Record
from streams.engine import fetch

IN_HAND = 4
"""Batches of a partition handed out and not yet done with, beyond which no more of it are fetched. Counted by partition,
so that a stage that stands still (Redis is away) fills its own bound and no other's; Faust itself would in the end
block all topics. Four are some 100 ms of work: a worker under full load never waits for the next fetch."""

_EAGER_S = 0.05
"""Longest wait for records while some partition is held back: once it has room its records may be here already."""

_GATHER_S = 0.02
"""Pause after a poll that brought little. Each poll costs two changes of thread and each batch a turn of its stage, whatever
they hold: at 1,000 events/s about a fifth of a worker's CPU."""

_LITTLE = 1_000
"""Records of a poll, of all partitions."""

_FETCH_WAIT_MS = 100
"""Longest time a broker holds a fetch that finds nothing new, where Faust would have 1,500. A broker has one fetch of a
consumer at a time; partitions whose records were not taken from the buffer within 0.1 s are not in it, and once they are taken
they wait for its end, which the quiet ones in it decide."""


Release = Callable[[bool], None]
"""Takes whether a batch was dropped unfolded."""


def _nothing(dropped: bool) -> None:
    """Stand for the consumer where a batch has none."""


class Batch:
    """Consecutive records of one partition, as polled."""

    __slots__ = ("_release", "highwater", "partition", "records", "topic")

    def __init__(
        self, topic: str, partition: int, records: list[Record], highwater: int, release: Release = _nothing
    ) -> None:
        """Hold records in offset order.

        Args:
            topic: Full topic name.
            partition: Partition number.
            records: At least one record.
            highwater: The partition's end when the records were fetched.
            release: Called once when the batch is done with.
        """
        self.topic = topic
        self.partition = partition
        self.records = records
        self.highwater = highwater
        self._release = release

    def done(self) -> None:
        """Say that the batch has been taken: more of its partition may be fetched."""
        release, self._release = self._release, _nothing
        release(False)

    def drop(self) -> None:
        """Say that the batch was not taken: it is fetched again."""
        release, self._release = self._release, _nothing
        release(True)

    def __del__(self) -> None:
        """Have fetched again what nobody has taken: Faust empties the queues of streams when flow resumes at a start."""
        self.drop()


def size_of(records: list[Record]) -> int:
    """Return the bytes of the values of records."""
    return sum([len(record.value) for record in records if record.value is not None])


class BatchSchema(faust.Schema):
    """Passes a batch through: decoding is the fold's work, where a bad event has a place to go."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return Faust's decode callback for a topic."""

        async def decode(message: Message, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return Event(app, None, message.value, None, message)

        return decode


class BatchThread(AIOKafkaConsumerThread):
    """Faust's consumer thread, whose consumer fetches plain records."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._key_deserializer = fetch.plain  # noqa: SLF001
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        return consumer


class BatchConsumer(AIOKafkaConsumer):
    """Faust's consumer, yielding one message per (partition, poll) for topics registered on the transport."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with no batch in hand."""
        super().__init__(*args, **kwargs)
        self._in_hand: dict[TP, int] = {}
        self._dropped: dict[TP, int] = {}
        self._counted_generation: int | None = None
        self._room = asyncio.Event()
        self._polled_little = False

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def batches_in_hand(self) -> dict[tuple[str, int], int]:
        """How many batches of each partition are handed out and not done, by (topic, partition); at most ``IN_HAND``."""
        return {(tp.topic, tp.partition): count for tp, count in self._in_hand.items()}

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109
        """Fetch as Faust does; where every partition is held back it would sleep for a second, this waits for room."""
        self._forget_other_generations(self.app.consumer_generation_id)
        if self.flow_active and self._in_hand and not self._get_active_partitions():
            self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), timeout)
        if self._dropped and self.flow_active:
            await self._fetch_dropped_again()
        found: tuple[Any, set[TP] | None] = await super()._wait_next_records(
            _EAGER_S if self._buffered_partitions else timeout
        )
        return found

    async def _seek(self, partition: TP, offset: int) -> None:
        """Move the read position on the consumer's own thread.

        Faust does it on ours, and takes away what aiokafka may be looking at over there just then (KeyError, worker gone).
        """
        thread = self._thread

        async def there() -> None:
            thread.seek(partition, offset)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), thread.thread_loop))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Fetch from the broker; see ``faust.transport.consumer.Consumer.getmany`` whose checks these are."""
        if self._polled_little:
            await asyncio.sleep(_GATHER_S)
        records, active = await self._wait_next_records(timeout)
        self._polled_little = sum(map(len, (records or {}).values())) < _LITTLE
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            # Records fetched while a rebalance began: go back to what is committed, the fold skips what it knows.
            with suppress(IllegalStateError):  # the partitions have gone meanwhile
                await self.perform_seek()
            return
        for place, polled in records.items():
            tp = TP(place.topic, place.partition)  # aiokafka's own tuple equals it, and fails Faust's assertions
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            if not polled or not (active is None or tp in active or tp in self._buffered_partitions):
                continue
            yield tp, self._batch_message(tp, polled, generation)

    def _batch_message(self, tp: TP, polled: list[Record], generation: int) -> ConsumerMessage:
        last = polled[-1]
        self._take_in_hand(tp, generation)
        batch = Batch(
            tp.topic,
            tp.partition,
            polled,
            self.highwater(tp) or last.offset + 1,
            partial(self._done, tp, generation, polled[0].offset),
        )
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

    def _forget_other_generations(self, generation: int) -> None:
        """Begin to count anew after a rebalance: what was handed out before is another's."""
        if generation != self._counted_generation:
            self._counted_generation = generation
            self._in_hand.clear()
            self._dropped.clear()
            for tp in list(self._buffered_partitions):
                self.on_buffer_drop(tp)
            # What is held back may have been taken away.
            self._get_active_partitions().intersection_update(self.assignment())

    def _take_in_hand(self, tp: TP, generation: int) -> None:
        self._forget_other_generations(generation)
        self._in_hand[tp] = self._in_hand.get(tp, 0) + 1
        if self._in_hand[tp] >= IN_HAND:
            self._get_active_partitions().discard(tp)
            self._buffered_partitions.add(tp)

    def _done(self, tp: TP, generation: int, first: int, dropped: bool) -> None:
        if generation != self._counted_generation or not self._in_hand.get(tp):
            return
        if dropped:
            self._dropped[tp] = min(first, self._dropped.get(tp, first))
        self._in_hand[tp] -= 1
        if self._in_hand[tp] < IN_HAND:
            self.on_buffer_drop(tp)
            self._room.set()

    async def _fetch_dropped_again(self) -> None:
        dropped, self._dropped = self._dropped, {}
        for tp, offset in dropped.items():
            if tp in self.assignment():
                await self.seek(tp, offset)


class BatchTransport(AIOKafkaTransport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer
