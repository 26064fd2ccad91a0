"""The world of one schedule: cluster, group, Redis and processes, and all that can be done to them.

Every action takes the random numbers of its own step and says in one line what it did, or None where it cannot be done
now. Nothing here looks at the state of the engine.
"""

from __future__ import annotations

import random
from zlib import crc32

from streams.core.policy import DAY_MS
from streams.core.records import CONTENT_ERRORS
from streams.models import topics
from streams.models.events import decode_log_event
from streams.models.timestamps import to_ms
from streams.models.topics import partition_of
from tests.core.floorgen import START_MS
from tests.simulation.cluster import TP, Cluster, Group
from tests.simulation.floor import Kinds, Shape, floor_events, garbage
from tests.simulation.loop import Clock
from tests.simulation.ports import Append, Memory, Operation
from tests.simulation.watch import FloorWatch, idle_tick
from tests.simulation.worker import STAGES, Shared, SimWorker

PREFIX = "f."
NOW_MS = START_MS + 100 * DAY_MS
"""When records arrive: after all that events tell of, but for those of ``arrival_of``."""

_AHEAD_MS = 250_000


def arrival_of(seed: int, value: bytes) -> int:
    """Return when an event arrives, Unix ms: in every third floor a fifth of them is dated after that, as by a clock ahead."""
    if seed % 3 or crc32(value) % 5:
        return NOW_MS
    try:
        return to_ms(decode_log_event(value).time) - _AHEAD_MS
    except CONTENT_ERRORS:
        return NOW_MS


