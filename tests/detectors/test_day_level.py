"""The level of a day: chances that add up, and a level that follows the counts."""

from __future__ import annotations

import math

import pytest

from streams.core.detectors.day_level import CHANGES_PER_HOUR, Level, follow, fresh


def chance(log_chance: float, done: int, expected: float) -> float:
    return math.exp(log_chance + done * math.log(expected) - math.lgamma(done + 1))


@pytest.mark.parametrize("level", [fresh(1.0, 0.01), fresh(0.4, 0.04), Level(900.0, 1000.0)])
def test_the_chances_of_all_counts_are_one_and_their_mean_is_that_of_the_level(level: Level) -> None:
    found = [chance(level.log_chance(n, 30.0), n, 30.0) for n in range(200)]
    assert sum(found) == pytest.approx(1.0)
    assert sum(n * one for n, one in enumerate(found)) == pytest.approx(30.0 * level.mean)


def test_a_level_that_may_be_drawn_anew_has_chances_that_are_one_too() -> None:
    level, anew = Level(90.0, 100.0), fresh(1.0, 0.01)
    assert sum(chance(follow(level, anew, n, 30.0)[0], n, 30.0) for n in range(200)) == pytest.approx(1.0)


def test_the_level_follows_the_counts() -> None:
    level = anew = fresh(1.0, 0.01)
    for _ in range(12):
        _, level = follow(level, anew, 85.0, 100.0)
    assert level.mean == pytest.approx(0.86, abs=0.01)
    assert level.shape > 5 * anew.shape


def test_a_level_that_has_changed_within_the_day_is_found_again() -> None:
    level = anew = fresh(1.0, 0.01)
    for hour in range(20):
        _, level = follow(level, anew, 400.0 if hour < 12 else 320.0, 400.0)
    assert level.mean == pytest.approx(0.8, abs=0.03)


def test_a_change_is_about_as_likely_as_once_a_day() -> None:
    """What it costs to explain a count that only a new level explains is the log of the chance that there is one."""
    known, anew = Level(1e6, 1e6), fresh(1.0, 0.01)
    log_chance, _ = follow(known, anew, 300.0, 400.0)
    assert log_chance == pytest.approx(anew.log_chance(300.0, 400.0) + math.log(CHANGES_PER_HOUR), abs=0.05)
