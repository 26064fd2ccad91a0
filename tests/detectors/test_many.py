"""Many scopes in numpy give the numbers one scope gives in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.detectors.bets import NANO, CountBets, PaneCount, ShareBets, uniform_batch
from streams.core.detectors.fold import PaneFold
from streams.core.detectors.many import (
    ManyFolds,
    batch_shares,
    count_factors,
    count_walks,
    share_factors,
    share_walks,
)
from streams.core.detectors.summary import nothing
from tests.detectors.panes import QUARTER_MS, audit_floors

LEVEL = 6.0
BAR = 30.0


def compare(many: ManyFolds, folds: list[PaneFold]) -> None:
    assert many.r.tolist() == [list(fold.state.r) for fold in folds]
    assert many.since.tolist() == [fold.state.since for fold in folds]
    assert many.better.tolist() == [fold.state.better for fold in folds]
    assert many.firing.tolist() == [fold.state.firing is not None for fold in folds]
    assert many.fired.tolist() == [len(fold.episodes) for fold in folds]
    assert many.score.tolist() == [fold.score for fold in folds]


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(audit_floors, min_size=1, max_size=5))
def test_panes_of_many_scopes(floors) -> None:
    model = ShareBets.of(0.05, resolve_level=LEVEL, top_nano=20 * NANO)
    folds = [PaneFold(model, BAR) for _ in floors]
    many = ManyFolds(len(floors), model.bets, BAR, LEVEL)
    for pane_ms in sorted({ms for floor in floors for ms in floor}):
        summaries = []
        for fold, floor in zip(folds, floors, strict=True):
            if pane_ms in floor:
                fold.apply(pane_ms, floor[pane_ms])
            summaries.append(model.summarise(pane_ms, floor.get(pane_ms, ()), 20 * NANO))
        many.fold_summaries(summaries)
        assert summaries[0] == nothing(model.bets) or pane_ms in floors[0]
    compare(many, folds)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from((1, 3, 10)))
def test_observations_one_at_a_time(seed, size) -> None:
    """The way the simulations call it."""
    rng = np.random.default_rng(seed)
    model = ShareBets.of(0.05, resolve_level=LEVEL)
    folds = [PaneFold(model, BAR) for _ in range(7)]
    many = ManyFolds(7, model.bets, BAR, LEVEL)
    for at in range(60):
        wrong = rng.binomial(size, 0.2 if at < 30 else 0.01, 7).astype(np.float64)
        x, u = batch_shares(model, wrong, np.full(7, float(size)))
        many.observe(share_factors(model, x, u), *share_walks(model, x, u))
        for fold, bad in zip(folds, wrong.tolist(), strict=True):
            fold.apply(at * QUARTER_MS, (uniform_batch(0, size, int(bad)),))
    compare(many, folds)
    assert any(fold.episodes for fold in folds)


def test_counts() -> None:
    rng = np.random.default_rng(3)
    model = CountBets(resolve_level=2.0)
    folds = [PaneFold(model, BAR) for _ in range(20)]
    many = ManyFolds(20, model.bets, BAR, 2.0)
    for at in range(80):
        done = rng.negative_binomial(12, 0.5, 20) * (0.4 if 20 <= at < 40 else 1.0)
        done = np.floor(done)
        many.observe(count_factors(model, done, 12.0, 2.0), *count_walks(done, 12.0, 2.0))
        for fold, count in zip(folds, done.tolist(), strict=True):
            fold.apply(at * QUARTER_MS, PaneCount(int(count), 12 * NANO, 2 * NANO))
    # numpy's exp and log may differ from libm's in the last bit.
    assert many.r == pytest.approx(np.array([fold.state.r for fold in folds]), rel=1e-9)
    assert many.fired.tolist() == [len(fold.episodes) for fold in folds]
    assert many.fired.sum() >= 20
