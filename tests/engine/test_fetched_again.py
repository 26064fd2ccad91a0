"""Every record fetched is folded or fetched again, though no later record shows that it is missing.

Faust's own loop, queue and flow control run here with our consumer; only the thread that talks to the broker is a stand-in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.types import TP

from streams.core.records import Record
from streams.engine.batches import IN_HAND, Batch, BatchConsumer, BatchThread, BatchTransport

A, B = TP("t", 0), TP("t", 1)


class Thread:
    """Fetches from logs in memory as aiokafka does: each record taken moves the position.

    Attributes:
        ends: End of the log by partition.
        committed: What the group has committed, where it has.
        before_result: Called once when records have been taken and Faust's loop does not have them yet.
    """

    def __init__(self, consumer: BatchConsumer, tps: set[TP]) -> None:
        self.consumer, self.tps = consumer, tps
        self.thread_loop = asyncio.get_running_loop()
        self.ends = dict.fromkeys(tps, 0)
        self.committed: dict[TP, int] = {}
        self._consumer = SimpleNamespace(_subscription=SubscriptionState())
        self._consumer._subscription.subscribe({"t"})
        self.before_result: Callable[[], Awaitable[None]] | None = None
        self.assign()

    def assign(self) -> None:
        """Begin a new assignment of the same partitions: what is not committed is read from the beginning."""
        self._consumer._subscription.assign_from_subscribed([TopicPartition(*tp) for tp in self.tps])
        for tp in self.tps:
            self._state(tp).reset_to(self.committed.get(tp, 0))

    def _state(self, tp: TP) -> Any:
        return self._consumer._subscription.subscription.assignment.state_value(tp)

    def position(self, tp: TP) -> int:
        position: int = self._state(tp).position
        return position

    async def getmany(self, active: set[TP], timeout: float) -> dict[TP, list[Record]]:  # noqa: ASYNC109
        """Take records of the active partitions; with none active aiokafka takes all."""
        del timeout
        for _ in range(20):
            if not self.consumer.flow_active:
                return {}
            found = {tp: self._take(tp) for tp in self.tps if (not active or tp in active)}
            if any(found.values()):
                break
            await asyncio.sleep(0.001)
        call, self.before_result = self.before_result, None
        if call is not None:
            await call()
        return found

    def _take(self, tp: TP) -> list[Record]:
        first = self.position(tp)
        if first < self.ends[tp]:
            self._state(tp).consumed_to(self.ends[tp])
        return [Record(offset, 0, None, b"") for offset in range(first, self.ends[tp])]

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        """As aiokafka's: what has no commit stays where it is."""
        for tp, offset in self.committed.items():
            self.seek(tp, offset)
        return {tp: self.committed.get(tp) for tp in self.tps}

    def seek(self, tp: TP, offset: int) -> None:
        self._state(tp).seek(offset)

    def assignment(self) -> set[TP]:
        return self.tps

    def highwater(self, tp: TP) -> int:
        return self.ends[tp]

    def _ensure_consumer(self) -> Any:
        return self._consumer

    go_back = BatchThread.go_back


class Floor:
    """A consumer with Faust's loop and a queue; ``take`` stands for the agent.

    Attributes:
        folded: Offsets by partition, in the order in which they were folded.
    """

    def __init__(self) -> None:
        self.app = faust.App("again", broker="kafka://127.0.0.1:1", store="memory://")
        self.app.transport = BatchTransport(self.app.conf.broker_consumer, self.app)
        self.queue: Any = self.app.FlowControlQueue(100, clear_on_resume=True)
        self.consumer: Any = self.app.transport.create_consumer(
            callback=self._deliver, on_partitions_revoked=_nothing, on_partitions_assigned=_nothing
        )
        self.thread = self.consumer._thread = Thread(self.consumer, {A, B})
        self.app.topics.acks_enabled_for = lambda _: False
        self.app.consumer_generation_id = 1
        self.folded: dict[TP, list[int]] = {A: [], B: []}
        self.consumer._set_active_tps({A, B})
        self.app.flow_control.resume()
        self._drain = asyncio.ensure_future(self.consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())))

    async def _deliver(self, message: Any) -> None:
        await self.app.flow_control.acquire()
        self.queue.put_nowait(message)

    def take(self) -> None:
        """Fold what is in the queue, skipping what is known, as the host does."""
        while not self.queue.empty():
            batch: Batch = self.queue.get_nowait().value
            known = self.folded[TP(batch.topic, batch.partition)]
            if batch.records[0].offset <= len(known):
                known.extend(record.offset for record in batch.records if record.offset >= len(known))
            batch.done()

    def stop_flow(self) -> None:
        """What Faust does when partitions are taken away."""
        self.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.consumer.pause_partitions({A, B})
        self.app.flow_control.clear()

    async def resume_flow(self) -> None:
        """What Faust does when streams may go on after an assignment."""
        self.consumer.resume_partitions({A, B})
        await self.consumer.perform_seek()
        self.app.flow_control.resume()
        self.consumer.resume_flow()

    async def until(self, done: Callable[[], bool], *, taking: bool) -> None:
        """Let the loop run until something holds, but not for ever."""
        for _ in range(400):
            if taking:
                self.take()
            if done():
                return
            await asyncio.sleep(0.001)

    async def ends(self) -> dict[TP, list[int]]:
        """Return what has been folded once nothing more comes."""
        await self.until(lambda: all(len(self.folded[tp]) == end for tp, end in self.thread.ends.items()), taking=True)
        self._drain.cancel()
        with suppress(asyncio.CancelledError):
            await self._drain
        return self.folded


