"""A second scheduler over the same world: Hypothesis chooses the steps, and makes what fails short in its own way."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.engine_clock import engine_of
from tests.simulation.floor import Kinds, Shape
from tests.simulation.schedule import BY_KIND, Outcome, rest
from tests.simulation.verdict import differences
from tests.simulation.world import World

pytestmark = pytest.mark.slow

_WORK = (World.produce, World.deliver, World.flush, World.progress, World.drain, World.go_on, World.pass_time)
_TROUBLE = tuple(action for actions in BY_KIND.values() for action, _ in actions)
_DICE = st.integers(0, 1 << 16)


class Days(RuleBasedStateMachine):
    """Work and trouble in any order; at the end the world comes to rest and everything is as if nothing had happened."""

    def __init__(self) -> None:
        super().__init__()
        self._engine = ExitStack()
        self.world: World | None = None
        self.outcome = Outcome(0)

    @initialize(seed=st.integers(0, 1 << 12))
    def begin(self, seed: int) -> None:
        shape = Shape.of(seed)
        self.world, self.outcome = World(shape, Kinds()), Outcome(seed)
        self._engine.enter_context(engine_of(self.world.clock, by_columns=shape.by_columns))
        for _ in range(shape.workers):
            self._step(World.start, seed)
        self._step(World.begin_rebalance, seed)
        self._step(World.end_rebalance, seed)
        self._step(World.produce, seed)

    def _step(self, action: Any, dice: int) -> None:
        world = self.world
        if world is None or world.shared.errors:
            return
        world.cluster.step += 1
        rng = random.Random(dice)
        self.outcome.note(world.cluster.step, world.end_failed(rng))
        self.outcome.note(world.cluster.step, action(world, rng))

    @rule(action=st.sampled_from(_WORK), dice=_DICE)
    def work(self, action: Any, dice: int) -> None:
        self._step(action, dice)

    @rule(action=st.sampled_from(_TROUBLE), dice=_DICE)
    def trouble(self, action: Any, dice: int) -> None:
        self._step(action, dice)

    @rule(dice=_DICE)
    def mend(self, dice: int) -> None:
        self._step(World.start, dice)
        self._step(World.end_rebalance, dice)

    def teardown(self) -> None:
        world = self.world
        if world is None:
            return
        with self._engine:
            if not world.shared.errors:
                rest(world, self.outcome, random.Random(1))
            wrong = [] if world.shared.errors else differences(world)
        lines = "\n".join(f"{'' if step is None else step:>4}  {text}" for step, text in self.outcome.timeline)
        assert not world.shared.errors, f"{lines}\n{world.shared.errors[0]!r}"
        assert not wrong, lines + "\n" + "\n".join(wrong)


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
