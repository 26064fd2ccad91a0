"""Seeded schedules: steps of trouble, then rest. Every step draws from random numbers of its own.

So a step can be left out without changing what the others draw, which is what makes a failing schedule short.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from streams.models import topics
from tests.simulation.engine_clock import engine_of
from tests.simulation.floor import Kinds, Shape, tick
from tests.simulation.verdict import differences
from tests.simulation.world import NOW_MS, World

Action = Callable[[World, random.Random], str | None]

_ROUNDS = 60
"""Rounds of work after which a world that has not come to rest never will."""

ALWAYS: tuple[tuple[Action, int], ...] = (
    (World.produce, 8),
    (World.deliver, 16),
    (World.flush, 9),
    (World.progress, 16),
    (World.drain, 9),
    (World.go_on, 4),
    (World.pass_time, 3),
    (World.start, 6),
    (World.end_rebalance, 12),
)

BY_KIND: dict[str, tuple[tuple[Action, int], ...]] = {
    "crash": ((World.crash, 3),),
    "linger": ((World.orphan_lands, 4),),
    "rebalance": ((World.begin_rebalance, 4),),
    "zombie": ((World.stall, 3), (World.wake, 3), (World.notice, 2)),
    "outage": ((World.outage, 2),),
    "compaction": ((World.compact, 6),),
    "loss": ((World.lose_redis, 1),),
    "idle": ((World.fall_idle, 3),),
}


HAUNTED: dict[Action, int] = {
    World.flush: 14,
    World.drain: 8,
    World.go_on: 14,
    World.progress: 10,
    World.stall: 6,
    World.wake: 8,
    World.notice: 1,
    World.begin_rebalance: 8,
    World.compact: 8,
}
"""How often these are taken in a haunted schedule: workers stall, wake and go on for long, and no compaction waits."""


@dataclass
class Outcome:
    """How a schedule went.

    Attributes:
        timeline: What happened, step by step: number and text; steps of the rest have none.
        wrong: What differs from the undisturbed run; empty when all is well.
        error: What the engine raised although nobody had broken anything.
    """

    seed: int
    timeline: list[tuple[int | None, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.wrong) or self.error is not None

    def note(self, step: int | None, text: str | None) -> None:
        """Write down what happened."""
        if text is not None:
            self.timeline.append((step, text))


def weighted(kinds: Kinds, *, haunted: bool) -> tuple[list[Action], list[int]]:
    """Return the actions of some kinds of trouble and how often each is taken."""
    pairs = [*ALWAYS]
    for kind, actions in BY_KIND.items():
        if getattr(kinds, kind):
            pairs.extend(actions)
    often = HAUNTED if haunted and kinds.zombie else {}
    return [action for action, _ in pairs], [often.get(action, weight) for action, weight in pairs]


def run(seed: int, kinds: Kinds | None = None, skip: Collection[int] = (), shape: Shape | None = None) -> Outcome:
    """Run the schedule of a seed.

    Args:
        seed: Decides the floor, the shape and every step.
        kinds: Which trouble it may meet; all by default.
        skip: Numbers of steps to leave out.
        shape: Replaces the shape the seed would have.
    """
    kinds = kinds or Kinds()
    shape = shape or Shape.of(seed)
    outcome = Outcome(seed)
    world = World(shape, kinds)
    actions, weights = weighted(kinds, haunted=shape.haunted)
    choices = random.Random(seed * 31 + 5).choices(actions, weights, k=shape.steps)
    with engine_of(world.clock, by_columns=shape.by_columns):
        try:
            _open(world, outcome)
            for step, action in enumerate(choices, 1):
                if step in skip:
                    continue
                rng = random.Random((seed << 20) + step)
                world.cluster.step = step
                outcome.note(step, world.end_failed(rng))
                outcome.note(step, action(world, rng))
                world.watch.look(world.workers.values())
                if world.shared.errors:
                    break
            if not world.shared.errors:
                rest(world, outcome, random.Random(seed))
            if not world.shared.errors:
                outcome.wrong = [*world.watch.found, *differences(world)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this schedule's outcome
            world.shared.errors.append(error)
    outcome.error = world.shared.errors[0] if world.shared.errors else None
    return outcome


def _open(world: World, outcome: Outcome) -> None:
    rng = random.Random(world.shape.seed)
    for _ in range(world.shape.workers):
        outcome.note(0, world.start(rng))
    outcome.note(0, world.begin_rebalance(rng))
    outcome.note(0, world.end_rebalance(rng))
    outcome.note(0, world.produce(rng))


def rest(world: World, outcome: Outcome, rng: random.Random) -> None:
    """End all trouble and let the world fold everything there is, with two ticks at its end."""
    _end_trouble(world, outcome, rng)
    while world.source:
        world.produce(rng)
    _come_to_rest(world, rng)
    latest_ms = _latest_ms(world)
    hour_ms = 3_600_000
    # Some floors come to rest with partitions idle, far behind the others; never all of them.
    left_idle = set(rng.sample(range(world.shape.partitions), rng.randrange(world.shape.partitions)))
    left_idle = left_idle if world.kinds.idle else set()
    for leap_ms in (rng.choice((0, 60_000, hour_ms, 7 * hour_ms)), 61_000):
        for partition in left_idle:
            world.fall_idle(rng, partition)
        _come_to_rest(world, rng)
        latest_ms = max(latest_ms, _latest_ms(world)) + leap_ms
        for partition in set(range(world.shape.partitions)) - left_idle:
            key, value = tick(latest_ms)
            world.cluster.append(topics.EVENTS, partition, [(key, value, NOW_MS)])
        outcome.note(None, f"rest: a tick {leap_ms // 1000} s later on every partition")
        _come_to_rest(world, rng)


def _end_trouble(world: World, outcome: Outcome, rng: random.Random) -> None:
    while world.orphans:
        outcome.note(None, world.orphan_lands(rng))
    for worker in list(world.workers.values()):
        worker.stalled = False
        worker.run()
        world.drain_one(worker, rng)
    for worker in list(world.workers.values()):
        world.drain_one(worker, rng)
        if worker.hurt and not worker.failed:
            worker.tick()  # what was refused while nothing waited for it is found out by the next flush
            world.drain_one(worker, rng)
        if worker.failed:
            outcome.note(None, world.crash(rng, worker))
    while text := world.start(rng):
        outcome.note(None, text)
    for _ in range(_ROUNDS):
        world.begin_rebalance(rng)
        world.clock.now_s += 10.0  # whoever waits for Redis to come back tries again
        world.run_all()
        while world.zombies():
            outcome.note(None, world.notice(rng))
        for worker in list(world.workers.values()):
            world.drain_one(worker, rng)
        if world.zombies() or any(w.leaving is not None and not w.leaving.done() for w in world.workers.values()):
            continue
        if (text := world.end_rebalance(rng)) and world.joining is None:
            outcome.note(None, "rest: " + text)
            return
    raise RuntimeError("the group does not come to rest")


def _come_to_rest(world: World, rng: random.Random) -> None:
    """Fetch, fold, flush and publish until nothing changes any more."""
    quiet = 0
    for _ in range(_ROUNDS):
        before = world.cluster.changed
        world.clock.now_s += 100.0
        fetched = False
        for worker in world.running():
            worker.run()
            world.drain_one(worker, rng)
            for tp in sorted(worker.assigned):
                fetched = bool(worker.fetch(tp, 200)) or fetched
                world.drain_one(worker, rng)
            worker.tick()
            world.drain_one(worker, rng)
        world.watch.look(world.workers.values())
        quiet = 0 if fetched or world.cluster.changed != before else quiet + 1
        if quiet == 2 or world.shared.errors:
            return
    raise RuntimeError("the world does not come to rest")


def _latest_ms(world: World) -> int:
    """Return the greatest watermark any ledger has reached."""
    latest_ms: int = max(
        owned.processor.store.ledger.watermark_ms  # type: ignore[attr-defined]
        for worker in world.workers.values()
        for owned in worker.hosts[topics.EVENTS].owned.values()
    )
    return latest_ms
