"""The fold: a pure function of the set of panes, whatever the order they came in and however often they changed."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.detectors.bets import PaneClass, ShareBets
from streams.core.detectors.dispersion import ASSUMED, NANO, NOT_LEARNT, learn, phi_of
from streams.core.detectors.fold import Episode, PaneFold, fold_pane
from streams.core.detectors.summary import CAP, DetectorStep, Summary, nothing, summarise, summarise_one, then
from streams.core.policy import DAY_MS, HOUR_MS
from tests.detectors.panes import MODEL, QUARTER_MS, audit_floors, audit_panes, audits, starts

BAR = 30.0
SHORT = replace(ShareBets.of(0.05, period_ms=QUARTER_MS), resolve_level=0.1)
FIELDS = [name for name in Summary._fields if name not in ("gain", "gathered")]


def folded(panes, model=SHORT, bar=BAR) -> PaneFold:
    fold = PaneFold(model, bar)
    for pane_ms in sorted(panes):
        fold.apply(pane_ms, panes[pane_ms])
        _ = fold.score  # reads in between change nothing
    return fold


def same(one: PaneFold, other: PaneFold) -> None:
    assert one.state == other.state
    assert one.episodes == other.episodes


@pytest.mark.slow
@given(audit_floors, st.randoms(use_true_random=False))
def test_order_of_arrival_is_invisible(panes, rng: random.Random) -> None:
    order = list(panes)
    rng.shuffle(order)
    fold = PaneFold(SHORT, BAR)
    for pane_ms in order:
        fold.apply(pane_ms, panes[pane_ms])
        if rng.random() < 0.3:
            _ = fold.state
    same(fold, folded(panes))


@pytest.mark.slow
@given(audit_floors, st.lists(st.tuples(starts, st.none() | audit_panes), max_size=12))
def test_a_corrected_pane_gives_what_an_uninterrupted_run_gives(panes, corrections) -> None:
    fold = folded(panes)
    corrected = dict(panes)
    for pane_ms, pane in corrections:
        fold.replace(pane_ms, pane)
        if pane is None:
            corrected.pop(pane_ms, None)
        else:
            corrected[pane_ms] = pane
        if pane_ms % 3:
            _ = fold.episodes
    same(fold, folded(corrected))


@given(audit_floors, starts, starts)
def test_old_panes_folded_into_the_base_change_nothing_later(panes, first_ms, second_ms) -> None:
    """Forgetting is exact in every bit."""
    model = SHORT
    whole, fold = folded(panes, model), folded(panes, model)
    over = [*fold.forget_before(min(first_ms, second_ms)), *fold.forget_before(max(first_ms, second_ms))]
    assert fold.state == whole.state
    assert (*over, *fold.episodes) == whole.episodes
    resumed = PaneFold(model, BAR, fold.base)
    for pane_ms in panes:
        if pane_ms >= max(first_ms, second_ms):
            resumed.apply(pane_ms, panes[pane_ms])
    assert resumed.state == whole.state


@pytest.mark.slow
@given(audit_floors, st.sampled_from((2.0, 5.0, 500.0)))
def test_another_bar_judges_as_if_it_had_always_been_the_bar(panes, bar) -> None:
    fold = folded(panes)
    fold.set_bar(bar)
    same(fold, folded(panes, bar=bar))


@given(st.lists(audit_panes, min_size=3, max_size=3))
def test_summaries_combine_associatively(three) -> None:
    one, two, three_ = (MODEL.summarise(at, pane, 20 * NANO) for at, pane in enumerate(three))
    left, right = then(then(one, two), three_), then(one, then(two, three_))
    assert left.gain == pytest.approx(right.gain, rel=1e-9)
    assert left.gathered == pytest.approx(right.gathered, rel=1e-9)
    for name in FIELDS:
        assert getattr(left, name) == getattr(right, name), name


@pytest.mark.slow
@given(audit_floors)
def test_the_score_is_that_of_the_recursion_pane_by_pane(panes) -> None:
    """By hand: learn, temper, R ← (start + R)·F; since-counter and units as Page's CUSUM at pane ends."""
    model = ShareBets.of(0.05, top_nano=20 * NANO)
    r, counter, units, bad, known = [0.0] * model.bets, 0.0, 0, 0, NOT_LEARNT
    for pane_ms in sorted(panes):
        pane = panes[pane_ms]
        phi, of_pane = phi_of(known), sum(each.units for each in pane)
        gain = [math.exp(log / phi) for log in model.logs(pane, 20 * NANO)] * 2
        r = [(max(1.0, of_pane / phi) + held) * factor for held, factor in zip(r, gain, strict=True)]
        counter = max(0.0, counter + model.summarise(pane_ms, pane, 20 * NANO, known).since_sum)
        units, bad = (units + of_pane, bad + sum(each.bad for each in pane)) if counter > 0 else (0, 0)
        known = learn(known, pane_ms, pane, 0.05, 20 * NANO)
    fold = folded(panes, model, bar=1e99)
    assert fold.state.r == pytest.approx(tuple(r), rel=1e-9)
    assert fold.state.since == counter
    assert (fold.state.since_units, fold.state.since_bad) == (units, bad)
    assert fold.state.learnt == known


