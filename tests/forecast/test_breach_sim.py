"""The simulated queue behind docs/forecast.md (its short run is in tests/detectors/test_sims.py)."""

from random import Random

from floorwatch.sims.breach import BreachQueue, poisson


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
