"""What random schedules meet once in thousands, told step by step: a worker without its partition goes far ahead."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from streams.core.ledger_store import META, LedgerStore
from streams.core.segments import Segments
from streams.models import topics
from tests.simulation.engine_clock import engine_of
from tests.simulation.floor import LONG, Kinds, Shape
from tests.simulation.ports import Append, Operation
from tests.simulation.schedule import Outcome, rest
from tests.simulation.verdict import differences
from tests.simulation.worker import SimWorker
from tests.simulation.world import NOW_MS, World

LEDGER, SCOPES = (topics.EVENTS, 0), (topics.PARTIALS, 0)


def behind_a_zombie(seed: int, *, half_way: bool = False) -> list[str]:
    """Let recovery start from a flush that a worker completed after it had lost the partition; return what is wrong.

    w0 stalls at offset 10, w1 goes on to 20; w0 wakes, folds to 30 and completes its flush before it learns that its commit
    is refused; w1 flushes twice more, at 23 and 26, and is killed. The highest meta row is w0's.

    Args:
        seed: Of the floor.
        half_way: w0 stalls later, in the flush at 30 when all but its meta row is on the log: w1 finds facts and rows ahead.
    """
    rng = random.Random(seed)
    shape = replace(
        Shape.of(0),
        seed=seed,
        partitions=1,
        workers=2,
        events=40,
        intake=False,
        scopes=True,
        max_unflushed=1_000_000,
        policy=LONG,
    )
    world = World(shape, Kinds())
    with engine_of(world.clock, by_columns=False):
        world.start(rng)
        world.start(rng)
        zombie, successor = world.workers["w0"], world.workers["w1"]
        for topic, key, value in world.source:
            world.cluster.append(topic, 0, [(key, value, NOW_MS)])
        world.source.clear()

        def all_but_meta(worker: SimWorker) -> None:
            while ops := [op for op in worker.wire.first() if not _is_meta(op)]:
                ops[0].land(rng, whole=True)
                worker.wire.remove(ops[0])
                ops[0].settle()
                worker.run()

        def go_on(worker: SimWorker, count: int) -> None:
            world.drain_one(worker, rng)
            worker.fetch(LEDGER, count)
            worker.tick()
            world.drain_one(worker, rng)

        world.group.balance({LEDGER: "w0", SCOPES: "w0"}, ["w0", "w1"])
        zombie.join({LEDGER, SCOPES}, 1, forget_queue=True)
        successor.join(set(), 1, forget_queue=True)
        go_on(zombie, 10)
        if half_way:
            zombie.fetch(LEDGER, 20)
            zombie.tick()
            all_but_meta(zombie)
        world.group.balance({LEDGER: "w1", SCOPES: "w1"}, ["w1"])
        successor.join({LEDGER, SCOPES}, 2, forget_queue=True)
        go_on(successor, 10)
        if half_way:
            go_on(successor, 2)
            go_on(successor, 2)
            world.drain_one(zombie, rng)
        else:
            go_on(zombie, 20)
            go_on(successor, 3)
            go_on(successor, 3)
        assert world.group.committed[LEDGER] == (24 if half_way else 26)
        world.crash(rng, successor)
        rest(world, Outcome(seed), rng)
        assert not world.shared.errors
        return differences(world)


def _is_meta(operation: Operation) -> bool:
    return isinstance(operation, Append) and (operation.records[0][0] or b"").startswith(META)


@pytest.mark.parametrize("half_way", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_recovery_behind_a_zombies_flush_is_exact(seed: int, half_way: bool) -> None:
    assert not behind_a_zombie(seed, half_way=half_way)


def test_a_live_row_of_another_owner_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a zombie completes ahead of its successor must not lose the rows it is made of."""
    original = LedgerStore._collect_rows

    def careless(self: LedgerStore, flush: Any) -> None:
        before = [(place, row, row.owners) for place, row in self.ledger.rows.dirty]
        original(self, flush)
        for place, row, owners in before:
            if self.owner in row.owners and self.owner not in owners:
                self._bury(self._row_key(place), owners)

    monkeypatch.setattr(LedgerStore, "_collect_rows", careless)
    assert any(behind_a_zombie(seed) for seed in range(6))


def test_facts_ahead_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Segments.recall

    def careless(self: Segments, key: bytes, value: bytes, resume: int) -> Any:
        known = len(self._begins)
        yield from original(self, key, value, resume)
        if len(self._begins) == known and key not in self._dead:
            self._dead.append(key)

    monkeypatch.setattr(Segments, "recall", careless)
    assert any(behind_a_zombie(seed, half_way=True) for seed in range(6))
