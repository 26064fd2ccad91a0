"""One worker process as ``streams.app`` wires it, with the memory cluster where Faust and Kafka would be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

from streams.adapters.readmodel import ReadModel
from streams.adapters.topic_names import TopicNames
from streams.agents.aggregate import AggregateStage
from streams.agents.intake import Intake, IntakePolicy
from streams.agents.ledger import LedgerStage
from streams.agents.shown_rows import Shown
from streams.core.facts import Packed
from streams.core.ledger_store import LedgerStore
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tasks import TaskTable
from streams.engine.batches import Batch
from streams.engine.errors import Fenced
from streams.engine.host import Processor, StageHost
from streams.models import topics
from tests.simulation.cluster import TP, Cluster, Commit, Group
from tests.simulation.loop import Clock, SimLoop
from tests.simulation.ports import BrokerAway, Call, Memory, SimReader, SimRedis, SimWriter, Wire

STAGES = (topics.RAW, topics.EVENTS, topics.PARTIALS)
"""Source topics of intake, ledger and scopes."""


class Cold:
    """Tasks that are out of memory, in memory."""

    def __init__(self) -> None:
        self._tasks: dict[str, Packed] = {}

    def get(self, task_id: str) -> Packed | None:
        return self._tasks.get(task_id)

    def put_many(self, tasks: Iterable[tuple[str, Packed]]) -> bool:
        self._tasks.update(tasks)
        return True

    def delete(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)

    def items(self) -> Iterator[tuple[str, Packed]]:
        yield from list(self._tasks.items())

    def close(self) -> None:
        self._tasks.clear()


class Silence:
    """A meter nobody reads."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return _nothing


def _nothing(*_: Any, **__: Any) -> None:
    return None


class Shared:
    """What all processes of one schedule talk to."""

    def __init__(self, cluster: Cluster, group: Group, memory: Memory, clock: Clock, policy: CorePolicy) -> None:
        self.cluster, self.group, self.memory, self.clock, self.policy = cluster, group, memory, clock, policy
        self.topics = TopicNames(cluster.prefix, cluster.partitions)
        self.errors: list[BaseException] = []
        self.publish_interval_s = 0.5
        self.max_unflushed = 1_000_000
        self.hot_tasks = 1 << 40
        self.revoke_patience_s: float | None = None
        self.at_once, self.commit_pause_s = 1, 0.0
        self.parks = True