class World:
    """One floor, its broker and its workers.

    Attributes:
        workers: The living processes by name.
        orphans: Requests of dead processes that may still arrive.
        source: (topic, key, value) still to be produced.
        joining: The workers giving partitions back while the group rebalances; None when it does not.
    """

    def __init__(self, shape: Shape, kinds: Kinds) -> None:
        self.shape, self.kinds = shape, kinds
        self.clock = Clock()
        self.cluster = Cluster(PREFIX, shape.partitions)
        self.group = Group()
        self.memory = Memory()
        self.shared = Shared(self.cluster, self.group, self.memory, self.clock, shape.policy)
        self.shared.max_unflushed, self.shared.hot_tasks = shape.max_unflushed, shape.hot_tasks
        self.shared.revoke_patience_s = shape.revoke_patience_s
        self.shared.parks = bool(shape.seed % 2)  # each second schedule recovers everything after each rebalance
        self.shared.at_once, self.shared.commit_pause_s = shape.at_once, shape.commit_pause_s
        self.stages = [
            s for s in STAGES if (s != topics.RAW or shape.intake) and (s != topics.PARTIALS or shape.scopes)
        ]
        self.workers: dict[str, SimWorker] = {}
        self.orphans: list[Operation] = []
        self.joining: set[str] | None = None
        self._lives = 0
        self.source = self._floor()
        self.watch = FloorWatch()

    def _floor(self) -> list[tuple[str, bytes, bytes]]:
        rng = random.Random(self.shape.seed)
        events = floor_events(self.shape.seed, self.shape.events, granted=self.shape.granted)
        if not self.shape.intake:
            return [(topics.EVENTS, key, value) for key, value in events]
        for _ in range(rng.randrange(4)):
            events.insert(rng.randrange(len(events) + 1), garbage(rng))
        return [(topics.RAW, key, value) for key, value in events]

    # -- choosing -------------------------------------------------------------------------------------------------

    def running(self) -> list[SimWorker]:
        """Return the workers whose code runs."""
        return [worker for worker in self.workers.values() if not worker.stalled]

    def is_member(self, worker: SimWorker) -> bool:
        """Tell whether the group still counts a worker as one of its own."""
        return self.group.members.get(worker.name) == worker.generation

    def zombies(self) -> list[SimWorker]:
        """Return running workers that own nothing any more and have not noticed."""
        return [
            worker
            for worker in self.running()
            if worker.generation >= 0
            and not self.is_member(worker)
            and (worker.leaving is None or (worker.leaving.done() and worker.assigned))
        ]

    def run_all(self) -> None:
        """Let every process run until it waits."""
        for worker in list(self.workers.values()):
            worker.run()

    # -- the floor goes on ----------------------------------------------------------------------------------------

    def produce(self, rng: random.Random) -> str | None:
        """Write the next events."""
        if not self.source:
            return None
        count = min(len(self.source), rng.choice((1, 3, 8, 20)))
        for topic, key, value in self.source[:count]:
            arrived_ms = arrival_of(self.shape.seed, value)
            self.cluster.append(topic, partition_of(key, self.shape.partitions), [(key, value, arrived_ms)])
        del self.source[:count]
        return f"{count} events are produced"

    def deliver(self, rng: random.Random) -> str | None:
        """Let a worker fetch."""
        choices = [
            (worker, tp)
            for worker in self.running()
            for tp in sorted(worker.assigned)
            if len(worker.queues[tp[0]]) < 3 and worker.positions[tp] < self.cluster.log(*tp).end
        ]
        if not choices:
            return None
        worker, tp = rng.choice(choices)
        start = worker.positions[tp]
        count = worker.fetch(tp, rng.choice((1, 3, 9, 30)))
        return f"{worker.name} fetches {tp[0]}[{tp[1]}] {start}..{start + count - 1}"

    def flush(self, rng: random.Random) -> str | None:
        """A worker's flush interval is over."""
        running = self.running()
        if not running:
            return None
        worker = rng.choice(running)
        worker.tick()
        return f"{worker.name} begins a flush"

    def fall_idle(self, rng: random.Random, partition: int | None = None) -> str | None:
        """Let the ticker find a partition of the log silent, some one by default."""
        partition = rng.randrange(self.shape.partitions) if partition is None else partition
        record = idle_tick((worker for worker in self.running() if self.is_member(worker)), partition, rng)
        if record is None:
            return None
        self.cluster.append(topics.EVENTS, partition, [(record.key, record.value, NOW_MS)])
        return f"partition {partition} falls idle"

    def pass_time(self, rng: random.Random) -> str | None:
        """Let the clock go on."""
        seconds = rng.choice((0.1, 0.6, 5.0))
        self.clock.now_s += seconds
        self.run_all()
        return f"{seconds:g} s pass"

    # -- requests go through --------------------------------------------------------------------------------------

    def progress(self, rng: random.Random) -> str | None:
        """Let some requests of a worker go a step further: arrive in part, arrive, be answered."""
        choices = [worker for worker in self.workers.values() if worker.wire.operations]
        if not choices:
            return None
        worker = rng.choice(choices)
        said = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            operations = [op for op in worker.wire.first() if not (worker.stalled and op.landed)]
            if not operations:
                break
            operation = rng.choice(operations)
            if not operation.landed:
                operation.land(rng, whole=rng.random() < 0.6)
            if operation.landed and not worker.stalled and rng.random() < 0.8:
                worker.wire.remove(operation)
                operation.settle()
                said.append(f"{operation} answered")
                worker.run()
            else:
                said.append(f"{operation} lands" if operation.landed else f"{operation} lands in part")
        return f"{worker.name}: {'; '.join(said)}" if said else None

    def drain(self, rng: random.Random) -> str | None:
        """Let a worker's requests through until it asks for nothing more."""
        choices = [worker for worker in self.running() if worker.wire.operations]
        if not choices:
            return None
        worker = rng.choice(choices)
        return f"{worker.name}: {self.drain_one(worker, rng)} requests answered, in any order"

    def drain_one(self, worker: SimWorker, rng: random.Random) -> int:
        """Answer everything a worker asks until it is silent; return how many requests that were."""
        count = 0
        while operations := worker.wire.first():
            operation = operations[rng.randrange(len(operations))] if len(operations) > 1 else operations[0]
            if not operation.landed:
                operation.land(rng, whole=True)
            worker.wire.remove(operation)
            operation.settle()
            worker.run()
            count += 1
        return count

    def go_on(self, rng: random.Random) -> str | None:
        """Let a worker, rather one that is out without knowing it, fetch, fold, flush and commit without a break."""
        running = self.zombies() or self.running()
        if not running:
            return None
        worker = rng.choice(running)
        self.drain_one(worker, rng)
        fetched = sum(worker.fetch(tp, rng.choice((1, 3, 9, 30))) for tp in sorted(worker.assigned))
        worker.tick()
        count = self.drain_one(worker, rng)
        return f"{worker.name} goes on: {fetched} records fetched, flushed and offered to commit in {count} requests"

    def orphan_lands(self, rng: random.Random) -> str | None:
        """What a dead process had sent arrives."""
        first = {operation.channel: operation for operation in reversed(self.orphans)}
        if not first:
            return None
        operation = rng.choice(list(first.values()))
        operation.land(rng, whole=rng.random() < 0.5)
        if operation.landed:
            self.orphans.remove(operation)
        return f"late, of a dead process: {operation}"

    # -- trouble --------------------------------------------------------------------------------------------------

    def crash(self, rng: random.Random, worker: SimWorker | None = None) -> str | None:
        """Kill a process; what it had under way is cut anywhere, or arrives later."""
        if worker is None:
            if not self.workers:
                return None
            worker = rng.choice(list(self.workers.values()))
        del self.workers[worker.name]
        if self.joining is not None:
            self.joining.discard(worker.name)
        linger = self.kinds.linger and rng.random() < 0.3
        left = worker.kill()
        blocked: set[object] = set()
        for operation in left:
            if operation.landed or operation.channel in blocked:
                continue
            if linger and isinstance(operation, Append):
                self.orphans.append(operation)
                continue
            if rng.random() < 0.6:
                operation.land(rng, whole=rng.random() < 0.4)
            if not operation.landed:
                blocked.add(operation.channel)
        how = f"{len(left)} requests under way {'will arrive later' if linger else 'cut'}" if left else "idle"
        return f"{worker.name} is killed, {how}"

    def start(self, rng: random.Random) -> str | None:
        """Start a process; it joins the group at the next rebalance."""
        if len(self.workers) >= self.shape.workers:
            return None
        name = f"w{self._lives}"
        self._lives += 1
        self.workers[name] = SimWorker(name, self.shared, self.stages)
        return f"{name} starts"

    def stall(self, rng: random.Random) -> str | None:
        """Stop a process where it stands, between two lines of its code that wait."""
        choices = [worker for worker in self.running() if self.is_member(worker)]
        if not choices:
            return None
        worker = rng.choice(choices)
        worker.stalled = True
        return f"{worker.name} stalls ({len(worker.wire.operations)} requests under way)"

    def wake(self, rng: random.Random) -> str | None:
        """Let a stalled process go on."""
        choices = [worker for worker in self.workers.values() if worker.stalled]
        if not choices:
            return None
        worker = rng.choice(choices)
        worker.stalled = False
        worker.run()
        return f"{worker.name} wakes{'' if self.is_member(worker) else ', a zombie'}"

    def notice(self, rng: random.Random) -> str | None:
        """A zombie learns that the group goes on without it, and gives everything back, flushing as always."""
        zombies = self.zombies()
        if not zombies:
            return None
        worker = rng.choice(zombies)
        worker.leave(worker.assigned)
        worker.assigned, worker.positions = set(), {}
        return f"{worker.name} learns that it has been expelled"

    def outage(self, rng: random.Random) -> str | None:
        """A request fails: it may have arrived or not, in part or whole."""
        choices = [worker for worker in self.running() if worker.wire.operations]
        if not choices:
            return None
        worker = rng.choice(choices)
        operation = rng.choice(worker.wire.first())
        text = str(operation)
        worker.hurt = worker.hurt or operation.kind in ("append", "read")
        if not operation.fail(rng):
            return None
        worker.wire.remove(operation)
        worker.run()
        return f"{worker.name}: {text} fails"

    def end_failed(self, rng: random.Random) -> str | None:
        """A process that has asked for its own end comes to it."""
        failed = [worker for worker in self.running() if worker.failed]
        if not failed or (self.kinds.afterlife and rng.random() < 0.6):
            return None
        return "after a failure " + (self.crash(rng, failed[0]) or "")

    def lose_redis(self, rng: random.Random) -> str | None:
        """Redis restarts empty."""
        if not self.memory.values:
            return None
        self.memory.clear()
        return "Redis forgets everything"

    def compact(self, rng: random.Random) -> str | None:
        """The cleaner runs on one partition."""
        choices = self.cluster.compactable()
        if not choices:
            return None
        tp = rng.choice(choices)
        log, shape = self.cluster.log(*tp), self.shape
        old = [record for record in log.records if record.step <= self.cluster.step - shape.lag_steps]
        if not old:
            return None
        upto = old[-1].offset + 1 if rng.random() < 0.6 else rng.choice(old).offset + 1
        dropped = log.compact(upto, self.cluster.step, shape.retention_steps)
        return f"{tp[0]}[{tp[1]}] is compacted below {upto}: {dropped} records go" if dropped else None

    # -- the group ------------------------------------------------------------------------------------------------

    def begin_rebalance(self, rng: random.Random) -> str | None:
        """The group asks its members to give their partitions back."""
        if self.joining is not None or not self.running():
            return None
        self.joining = set()
        for worker in self.running():
            if not self.is_member(worker):
                continue
            self.joining.add(worker.name)
            # Eager assignors take everything, others may leave what stays.
            keep = {tp for tp in sorted(worker.assigned) if rng.random() < 0.5} if rng.random() < 0.3 else set()
            worker.leave(worker.assigned - keep)
            worker.assigned = keep
        return f"rebalance: {', '.join(sorted(self.joining)) or 'nobody'} must give partitions back"

    def end_rebalance(self, rng: random.Random) -> str | None:
        """The group assigns partitions to all who are there; who is not is out without knowing it."""
        if self.joining is None:
            return None
        for worker in self.running():
            if self.is_member(worker) and worker.name not in self.joining:
                self.joining.add(worker.name)  # it was stalled when the others were asked
                worker.leave(worker.assigned)
                worker.assigned = set()
                return f"rebalance: {worker.name} must give partitions back, too"
        late = [w.name for w in self.workers.values() if self.is_member(w) and (w.stalled or not _left(w))]
        if late and not self.kinds.zombie:
            return None
        members = [w for w in self.running() if _left(w) and w not in self.zombies()]
        if not members:
            return None
        self.joining = None
        shares: dict[str, set[TP]] = {worker.name: set() for worker in members}
        assignment: dict[TP, str] = {}
        for topic in self.stages:
            for partition in range(self.shape.partitions):
                kept = [w for w in members if (topic, partition) in w.assigned]
                owner = kept[0] if kept else rng.choice(members)
                shares[owner.name].add((topic, partition))
                assignment[topic, partition] = owner.name
        generation = self.group.balance(assignment, shares)
        for worker in members:
            early = rng.choice((0, 0, 3, 30)) if self.shared.parks else 0
            worker.join(shares[worker.name], generation, forget_queue=rng.random() < 0.5, early=early)
        text = "; ".join(
            f"{name} has {', '.join(f'{topic}[{p}]' for topic, p in sorted(tps)) or 'nothing'}"
            for name, tps in shares.items()
        )
        return f"generation {generation}: {text}" + (f"; without {', '.join(late)}" if late else "")


def _left(worker: SimWorker) -> bool:
    return worker.leaving is None or worker.leaving.done()