def test_no_observation_is_neutral() -> None:
    found = MODEL.summarise(5, audits(3, 1), NANO)
    assert then(nothing(MODEL.bets), found) == found
    assert then(found, nothing(MODEL.bets)) == found


def hours(*parts: tuple[int, int, int], from_h: int = 0) -> dict[int, tuple]:
    """Panes an hour apart: (how many, audits of each, wrong ones)."""
    found = [audits(units, bad) for count, units, bad in parts for _ in range(count)]
    return {(from_h + at) * HOUR_MS: pane for at, pane in enumerate(found)}


def test_an_episode_from_change_to_the_end_of_the_day_in_which_recovery_is_evident() -> None:
    fold = folded(hours((24, 20, 1), (24, 20, 8), (96, 20, 0)), ShareBets.of(0.05), bar=1000.0)
    [episode] = fold.episodes
    assert episode.since_ms == DAY_MS
    assert DAY_MS <= episode.fired_ms <= DAY_MS + 4 * HOUR_MS
    assert episode.resolved_ms is not None
    assert episode.resolved_ms % DAY_MS == 0
    assert fold.score < 1000.0  # began anew
    assert fold.state.recovered


def test_work_that_goes_on_missing_the_target_is_one_episode() -> None:
    """7% wrong where 5% are allowed, with good and bad hours, for sixty days."""
    by_turns = hours(*[(3, 25, 1), (2, 25, 2), (1, 25, 3), (1, 25, 4)] * 205)
    fold = folded(by_turns, ShareBets.of(0.05), bar=1000.0)
    [episode] = fold.episodes
    assert episode.resolved_ms is None
    assert not fold.state.recovered


def test_some_good_hours_are_no_evidence_of_recovery() -> None:
    fold = folded(hours((24, 20, 1), (24, 20, 8), (4, 20, 0), (20, 20, 8)), ShareBets.of(0.05), bar=1000.0)
    assert [episode.resolved_ms for episode in fold.episodes] == [None]


def test_a_second_episode_after_the_first() -> None:
    panes = hours((24, 20, 1), (24, 20, 8), (96, 20, 0), (24, 20, 8))
    first, second = folded(panes, ShareBets.of(0.05), bar=1000.0).episodes
    assert first.resolved_ms is not None
    assert second.fired_ms > first.resolved_ms
    assert isinstance(second, Episode)


def test_since_counts_from_the_first_bad_pane_after_the_counter_was_at_zero() -> None:
    state = folded(hours((1, 1, 1), (13, 1, 0), (2, 1, 0), (1, 1, 1), (1, 1, 0), (1, 1, 1)), bar=1e9).state
    assert (state.since_ms, state.since_units, state.since_bad) == (16 * HOUR_MS, 3, 2)


def test_the_score_is_capped_and_finite() -> None:
    fold = folded({at: audits(10, 10) for at in range(400)}, bar=1000.0)
    assert max(fold.state.r) == CAP
    assert fold.score <= CAP * (1 + 1e-9)
    fold.apply(400, audits(500, 0))
    assert 0 < fold.score <= CAP


# -- audits that say nothing of sampling -------------------------------------------------------------------------------


def assumed_hours(days: int, units: int = 40, bad: int = 8) -> dict[int, tuple]:
    return {hour * HOUR_MS: (PaneClass(ASSUMED, units, bad),) for hour in range(days * 24)}


def first_fire(panes: dict[int, tuple], model: ShareBets) -> int | None:
    return next((one.fired_ms for one in folded(panes, model, bar=147_000.0).episodes), None)