async def _nothing(*_: Any, **__: Any) -> None:
    return None


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.batches._GATHER_S", 0.0)


def test_what_is_in_a_queue_that_faust_clears_as_flow_resumes_is_fetched_again() -> None:
    """Flow was resumed for an earlier assignment amid this one, so batches of this one are in the queues."""

    async def go() -> dict[TP, list[int]]:
        floor = Floor()
        floor.thread.committed = {A: 2}
        floor.folded[A] = [0, 1]
        floor.thread.assign()
        floor.thread.ends[A] = 4  # the last records there will be
        await floor.until(lambda: not floor.queue.empty(), taking=False)
        assert floor.thread.position(A) == 4
        floor.app.flow_control.resume()
        floor.consumer.resume_flow()
        return await floor.ends()

    assert asyncio.run(go())[A] == [0, 1, 2, 3]


def test_what_is_fetched_as_a_rebalance_begins_is_fetched_again_where_nothing_is_committed_yet() -> None:
    async def go() -> dict[TP, list[int]]:
        floor = Floor()

        async def rebalance() -> None:
            floor.stop_flow()
            asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(floor.resume_flow()))

        floor.thread.before_result = rebalance
        floor.thread.ends[A] = 3
        return await floor.ends()

    assert asyncio.run(go())[A] == [0, 1, 2]


def test_what_is_fetched_of_a_new_assignment_before_its_generation_is_known_is_fetched_again() -> None:
    async def go() -> dict[TP, list[int]]:
        floor = Floor()

        async def rebalance() -> None:
            floor.stop_flow()

            async def known() -> None:
                floor.app.consumer_generation_id = 2
                await floor.resume_flow()

            asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(known()))

        floor.thread.before_result = rebalance
        floor.thread.ends[A] = 3
        return await floor.ends()

    assert asyncio.run(go())[A] == [0, 1, 2]


def test_what_is_fetched_of_a_partition_paused_meanwhile_is_fetched_again() -> None:
    async def go() -> dict[TP, list[int]]:
        floor = Floor()

        async def pause() -> None:
            floor.consumer.pause_partitions({A})

        floor.thread.before_result = pause
        floor.thread.ends[A] = 3
        await floor.until(lambda: floor.thread.position(A) == 3, taking=True)
        await asyncio.sleep(0.01)
        floor.consumer.resume_partitions({A})
        return await floor.ends()

    assert asyncio.run(go())[A] == [0, 1, 2]


def test_what_is_fetched_before_faust_notes_where_the_position_went_is_not_dropped() -> None:
    async def go() -> dict[TP, list[int]]:
        floor = Floor()
        floor.folded[A] = [0, 1]
        floor.thread.assign()
        floor.consumer._read_offset[A] = 9  # from before
        floor.thread.ends[A] = 4
        return await floor.ends()

    assert asyncio.run(go())[A] == [0, 1, 2, 3]


def test_what_an_agent_drops_again_and_again_is_fetched_each_time() -> None:
    async def go() -> tuple[dict[TP, list[int]], int]:
        floor = Floor()
        floor.thread.ends[A], dropped = 3, 0
        for _ in range(IN_HAND + 2):
            await floor.until(lambda: not floor.queue.empty(), taking=False)
            batch = floor.queue.get_nowait().value
            batch.drop()
            dropped += 1
        return await floor.ends(), dropped

    assert asyncio.run(go()) == ({A: [0, 1, 2], B: []}, IN_HAND + 2)


def test_the_position_is_moved_back_and_never_forward() -> None:
    async def go() -> list[int]:
        thread = Thread(SimpleNamespace(flow_active=True), {A})  # type: ignore[arg-type]
        found = []
        for position, offset in ((5, 7), (5, 3), (5, 5)):
            thread.seek(A, position)
            thread.go_back({A: offset, TP("gone", 0): 1})
            found.append(thread.position(A))
        thread._consumer._subscription.assign_from_subscribed([TopicPartition(*A)])
        thread.go_back({A: 4})
        assert not thread._state(A).has_valid_position, "it is read from the commit, which may be below"
        return found

    assert asyncio.run(go()) == [5, 3, 5]
