"""Bets: every factor has mean at most 1 while the target is met. That is all the promise rests on."""

from __future__ import annotations

import doctest
import math

import pytest

from streams.core.detectors import bets, evidence_text, fleet, summary
from streams.core.detectors.bets import (
    CRITICAL_RATIOS,
    PaneClass,
    ShareBets,
    merge_classes,
)
from streams.core.detectors.dispersion import NANO, NOT_LEARNT, PHI_START, Sums, phi_of, temper_of
from streams.core.detectors.fold import PaneFold
from streams.core.policy import HOUR_MS
from tests.detectors.panes import audits


@pytest.mark.parametrize("module", [bets, fleet, summary, evidence_text])
def test_examples_in_docstrings(module) -> None:
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(("allowed", "ratios"), [(0.05, None), (0.005, CRITICAL_RATIOS), (0.3, None), (0.6, None)])
def test_a_share_on_target_gives_factors_of_mean_one(allowed, ratios) -> None:
    model = ShareBets.of(allowed) if ratios is None else ShareBets.of(allowed, ratios)
    for good, bad in zip(model.logs(audits(1, 0), NANO), model.logs(audits(1, 1), NANO), strict=True):
        assert (1 - allowed) * math.exp(good) + allowed * math.exp(bad) == pytest.approx(1.0, abs=1e-12)


def binomial(count: int, units: int, share: float) -> float:
    return math.comb(units, count) * share**count * (1 - share) ** (units - count)


@pytest.mark.parametrize("units", [1, 7, 40, 400])
def test_a_pane_of_independent_audits_on_target_has_factors_of_mean_at_most_one(units) -> None:
    """Tempered or not: the mean of a power below one of a factor is at most the power of its mean."""
    model = ShareBets.of(0.05)
    mean = [0.0] * model.bets
    for bad in range(units + 1):
        gain = model.summarise(0, audits(units, bad), NANO).gain
        mean = [held + binomial(bad, units, 0.05) * factor for held, factor in zip(mean, gain, strict=True)]
    assert max(mean) <= 1.0 + 1e-9


def test_a_pane_of_a_cluster_on_target_has_factors_of_about_mean_one_but_for_the_furthest_bet() -> None:
    """25 audits whose errors have a correlation of .1, which ``PHI_START`` is made for. What the budget is worth then: simulated."""
    model, spread, units = ShareBets.of(0.05), 9.0, 25
    mean, untempered = [0.0] * model.bets, [0.0] * len(model.ratios)
    beta = lambda a, b: math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    for bad in range(units + 1):
        chance = math.comb(units, bad) * math.exp(
            beta(0.05 * spread + bad, 0.95 * spread + units - bad) - beta(0.05 * spread, 0.95 * spread)
        )
        gain = model.summarise(0, audits(units, bad), NANO).gain
        mean = [held + chance * factor for held, factor in zip(mean, gain, strict=True)]
        logs = model.logs(audits(units, bad), NANO)
        untempered = [held + chance * math.exp(log) for held, log in zip(untempered, logs, strict=True)]
    assert max(mean[:4]) <= 1.2, mean
    assert max(mean) <= 2.5, mean
    assert max(untempered) > 1e6


def test_a_pane_starts_as_many_bets_as_its_audits_are_worth() -> None:
    found = ShareBets.of(0.05).summarise(0, audits(34, 0), NANO)
    assert found.gathered == pytest.approx([34 / PHI_START * factor for factor in found.gain])
    per_pane = ShareBets.of(0.05, per_unit=False).summarise(0, audits(34, 0), NANO)
    assert per_pane.gathered == per_pane.gain


def test_who_made_the_labels_does_not_matter() -> None:
    """The item-weighted share is what counts: the means of people are not taken (they were, once)."""
    model = ShareBets.of(0.05)
    assert merge_classes([*audits(20, 0), *audits(1, 1)]) == audits(21, 1)
    assert model.logs([*audits(20, 0), *audits(1, 1)], NANO) == pytest.approx(model.logs(audits(21, 1), NANO))


