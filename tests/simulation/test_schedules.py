"""Thousands of schedules: whatever happens, every row of every table is as if nothing had."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.floor import Kinds, Shape
from tests.simulation.report import told
from tests.simulation.schedule import Outcome, run
from tests.simulation.shrink import shrunk
from tests.support import seeds

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "150"))
BLOCK = max(50, SCHEDULES // 100)

KINDS = 150
"""Schedules in which every kind of trouble happens several times."""

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@functools.cache
def once(seed: int) -> Outcome:
    """One of the first schedules, which several tests here look at."""
    return run(seed)


def blocks() -> list[Any]:
    return [pytest.param(first, id=f"seeds-{first}-{first + BLOCK - 1}") for first in range(0, SCHEDULES, BLOCK)]


@pytest.mark.slow
@pytest.mark.parametrize("first", blocks())
def test_nothing_that_happens_changes_a_number(first: int) -> None:
    for seed in range(first, first + BLOCK):
        outcome = once(seed) if seed < KINDS else run(seed)
        if outcome.failed:
            pytest.fail(told(outcome) + "\n\nshortened:\n\n" + told(shrunk(seed, Kinds())), pytrace=False)


@pytest.mark.slow
def test_nor_without_compaction() -> None:
    """Where no record is ever dropped, rows of scopes that have ended must go too."""
    kinds = Kinds().without("compaction")
    for seed in seeds(20, 100):
        outcome = run(5_000 + seed, kinds)
        assert not outcome.failed, told(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("first", seeds(50, 300)[::50])
def test_nor_do_partitions_that_fall_idle_and_come_back(first: int) -> None:
    """Floors of three partitions with a aggregate stage: some idle, some far behind, at the end too."""
    for seed in range(20_000 + first, 20_050 + first):
        outcome = run(seed, shape=replace(Shape.of(seed), partitions=3, scopes=True))
        assert not outcome.failed, told(outcome)


@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("SIMULATION_SEEDS", "7").split(",")])
def test_one_schedule(seed: int) -> None:
    """Replays what failed elsewhere: ``SIMULATION_SEEDS=378,1790 pytest tests/simulation -k one_schedule``."""
    outcome = run(seed)
    assert not outcome.failed, told(outcome)


@pytest.mark.slow
def test_a_seed_always_gives_the_same_day() -> None:
    for seed in range(20):
        first, second = once(seed), run(seed)
        assert first.timeline == second.timeline
        assert first.wrong == second.wrong


@pytest.mark.slow
def test_every_kind_of_trouble_happens() -> None:
    """A scheduler whose steps are all refused would find nothing; every action must often do something."""
    told_of = {
        "killed": 0,
        "will arrive later": 0,
        "late, of a dead process": 0,
        "wakes, a zombie": 0,
        "goes on": 0,
        "learns that it has been expelled": 0,
        "must give partitions back": 0,
        "without w": 0,
        "lands in part": 0,
        "fails": 0,
        "after a failure": 0,
        "is compacted": 0,
        "Redis forgets everything": 0,
        "falls idle": 0,
    }
    for seed in range(KINDS):
        text = "\n".join(line for _, line in once(seed).timeline)
        for words in told_of:
            told_of[words] += words in text
    assert all(count >= 5 for count in told_of.values()), told_of
