"""Bets: every factor has mean at most 1 while the target is met. That is all the promise rests on."""

from __future__ import annotations

import doctest
import math
import random

import pytest

from streams.core.detectors import bets, evidence_text, expected, fleet, summary
from streams.core.detectors.bets import (
    CRITICAL_RATIOS,
    NANO,
    AuditBatch,
    CountBets,
    PaneCount,
    ShareBets,
    merge_batches,
    uniform_batch,
)
from streams.core.detectors.bulk import summarise_bulk
from streams.core.detectors.summary import summarise


@pytest.mark.parametrize("module", [bets, expected, fleet, summary, evidence_text])
def test_examples_in_docstrings(module) -> None:
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(("allowed", "ratios"), [(0.05, None), (0.005, CRITICAL_RATIOS), (0.3, None), (0.6, None)])
def test_a_share_on_target_gives_factors_of_mean_one(allowed, ratios) -> None:
    model = ShareBets.of(allowed) if ratios is None else ShareBets.of(allowed, ratios)
    [right] = model.steps([uniform_batch(0, 1, 0)], NANO)
    [wrong] = model.steps([uniform_batch(0, 1, 1)], NANO)
    for good, bad in zip(right.factors, wrong.factors, strict=True):
        assert good > 0
        assert (1 - allowed) * good + allowed * bad == pytest.approx(1.0, abs=1e-12)


def test_dependent_errors_within_a_batch_keep_the_mean() -> None:
    """All twenty right or all twenty wrong: the worst a batch can do."""
    model = ShareBets.of(0.05)
    [right] = model.steps([uniform_batch(0, 20, 0)], NANO)
    [wrong] = model.steps([uniform_batch(0, 20, 20)], NANO)
    for good, bad in zip(right.factors, wrong.factors, strict=True):
        assert 0.95 * good + 0.05 * bad == pytest.approx(1.0, abs=1e-12)


def test_weights_undo_sampling_by_risk() -> None:
    """10% of labels are wrong with 23% and audited with 1/2, the others with 3% and 1/20: together 5%."""
    model = ShareBets.of(0.05)
    mean = [0.0] * model.bets
    risky = 0.1 * 0.5 / (0.1 * 0.5 + 0.9 * 0.05)
    for chance, weight, share in ((risky, 2, 0.23), (1 - risky, 20, 0.03)):
        for bad, odds in ((0, 1 - share), (1, share)):
            [step] = model.steps([uniform_batch(0, 1, bad, weight * NANO)], 20 * NANO)
            mean = [held + chance * odds * factor for held, factor in zip(mean, step.factors, strict=True)]
    assert mean == pytest.approx([1.0] * model.bets, abs=1e-12)


def test_a_weight_beyond_the_plan_is_cut_and_factors_stay_positive() -> None:
    model = ShareBets.of(0.05, top_nano=2 * NANO)
    [step] = model.steps([uniform_batch(0, 1, 0, 1000 * NANO)], 2 * NANO)
    assert min(step.factors) > 0.7
    assert step.factors == next(model.steps([uniform_batch(0, 1, 0, 2 * NANO)], 2 * NANO)).factors


@pytest.mark.parametrize(("mean", "phi"), [(12.0, 2.0), (3.0, 1.5), (200.0, 8.0), (0.5, 1.2)])
def test_an_overdispersed_count_gives_factors_of_mean_at_most_one(mean, phi) -> None:
    model = CountBets()
    size, p = mean / (phi - 1), 1 / phi
    total = [0.0] * model.bets
    log_odds = size * math.log(p)
    for count in range(4000):
        if count:
            log_odds += math.log((count - 1 + size) / count * (1 - p))
        [step] = model.steps(PaneCount(count, round(mean * NANO), round(phi * NANO)))
        total = [held + math.exp(log_odds) * factor for held, factor in zip(total, step.factors, strict=True)]
    assert max(total) <= 1.0 + 1e-9, total
    assert total[-1] > 0.9, total  # and not so far below that a small drop could not be seen


def test_a_poisson_count_gives_factors_of_mean_one() -> None:
    model = CountBets()
    total = [0.0] * model.bets
    for count in range(200):
        odds = math.exp(count * math.log(12) - 12 - math.lgamma(count + 1))
        [step] = model.steps(PaneCount(count, 12 * NANO))
        total = [held + odds * factor for held, factor in zip(total, step.factors, strict=True)]
    assert total == pytest.approx([1.0] * model.bets, abs=1e-9)


def test_nothing_expected_is_nothing_observed() -> None:
    assert list(CountBets().steps(PaneCount(5, 0))) == []


def test_batches_of_one_key_add_up_whatever_parts_they_came_in() -> None:
    parts = [uniform_batch(2, 3, 1, 2 * NANO), uniform_batch(1, 1, 0), uniform_batch(2, 1, 1, 20 * NANO)]
    assert merge_batches(parts) == (
        uniform_batch(1, 1, 0),
        AuditBatch(2, 4, 2, 26 * NANO, 22 * NANO, 20 * NANO),
    )
    assert merge_batches(reversed(parts)) == merge_batches(parts)


def test_a_batch_taken_back_whole_is_gone() -> None:
    assert merge_batches([uniform_batch(1, 1, 1), AuditBatch(1, -1, -1, -NANO, -NANO, NANO)]) == ()


@pytest.mark.parametrize(("allowed", "ratios"), [(0.0, (2.0,)), (1.0, (2.0,)), (0.05, ()), (0.05, (0.9,))])
def test_what_cannot_be_bet_on_is_refused(allowed, ratios) -> None:
    with pytest.raises(ValueError, match=r"allowed share|ratios"):
        ShareBets.of(allowed, ratios)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 96, 500])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_many_batches_are_summarised_as_few_are(size, share) -> None:
    rng = random.Random(size)
    model = ShareBets.of(0.05)
    pane = []
    for key in range(size):
        units = rng.choice((1, 1, 1, 2, 7))
        pane.append(
            uniform_batch(key, units, sum(rng.random() < share for _ in range(units)), rng.choice((1, 4)) * NANO)
        )
    steps = list(model.steps(pane, 4 * NANO))
    few, many = summarise(9, steps, model.bets), summarise_bulk(9, steps, model.bets)
    assert many.gain == pytest.approx(few.gain, rel=1e-9)
    assert many.gathered == pytest.approx(few.gathered, rel=1e-9)
    for name in few._fields[2:]:
        assert getattr(many, name) == getattr(few, name), name


def test_five_bets_take_the_short_way_to_the_same_numbers() -> None:
    rng = random.Random(5)
    model = ShareBets.of(0.05)
    steps = list(model.steps([uniform_batch(key, 2, rng.randrange(3)) for key in range(300)], NANO))
    whole = summarise(0, steps, 5)
    for k in range(5):
        alone = summarise(0, [step._replace(factors=(step.factors[k],)) for step in steps], 1)
        assert (whole.gain[k], whole.gathered[k]) == (alone.gain[0], alone.gathered[0])
