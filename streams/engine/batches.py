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
"""Most batches of a partition that are handed out and not done; then no more of it is fetched. The bound is by
partition, so that a stage that stands still (Redis is away) does not stop others. Faust alone would in the end block
all topics. Four are about 100 ms of work, so a worker under full load never waits for the next fetch."""

_EAGER_S = 0.05
"""Longest wait for records while a partition is at its bound. When it has room again, its records may already be
here."""

_GATHER_S = 0.02
"""Pause after a poll that brought little. A poll costs two thread switches and a batch costs one call of its stage,
however few records they hold. At 1,000 events/s that is about a fifth of a worker's CPU."""

_LITTLE = 1_000
"""Records of a poll, of all partitions."""

_FETCH_WAIT_MS = 100
"""Longest time a broker holds a fetch that finds nothing new; Faust's default is 1,500. A broker answers one fetch of a
consumer at a time. A partition whose records stay in the buffer for over 0.1 s is left out of the next fetch, and then
has to wait until that fetch ends. Quiet partitions decide when it ends."""


Release = Callable[[bool], None]
"""Called with whether a batch was dropped before it was folded."""


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
        """Fetch again what was handed out and not folded."""
        self.drop()


def size_of(records: list[Record]) -> int:
    """Return the bytes of the values of records."""
    return sum([len(record.value) for record in records if record.value is not None])


class BatchSchema(faust.Schema):
    """Passes a batch through undecoded. The fold decodes, because there a bad event can become a dead letter."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return Faust's decode callback for a topic."""

        async def decode(message: Message, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return Event(app, None, message.value, None, message)

        return decode


class _NoReadOffsets(dict[TP, Any]):
    """Replaces Faust's read offsets, below which its loop drops messages without notice.

    Faust notes an offset some time after the other thread has moved the position, and may drop records fetched in
    between. The fold skips what it has folded already, so nothing needs to be dropped.
    """

    def __getitem__(self, _: TP) -> None:
        return None


class BatchThread(AIOKafkaConsumerThread):
    """Faust's consumer thread, whose consumer fetches plain records."""

    def go_back(self, offsets: Mapping[TP, int]) -> None:
        """Move the read position of partitions back, never forward; call it on the thread itself.

        Records before an offset may have been dropped too, so the lower position is right. A position that is not known
        yet becomes the committed offset, and everything before that has been folded.

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

    Each fetched record is either folded or fetched again. If a record is not handed out, or is handed out and dropped,
    the position moves back to it. This does not wait for a later record, because there may be none.
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
        """Let records flow, and fetch again the batches in hand, because Faust has just emptied the queues of streams.

        A rebalance may have let records flow too early, so those queues may have held batches of this generation. The
        last batch is still in a variable of Faust's loop. Faust would drop it only when the next message comes, if one
        comes.
        """
        self._forget_other_generations(self.app.consumer_generation_id)
        for tp, firsts in self._in_hand.items():
            for first in firsts:
                self._fetch_again(tp, first)
        self._count_anew()
        super().resume_flow()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109
        """Fetch as Faust does; if every partition is at its bound, wait for room instead of sleeping for a second."""
        self._forget_other_generations(self.app.consumer_generation_id)
        if self.flow_active and self._in_hand and not self._get_active_partitions():
            self._room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._room.wait()
        if self._dropped and self.flow_active:
            await self._fetch_dropped_again()
        found: tuple[Any, set[TP] | None] = await super()._wait_next_records(
            _EAGER_S if self._buffered_partitions else timeout
        )
        return found

    async def _seek(self, partition: TP, offset: int) -> None:
        """Move the read position on the consumer's own thread.

        Faust does it on its own thread and can remove what aiokafka is using on the other one; the worker then dies of
        a KeyError.
        """
        await _on(self._thread, self._thread.seek, partition, offset)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Fetch from the broker; see ``faust.transport.consumer.Consumer.getmany`` whose checks these are.

        Faust drops records that it may not hand out, for example during a rebalance, and moves back to the committed
        offset. If nothing is committed yet, that moves nothing. This moves back to the first record that was dropped.
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
        """Start counting again after a rebalance.

        Batches handed out before belong to another worker, or are read again from the commit.
        """
        if generation != self._counted_generation:
            self._counted_generation = generation
            self._count_anew()
            # A partition at its bound may have been revoked.
            self._get_active_partitions().intersection_update(self.assignment())

    def _count_anew(self) -> None:
        """Forget all batches handed out so far, and let every partition be fetched."""
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
