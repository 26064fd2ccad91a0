"""Micro-batches under Faust: a consumer that hands an agent all polled records of a partition as one message.

Stock Faust spends its time per message (tasks, futures, sensors, acks), which caps a worker near 9,000 events/s. Here a
poll yields one message per topic-partition whose value is a ``Batch``; agents stay ordinary Faust agents, supervised,
assigned and flow-controlled. This leans on Faust internals, each held by tests/engine/test_faust_contract.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import faust
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
        """Have fetched again what nobody has taken."""
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


class _NoReadOffsets(dict[TP, Any]):
    """Stands for Faust's read offsets: its loop drops messages below them without a word.

    It notes an offset a while after the position was moved on the other thread, and may drop what was fetched in between. The
    fold skips what it knows, so nothing needs to be dropped.
    """

    def __getitem__(self, _: TP) -> None:
        return None


class BatchThread(AIOKafkaConsumerThread):
    """Faust's consumer thread, whose consumer fetches plain records."""

    def go_back(self, offsets: Mapping[TP, int]) -> None:
        """Move the read position of partitions back, never forward; call it on the thread itself.

        What lies before an offset may have been dropped too, so a position that is lower is the right one. One that is not
        known yet will be what the group has committed, and what is committed has been folded.

        Args:
            offsets: Offset to read again from, by partition; those not assigned any more are left out.
        """
        assignment = self._ensure_consumer()._subscription.subscription.assignment  # noqa: SLF001
        for tp, offset in offsets.items():
            state = None if assignment is None else assignment.state_value(tp)
            if state is not None and state.has_valid_position and state.position > offset:
                self.seek(tp, offset)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._key_deserializer = fetch.plain  # noqa: SLF001
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        return consumer


async def _on(thread: AIOKafkaConsumerThread, call: Callable[..., None], *args: Any) -> None:
    """Call something on the consumer's thread and wait for its end."""

    async def there() -> None:
        call(*args)

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), thread.thread_loop))


class BatchConsumer(AIOKafkaConsumer):
    """Faust's consumer, yielding one message per (partition, poll) for topics registered on the transport.

    Each record that is fetched is either folded or fetched again: what is not handed out, or handed out and dropped, is gone
    back for. No later record is needed to notice it, for there may be none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with no batch in hand."""
        super().__init__(*args, **kwargs)
        self._read_offset = _NoReadOffsets()
        self._in_hand: dict[TP, list[int]] = {}
        self._dropped: dict[TP, int] = {}
        self._counted_generation: int | None = None
        self._count = 0
        self._room = asyncio.Event()
        self._polled_little = False

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def batches_in_hand(self) -> dict[tuple[str, int], int]:
        """How many batches of each partition are handed out and not done, by (topic, partition); at most ``IN_HAND``."""
        return {(tp.topic, tp.partition): len(firsts) for tp, firsts in self._in_hand.items()}

    def resume_flow(self) -> None:
        """Let records flow, and have fetched again what is in hand: Faust has just emptied the queues of streams.

        A rebalance may have let records flow too early, so that batches of this generation were in them. The last of them is
        still in a variable of Faust's loop and would be known as dropped only when the next message comes, if one comes.
        """
        self._forget_other_generations(self.app.consumer_generation_id)
        for tp, firsts in self._in_hand.items():
            for first in firsts:
                self._fetch_again(tp, first)
        self._count_anew()
        super().resume_flow()

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
        await _on(self._thread, self._thread.seek, partition, offset)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Fetch from the broker; see ``faust.transport.consumer.Consumer.getmany`` whose checks these are.

        Faust throws away what it may not hand out, as during a rebalance, and goes back to what is committed, which moves
        nothing where nothing is committed yet. This goes back to just what was thrown away.
        """
        if self._polled_little:
            await asyncio.sleep(_GATHER_S)
        records, active = await self._wait_next_records(timeout)
        self._polled_little = sum(map(len, (records or {}).values())) < _LITTLE
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        for place, polled in records.items():
            tp = TP(place.topic, place.partition)  # aiokafka's own tuple equals it, and fails Faust's assertions
            if not polled:
                continue
            flows = self.flow_active and self.app.consumer_generation_id == generation
            if flows and (active is None or tp in active or tp in self._buffered_partitions):
                yield tp, self._batch_message(tp, polled, generation)
            else:
                self._fetch_again(tp, polled[0].offset)

    def _batch_message(self, tp: TP, polled: list[Record], generation: int) -> ConsumerMessage:
        last = polled[-1]
        self._take_in_hand(tp, generation, polled[0].offset)
        batch = Batch(
            tp.topic,
            tp.partition,
            polled,
            self.highwater(tp) or last.offset + 1,
            partial(self._done, tp, self._count, polled[0].offset),
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
        """Begin to count anew after a rebalance: what was handed out before is another's, or is read again from the commit."""
        if generation != self._counted_generation:
            self._counted_generation = generation
            self._count_anew()
            # What is held back may have been taken away.
            self._get_active_partitions().intersection_update(self.assignment())

    def _count_anew(self) -> None:
        """Take nothing to be in hand, whatever becomes of the batches handed out so far, and hold nothing back."""
        self._count += 1
        self._in_hand.clear()
        for tp in list(self._buffered_partitions):
            self.on_buffer_drop(tp)
        self._room.set()

    def _take_in_hand(self, tp: TP, generation: int, first: int) -> None:
        self._forget_other_generations(generation)
        firsts = self._in_hand.setdefault(tp, [])
        firsts.append(first)
        if len(firsts) >= IN_HAND:
            self._get_active_partitions().discard(tp)
            self._buffered_partitions.add(tp)

    def _done(self, tp: TP, count: int, first: int, dropped: bool) -> None:
        if count != self._count:
            return
        if dropped:
            self._fetch_again(tp, first)
        firsts = self._in_hand[tp]
        firsts.remove(first)
        if len(firsts) < IN_HAND:
            self.on_buffer_drop(tp)
            self._room.set()

    def _fetch_again(self, tp: TP, first: int) -> None:
        self._dropped[tp] = min(first, self._dropped.get(tp, first))

    async def _fetch_dropped_again(self) -> None:
        dropped, self._dropped = self._dropped, {}
        await _on(self._thread, self._thread.go_back, dropped)


class BatchTransport(AIOKafkaTransport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer
