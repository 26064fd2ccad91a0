"""The undisturbed run: the same log of events through the same stages, with nobody in the way."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from streams.models import topics
from tests.simulation.cluster import Cluster
from tests.simulation.floor import Kinds
from tests.simulation.worker import SimWorker
from tests.simulation.world import World


class Calm:
    """One worker that folds everything once."""

    def __init__(self, disturbed: World) -> None:
        shape = replace(disturbed.shape, workers=1, intake=False, max_unflushed=1_000_000, hot_tasks=1 << 40)
        world = self.world = World(shape, Kinds())
        world.clock = world.shared.clock = disturbed.clock
        world.shared.parks = (
            False  # no record comes before the assignment: the last tick must not be in the first flush
        )
        world.source.clear()
        for partition in range(shape.partitions):
            records = disturbed.cluster.log(topics.EVENTS, partition).records
            world.cluster.log(topics.EVENTS, partition).append(((r.key, r.value, r.timestamp_ms) for r in records), 0)
        self._rng = random.Random(0)
        world.start(self._rng)
        (self._worker,) = world.workers.values()
        world.begin_rebalance(self._rng)
        world.end_rebalance(self._rng)
        ends = [world.cluster.log(topics.EVENTS, partition).end for partition in range(shape.partitions)]
        # Two flushes, the second for the last tick alone: what the first one ends, the second takes off the logs.
        for upto in ([end - 1 for end in ends], ends):
            self._go_on(upto)
        if world.shared.errors:
            raise world.shared.errors[0]

    def _go_on(self, upto: list[int]) -> None:
        """Fold the events below an offset of each partition and bring them through all stages."""
        world, worker = self.world, self._worker
        for partition, end in enumerate(upto):
            worker.fetch((topics.EVENTS, partition), end - worker.positions[topics.EVENTS, partition])
            world.drain_one(worker, self._rng)
        # One round a stage, and one more: the long windows of a floor that goes on are shown one at a time.
        for _ in range(len(world.stages) + 1):
            world.clock.now_s += 100.0
            worker.tick()
            world.drain_one(worker, self._rng)
            for tp in worker.assigned:
                if tp[0] == topics.PARTIALS and worker.fetch(tp, 1_000_000):
                    world.drain_one(worker, self._rng)

    def ledger(self, partition: int) -> Any:
        """Return the ledger stage of a partition."""
        return self._worker.hosts[topics.EVENTS].owned[partition].processor

    def floor(self, partition: int) -> Any:
        """Return the floor of a partition."""
        return self._worker.hosts[topics.PARTIALS].owned[partition].processor.floor  # type: ignore[attr-defined]

    def scopes(self) -> set[str]:
        """Return the keys of all scopes that still have a pane."""
        return {key for partition in range(self.world.shape.partitions) for key in self.floor(partition).scopes}

    def recovered(self, cluster: Cluster, stage: str, partition: int) -> Any:
        """Return a stage as a new process would recover it from a cluster."""
        world = self.world
        worker = SimWorker("reader", world.shared, [stage])
        worker.reader._cluster = cluster
        worker.hosts[stage].assign([])
        worker.loop.spawn(_assign(worker, stage, partition))
        worker.run()
        world.drain_one(worker, self._rng)
        owned = worker.hosts[stage].owned[partition]
        if owned.recovery is None or not owned.ready.is_set():
            raise RuntimeError(f"{stage}[{partition}] does not recover")
        return owned.processor


async def _assign(worker: SimWorker, stage: str, partition: int) -> None:
    worker.hosts[stage].assign([partition])