@pytest.mark.parametrize("right", [True, False])
def test_one_audit_of_a_small_probability_does_not_make_assumed_audits_count_less(right) -> None:
    plain = assumed_hours(2)
    mixed = {**plain, 0: (*plain[0], PaneClass(1_000 * NANO, 1, 0 if right else 1))}
    alone = first_fire(plain, ShareBets.of(0.05))
    assert alone is not None
    assert alone <= 8 * HOUR_MS
    for panes, model in (
        (mixed, ShareBets.of(0.05)),
        (plain, ShareBets.of(0.05, top_nano=1_000 * NANO)),
        (mixed, ShareBets.of(0.05, top_nano=1_000 * NANO)),
    ):
        found = first_fire(panes, model)
        assert found is not None
        assert abs(found - alone) <= 3 * HOUR_MS


def test_assumed_audits_alone_count_as_those_of_one_probability() -> None:
    """Whatever that is: 1 and 1 in 20 gave the same before."""
    fold = folded(assumed_hours(2, bad=3), ShareBets.of(0.05), bar=1e99)
    for weight in (1, 20):
        same_weight = {at: audits(40, 3, weight) for at in assumed_hours(2)}
        other = folded(same_weight, ShareBets.of(0.05), bar=1e99)
        assert fold.state.r == pytest.approx(other.state.r, rel=1e-9)
        assert fold.state.since == other.state.since


@pytest.mark.parametrize("weight", [1, 7, 1_000])
def test_each_class_gives_factors_of_mean_at_most_one_on_target(weight) -> None:
    """Assumed: 5% wrong. With a probability: 10% of labels are wrong with 23% and always audited, the others with 3% and 1/weight."""
    model = ShareBets.of(0.05)
    risky = 0.1 / (0.1 + 0.9 / weight)

    def mean(*draws: tuple[float, int, float]) -> list[float]:
        total = [0.0] * len(model.ratios)
        for chance, weight_nano, share in draws:
            for bad, odds in ((0, 1 - share), (1, share)):
                logs = model.logs((PaneClass(weight_nano, 1, bad),), weight * NANO)
                total = [held + chance * odds * math.exp(log) for held, log in zip(total, logs, strict=True)]
        return total

    of_known = mean((risky, NANO, 0.23), (1 - risky, weight * NANO, 0.03))
    of_assumed = mean((1.0, ASSUMED, 0.05))
    if weight > 1:
        assert of_known == pytest.approx([1.0] * len(of_known), abs=1e-12)
    assert of_assumed == pytest.approx([1.0] * len(of_known), abs=1e-12)
    both = model.logs((PaneClass(ASSUMED, 1, 1), PaneClass(weight * NANO, 1, 0)), weight * NANO)
    apart = [model.logs((one,), weight * NANO) for one in (PaneClass(ASSUMED, 1, 1), PaneClass(weight * NANO, 1, 0))]
    assert both == pytest.approx([one + other for one, other in zip(*apart, strict=True)])


def test_a_heavier_audit_does_not_undo_what_assumed_audits_have_shown_of_the_scatter() -> None:
    rng = random.Random(3)
    panes: dict[int, tuple] = {}
    for hour in range(400):
        rate = rng.choice((0.0, 0.0, 0.0, 0.2))
        panes[hour * HOUR_MS] = (PaneClass(ASSUMED, 40, sum(rng.random() < rate for _ in range(40))),)
    before = folded(panes, ShareBets.of(0.05), bar=1e99).state
    at = 400 * HOUR_MS
    after = folded({**panes, at: (PaneClass(1_000 * NANO, 1, 0),)}, ShareBets.of(0.05), bar=1e99).state
    assert after.top_nano == 1_000 * NANO
    assert phi_of(before.learnt) > 5.0
    assert phi_of(after.learnt) == pytest.approx(phi_of(before.learnt), rel=0.02)
    for more in range(3):
        panes_of_one = (PaneClass(ASSUMED, 40, 2),)
        after, _ = fold_pane(ShareBets.of(0.05), after, at + (more + 1) * HOUR_MS, panes_of_one, 1e99)
    assert phi_of(after.learnt) == pytest.approx(phi_of(before.learnt), rel=0.05)


@pytest.mark.parametrize("since", [-2.0, 0.0, 3.5])
@pytest.mark.parametrize("better", [-1.0, 0.0, 0.5])
def test_a_pane_of_one_observation_is_summarised_as_any_other(since: float, better: float) -> None:
    step = DetectorStep((1.5, 0.25, 3e101), since, better, 7, 2)
    found = summarise(5, [step], 3)
    assert summarise_one(5, step) == found
    assert summarise_one(5, step, 2.0) == found._replace(gathered=tuple(2.0 * one for one in found.gain))
