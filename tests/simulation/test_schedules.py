"""Thousands of schedules: whatever happens, every row of every table is as if nothing had."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.simulation.floor import Kinds, Shape
from tests.simulation.report import told
from tests.simulation.schedule import run
from tests.simulation.shrink import shrunk

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "1000"))
BLOCK = max(50, SCHEDULES // 100)

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK), ids=lambda first: f"seeds-{first}-{first + BLOCK - 1}")
def test_nothing_that_happens_changes_a_number(first: int) -> None:
    for seed in range(first, first + BLOCK):
        outcome = run(seed)
        if outcome.failed:
            pytest.fail(told(outcome) + "\n\nshortened:\n\n" + told(shrunk(seed, Kinds())), pytrace=False)


def test_nor_without_compaction() -> None:
    """Where no record is ever dropped, rows of scopes that have ended must go too."""
    kinds = Kinds().without("compaction")
    for seed in range(5_000, 5_100):
        outcome = run(seed, kinds)
        assert not outcome.failed, told(outcome)


@pytest.mark.parametrize("first", range(20_000, 20_300, BLOCK))
def test_nor_do_partitions_that_fall_idle_and_come_back(first: int) -> None:
    """Floors of three partitions with a scopes stage: some idle, some far behind, at the end too."""
    for seed in range(first, first + BLOCK):
        outcome = run(seed, shape=replace(Shape.of(seed), partitions=3, scopes=True))
        assert not outcome.failed, told(outcome)


@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("SIMULATION_SEEDS", "7").split(",")])
def test_one_schedule(seed: int) -> None:
    """Replays what failed elsewhere: ``SIMULATION_SEEDS=378,1790 pytest tests/simulation -k one_schedule``."""
    outcome = run(seed)
    assert not outcome.failed, told(outcome)


def test_a_seed_always_gives_the_same_day() -> None:
    for seed in range(40):
        first, second = run(seed), run(seed)
        assert first.timeline == second.timeline
        assert first.wrong == second.wrong


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
    for seed in range(300):
        text = "\n".join(line for _, line in run(seed).timeline)
        for words in told_of:
            told_of[words] += words in text
    assert all(count >= 5 for count in told_of.values()), told_of
