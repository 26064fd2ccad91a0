"""The simulated queue behind docs/forecast.md (its short run is in tests/detectors/test_sims.py)."""

from random import Random

from floorwatch.sims.breach import BreachQueue, poisson
from streams.core.forecast.observe import worked


def test_the_simulated_queue_works_by_due_time():
    queue = BreachQueue()
    queue.arrive(0, 3, 180)
    queue.arrive(100, 2, 60)
    assert queue.work(101, 1) == 1
    assert sorted(queue.demand()) == [(160 * 60_000, 1), (180 * 60_000, 3)]
    assert not queue.late(160)
    assert queue.late(161)
    assert queue.work(170, 9) == 4
    assert queue.open == 0


def test_the_simulated_queue_keeps_what_a_worker_keeps():
    queue = BreachQueue()
    queue.arrive(0, 4, 180)
    assert queue.oldest_ms == 0
    queue.work(10, 3)
    step = next(one for one in worked(queue.tally, 15 * 60_000, queue.oldest_ms) if one.start_ms == 10 * 60_000)
    assert (step.completed, step.backlogged) == (3, True)
    queue.arrive(21, 1, 60)
    queue.work(20, 1)
    queue.work(21, 1)
    assert queue.oldest_ms is None
    steps = {one.start_ms // 60_000: one for one in worked(queue.tally, 25 * 60_000, queue.oldest_ms)}
    assert steps[20].completed == 2
    assert steps[20].backlogged  # one waited 20 minutes, one none: 10 on average


def test_poisson_has_its_mean_and_variance():
    rng = Random(1)
    drawn = [poisson(rng, 3.0) for _ in range(20_000)]
    mean = sum(drawn) / len(drawn)
    variance = sum((n - mean) ** 2 for n in drawn) / len(drawn)
    assert abs(mean - 3.0) < 0.06
    assert abs(variance - 3.0) < 0.12
    assert poisson(rng, 0.0) == 0
