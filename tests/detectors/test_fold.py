"""The fold: a pure function of the set of panes, whatever the order they came in and however often they changed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.detectors.bets import NANO, CountBets, ShareBets, uniform_batch
from streams.core.detectors.fold import Episode, PaneFold
from streams.core.detectors.summary import CAP, Summary, nothing, summarise, then
from tests.detectors.panes import MODEL, QUARTER_MS, audit_floors, audit_panes, count_floors, starts

BAR = 30.0
SHORT = ShareBets.of(0.05, resolve_level=6.0)
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
    assert one.summaries() == other.summaries()


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


@given(count_floors, st.randoms(use_true_random=False))
def test_counts_fold_the_same_way(panes, rng: random.Random) -> None:
    order = list(panes) * 2
    rng.shuffle(order)
    fold = PaneFold(CountBets(), BAR)
    for pane_ms in order:
        fold.apply(pane_ms, panes[pane_ms])
        _ = fold.score
    same(fold, folded(panes, CountBets()))


@given(audit_floors, starts, starts)
def test_old_panes_folded_into_the_base_change_nothing_later(panes, first_ms, second_ms) -> None:
    """Forgetting is exact in every bit."""
    model = SHORT
    whole, fold = folded(panes, model), folded(panes, model)
    over = [*fold.forget_before(min(first_ms, second_ms)), *fold.forget_before(max(first_ms, second_ms))]
    assert fold.state == whole.state
    assert (*over, *fold.episodes) == whole.episodes
    assert all(pane_ms >= max(first_ms, second_ms) for pane_ms, _ in fold.summaries())
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


@given(audit_panes, audit_panes)
def test_two_runs_combined_are_the_run_of_both(first, second) -> None:
    steps = [*MODEL.steps(first, 20 * NANO), *MODEL.steps(second, 20 * NANO)]
    whole = summarise(7, steps, MODEL.bets)
    parts = then(MODEL.summarise(7, first, 20 * NANO), MODEL.summarise(7, second, 20 * NANO))
    assert parts.gain == pytest.approx(whole.gain, rel=1e-9)
    assert parts.gathered == pytest.approx(whole.gathered, rel=1e-9)
    for name in FIELDS:
        assert getattr(parts, name) == getattr(whole, name), name


@pytest.mark.slow
@given(audit_floors)
def test_the_score_is_that_of_the_recursion_audit_by_audit(panes) -> None:
    model = ShareBets.of(0.05, top_nano=20 * NANO)
    r, counter, units, bad = [0.0] * model.bets, 0.0, 0, 0
    for pane_ms in sorted(panes):
        for step in model.steps(panes[pane_ms], 20 * NANO):
            r = [(1.0 + held) * factor for held, factor in zip(r, step.factors, strict=True)]
            counter = max(0.0, counter + step.since)
            units, bad = (units + step.units, bad + step.bad) if counter > 0 else (0, 0)
    fold = folded(panes, model, bar=1e99)
    assert fold.state.r == pytest.approx(tuple(r), rel=1e-9)
    assert fold.state.since == counter
    assert (fold.state.since_units, fold.state.since_bad) == (units, bad)


def test_no_observation_is_neutral() -> None:
    pane = (uniform_batch(0, 3, 1), uniform_batch(1, 2, 2))
    found = MODEL.summarise(5, pane, NANO)
    assert then(nothing(MODEL.bets), found) == found
    assert then(found, nothing(MODEL.bets)) == found


def one_pane_each(verdicts: str) -> dict[int, tuple]:
    """``.`` is a right audit, ``x`` a wrong one, a quarter of an hour apart."""
    return {at * QUARTER_MS: (uniform_batch(0, 1, int(sign == "x")),) for at, sign in enumerate(verdicts)}


def test_an_episode_from_change_to_resolution() -> None:
    """Timeline:  ....xxxxxxxxxx(since)......(resolved)  with a bar of 1,000 and a resolve level of 6."""
    fold = folded(one_pane_each("." * 4 + "x" * 10 + "." * 20), bar=1000.0)
    [episode] = fold.episodes
    assert episode.since_ms == 4 * QUARTER_MS
    assert 6 * QUARTER_MS < episode.fired_ms < 13 * QUARTER_MS
    assert episode.resolved_ms == (13 + 6) * QUARTER_MS
    assert fold.score < 15.0  # began anew at the resolution


def test_the_resolve_counter_starts_when_the_episode_does() -> None:
    fold = folded(one_pane_each("." * 500 + "x" * 40 + "." * 5), bar=1000.0)
    assert fold.episodes[-1].resolved_ms is None
    assert fold.state.better == 5.0


def test_since_counts_from_the_first_bad_audit_after_the_counter_was_at_zero() -> None:
    state = folded(one_pane_each("x" + "." * 13 + ".." + "x.x"), bar=1e9).state
    assert (state.since_ms, state.since_units, state.since_bad) == (16 * QUARTER_MS, 3, 2)


def test_a_second_episode_after_the_first() -> None:
    fold = folded(one_pane_each("x" * 12 + "." * 10 + "x" * 12), bar=1000.0)
    first, second = fold.episodes
    assert first.resolved_ms is not None
    assert second.fired_ms > first.resolved_ms
    assert isinstance(second, Episode)


def test_the_score_is_capped_and_finite() -> None:
    fold = folded({at: (uniform_batch(0, 1, 1),) for at in range(400)}, bar=1000.0)
    assert max(fold.state.r) == CAP
    assert fold.score <= CAP
    fold.apply(400, (uniform_batch(0, 500, 0),))
    assert 0 < fold.score <= CAP
