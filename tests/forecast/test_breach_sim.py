"""A short run of the simulation behind docs/forecast.md: 100 days instead of 300, with the product's own forecast."""

from random import Random

import pytest

from floorwatch.sims.breach import BreachQueue, poisson, run, simulate


@pytest.mark.slow
def test_the_rules_foresee_as_statistics_says():
    lines = run(0.34, 1)
    assert len(lines) == 10
    assert [str(line) for line in lines if not line.ok] == []


@pytest.mark.slow
def test_roster_beats_the_age_rule_in_lead_and_precision():
    scores = simulate(60, 3)
    assert scores["roster"].precision > scores["age"].precision
    assert scores["roster"].lead_min > 1.3 * scores["age"].lead_min


def test_the_simulated_queue_works_by_due_time():
    queue = BreachQueue()
    queue.arrive(0, 3, 180)
    queue.arrive(100, 2, 60)
    assert queue.work(1) == 1
    assert sorted(queue.demand()) == [(160 * 60_000, 1), (180 * 60_000, 3)]
    assert not queue.late(160)
    assert queue.late(161)
    assert queue.work(9) == 4
    assert queue.open == 0


def test_poisson_has_its_mean_and_variance():
    rng = Random(1)
    drawn = [poisson(rng, 3.0) for _ in range(20_000)]
    mean = sum(drawn) / len(drawn)
    variance = sum((n - mean) ** 2 for n in drawn) / len(drawn)
    assert abs(mean - 3.0) < 0.06
    assert abs(variance - 3.0) < 0.12
    assert poisson(rng, 0.0) == 0