def test_weights_undo_sampling_by_risk() -> None:
    """10% of labels are wrong with 23% and audited with 1/2, the others with 3% and 1/20: together 5%."""
    model = ShareBets.of(0.05)
    mean = [0.0] * len(model.ratios)
    risky = 0.1 * 0.5 / (0.1 * 0.5 + 0.9 * 0.05)
    for chance, weight, share in ((risky, 2, 0.23), (1 - risky, 20, 0.03)):
        for bad, odds in ((0, 1 - share), (1, share)):
            logs = model.logs(audits(1, bad, weight), 20 * NANO)
            mean = [held + chance * odds * math.exp(log) for held, log in zip(mean, logs, strict=True)]
    assert mean == pytest.approx([1.0] * len(mean), abs=1e-12)


def test_a_weight_beyond_the_plan_is_cut_and_factors_stay_positive() -> None:
    model = ShareBets.of(0.05, top_nano=2 * NANO)
    logs = model.logs(audits(1, 0, 1000), 2 * NANO)
    assert min(logs) > math.log(0.4)
    assert logs == model.logs(audits(1, 0, 2), 2 * NANO)


def test_audits_of_one_weight_add_up_whatever_parts_they_came_in() -> None:
    parts = [*audits(3, 1, 2), *audits(1, 0), *audits(1, 1, 2)]
    assert merge_classes(parts) == (PaneClass(NANO, 1, 0), PaneClass(2 * NANO, 4, 2))
    assert merge_classes(reversed(parts)) == merge_classes(parts)


def test_audits_taken_back_are_gone() -> None:
    assert merge_classes([*audits(1, 1), PaneClass(NANO, -1, -1)]) == ()


def test_nothing_learnt_is_the_neutral_start() -> None:
    model = ShareBets.of(0.05)
    assert model.learn(NOT_LEARNT, 0, ()) == NOT_LEARNT
    assert model.phi(NOT_LEARNT) == PHI_START
    assert model.too_few(NOT_LEARNT)


@pytest.mark.parametrize("allowed", [0.05, 0.5, 0.92, 0.99])
def test_days_that_differ_never_lower_the_share_that_is_allowed(allowed) -> None:
    """The bet on large shifts is against a share above the allowed one: right audits must not make it rise faster than the other."""
    model = ShareBets.of(allowed)
    sums = Sums(20_000, round(20_000 * allowed), 20_000.0, 20_000 * allowed, 20_000.0, 20_000 * allowed)
    known = NOT_LEARNT._replace(
        total=sums, days=10, day_units=20_000, shares=10 * allowed, shares2=10 * allowed**2 + 0.05
    )
    assert temper_of(known, allowed).day_spread > 0
    pane = audits(100, 100)
    found = model.summarise(0, pane, NANO, known).gain[len(model.ratios) :]
    plain = [math.exp(log / phi_of(known)) for log in model.logs(pane, NANO)]
    assert all(raised <= held * (1 + 1e-12) for raised, held in zip(found, plain, strict=True))


def due(units: int, late: int) -> tuple[PaneClass, ...]:
    return (PaneClass(NANO, units, late),)


def test_a_night_of_few_late_tasks_does_not_weigh_like_a_day() -> None:
    """By day 50 tasks a quarter and none late, by night one and most of them late: of all tasks 99% are in time."""
    model = ShareBets.of(0.05, period_ms=HOUR_MS, per_unit=False)
    fold: PaneFold[tuple[PaneClass, ...]] = PaneFold(model, 2_688.0)
    for quarter in range(3 * 96):
        night = quarter // 48 % 2 == 1
        fold.apply(quarter * 900_000, due(1, int(quarter % 4 > 0)) if night else due(50, 0))
    assert fold.score < 100.0
    assert not fold.episodes


def test_a_queue_of_few_tasks_all_day_is_judged_as_before() -> None:
    """Units around their own mean are not few."""
    model = ShareBets.of(0.05, period_ms=HOUR_MS, per_unit=False)
    known = NOT_LEARNT
    for quarter in range(96):
        known = model.learn(known, quarter * 900_000, due(1 + quarter % 3, 0), NANO)
    for units in (1, 2, 3):
        found = model.summarise(97 * 900_000, due(units, 1), NANO, known)
        log = model.logs(due(units, 1), NANO)[0]
        assert found.gain[0] == pytest.approx(math.exp(log / phi_of(known)))
        assert found.gathered == found.gain