class SimWorker:
    """A process: its loop, its wire, its three stage hosts.

    Attributes:
        generation: Of the group, as this process knows it.
        assigned: The partitions it believes are its own.
        positions: Offset of the next record to fetch of each.
        stalled: Stopped by the operating system: not a line of it runs.
        hurt: The broker has refused something, so the process will end.
        failed: A stage has failed and asked the process to end; what else runs in it goes on until it does.
        leaving: The task giving all partitions back, while it runs.
    """

    def __init__(self, name: str, shared: Shared, stages: Iterable[str] = STAGES) -> None:
        self.name, self._shared = name, shared
        self.loop = SimLoop(shared.clock)
        self.generation = -1
        self.wire = Wire(self.loop)
        self.assigned: set[TP] = set()
        self.positions: dict[TP, int] = {}
        self.stalled = self.failed = self.hurt = False
        self.leaving: asyncio.Task[None] | None = None
        self._made = 0
        cluster = shared.cluster
        self.writer = SimWriter(self.wire, cluster, lambda: int(shared.clock.now_s * 1000))
        self.reader = SimReader(self.wire, cluster)
        self.read_model = ReadModel(SimRedis(self.wire, shared.memory), "", partitions=cluster.partitions)  # type: ignore[arg-type]
        makers: dict[str, Callable[[int], Processor]] = {
            topics.RAW: self._make_intake,
            topics.EVENTS: self._make_ledger,
            topics.PARTIALS: self._make_scopes,
        }
        self.hosts = {topic: self._host(topic, makers[topic]) for topic in stages}
        self.queues: dict[str, list[Batch]] = {topic: [] for topic in stages}
        self._ticks: set[str] = set()
        self._wake: dict[str, asyncio.Future[None]] = {}
        for topic in stages:
            self.loop.spawn(self._agent(topic))
            self.loop.spawn(self._flush_forever(topic))
        self.loop.run()

    # -- stages ---------------------------------------------------------------------------------------------------

    def _host(self, topic: str, make: Callable[[int], Processor]) -> StageHost:
        shared = self._shared

        async def commit(full: str, partition: int, offset: int) -> bool:
            generation, tp = self.generation, (topic, partition)

            def at_broker() -> Commit:
                return shared.group.commit(self.name, generation, tp, offset)

            text = f"{topic}[{partition}] at {offset}"
            taken = await self.wire.ask(Call(self.loop, "commit", at_broker, ("commit",), text))
            if taken is Commit.FENCED:
                for host in self.hosts.values():
                    host.fence("expelled")
                raise Fenced("expelled")
            return taken is Commit.TAKEN

        async def seek(full: str, partition: int, offset: int) -> int:
            self.positions[topic, partition] = offset
            return offset

        async def fail(error: BaseException) -> None:
            self._failed(error)

        full = shared.topics.name(topic)
        return StageHost(
            topic,
            full,
            make,
            commit,
            seek,
            Silence(),
            fail,
            max_unflushed=shared.max_unflushed,
            far_behind=1 << 40,
            fenced_patience_s=1e9,
            revoke_patience_s=shared.revoke_patience_s,
            at_once=shared.at_once,
            commit_pause_s=shared.commit_pause_s,
        )

    def _make_intake(self, partition: int) -> Processor:
        policy = IntakePolicy(future_ms=1 << 50)
        return Intake(topics.RAW, partition, self._shared.topics, self.writer, self.reader, policy, Silence())

    def _make_ledger(self, partition: int) -> Processor:
        shared = self._shared
        self._made += 1
        stage = LedgerStage(
            partition,
            shared.policy,
            shared.topics,
            self.writer,
            self.reader,
            Silence(),
            owner=f"{self.name}.{self._made}",
            make_tasks=lambda _: TaskTable(Cold(), shared.hot_tasks),
            facts_ahead=1 + self._made % 5,
        )
        if self._made % 2:  # too little room for its facts: it reads the changelog twice
            stage.store = LedgerStore(stage.store.ledger, stage.store.owner, in_hand_bytes=500)
        return stage

    def _make_scopes(self, partition: int) -> Processor:
        shared = self._shared
        return AggregateStage(
            partition,
            shared.policy,
            shared.topics,
            self.writer,
            self.reader,
            self.read_model,
            Silence(),
            publish_interval_s=shared.publish_interval_s,
            shown=Shown({"1h": None}),
        )

    # -- what runs in the process ---------------------------------------------------------------------------------

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._failed(error)
            raise

    def _failed(self, error: BaseException) -> None:
        # What else breaks in a process that is on its way down is no news.
        if not self.failed and not self.hurt and not isinstance(error, BrokerAway):
            self._shared.errors.append(error)
        self.failed = True

    async def _sleep(self, name: str) -> None:
        self._wake[name] = self.loop.create_future()
        await self._wake[name]

    def _rouse(self, name: str) -> None:
        future = self._wake.get(name)
        if future is not None and not future.done():
            future.set_result(None)

    async def _agent(self, topic: str) -> None:
        queue, host = self.queues[topic], self.hosts[topic]
        while True:
            while not queue:
                await self._sleep(topic)
            batch = queue.pop(0)
            if not host.folds(batch.partition):
                batch.drop()
                continue
            try:
                await self._guard(host.process(batch))
            finally:
                batch.done()

    async def _flush_forever(self, topic: str) -> None:
        while True:
            while topic not in self._ticks:
                await self._sleep(f"flush {topic}")
            self._ticks.discard(topic)
            await self._guard(self.hosts[topic].flush_all())

    async def _revoke(self, partitions: set[TP]) -> None:
        given = [
            host.revoke(sorted(p for of, p in partitions if of == topic), park=self._shared.parks)
            for topic, host in self.hosts.items()
        ]
        await asyncio.gather(*given)

    async def _assign(self, partitions: set[TP], *, goes_on: bool) -> None:
        for topic, host in self.hosts.items():
            mine = {p for of, p in partitions if of == topic}
            stay = mine.difference(host.fenced) if goes_on else set()
            await host.revoke([p for p in host.owned if p not in stay], flush=False)
            host.assign(sorted(mine))

    # -- what comes from outside ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Let the process run until it waits for something, unless it is stopped."""
        if not self.stalled:
            self.loop.run()

    def tick(self) -> None:
        """The flush interval is over."""
        self._ticks.update(self.hosts)
        for topic in self.hosts:
            self._rouse(f"flush {topic}")
        self.run()

    def fetch(self, tp: TP, count: int, *, noticed: bool = True) -> int:
        """Bring the next records of a partition to its agent, which may not have noticed them yet; return how many."""
        topic, partition = tp
        log = self._shared.cluster.log(topic, partition)
        found = log.read(self.positions[tp], count)
        if not found:
            return 0
        self.positions[tp] = found[-1].offset + 1
        records = [Record(r.offset, r.timestamp_ms, r.key, r.value) for r in found]
        release = partial(self._done_with, tp, self.generation, records[0].offset)
        self.queues[topic].append(Batch(self._shared.topics.name(topic), partition, records, log.end, release))
        if noticed:
            self._rouse(topic)
            self.run()
        return len(found)

    def _done_with(self, tp: TP, generation: int, first: int, dropped: bool) -> None:
        """Go back for a batch of this assignment that was not folded, as the consumer does."""
        if dropped and generation == self.generation and tp in self.positions:
            self.positions[tp] = min(self.positions[tp], first)

    def leave(self, partitions: set[TP]) -> None:
        """The group takes partitions back: flush and give them up."""
        self.leaving = self.loop.spawn(self._guard(self._revoke(partitions)))
        self.run()

    def join(self, partitions: set[TP], generation: int, *, forget_queue: bool, early: int = 0) -> None:
        """The group assigns partitions: fetching goes on where the group is committed.

        Args:
            partitions: All that this worker owns from now on.
            generation: Of the group.
            forget_queue: Faust empties the queues as records may flow again, as it does after each rebalance.
            early: Records of each partition that come before the stages are told of the assignment.
        """
        committed, before = self._shared.group.committed, self.generation
        self.generation, self.assigned, self.leaving = generation, set(partitions), None
        self.positions = {tp: committed.get(tp, 0) for tp in partitions}
        for tp in sorted(partitions) if early else ():
            self.fetch(tp, early, noticed=False)
        if forget_queue:
            for queue in self.queues.values():
                queue.clear()
        self.loop.spawn(self._guard(self._assign(partitions, goes_on=generation == before + 1)))
        for topic in self.queues:
            self._rouse(topic)
        self.run()

    def kill(self) -> list[Any]:
        """End the process at once; return its operations under way."""
        self.loop.kill()
        return self.wire.cut()
