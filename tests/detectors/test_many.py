"""Many scopes in numpy give the numbers one scope gives in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from streams.core.detectors.bets import NANO, CountBets, PaneCount, ShareBets
from streams.core.detectors.fold import PaneFold, advance, begin
from streams.core.detectors.many import ManyFolds, count_factors, count_walks, share_factors, share_walks
from streams.core.detectors.summary import DetectorStep, summarise
from tests.detectors.panes import QUARTER_MS

LEVEL = 6.0
BAR = 30.0


def test_audits_one_at_a_time_are_the_fold_s_recursion() -> None:
    """The bare recursion of the simulations is that of the fold for summaries without temper."""
    rng = np.random.default_rng(3)
    model = ShareBets.of(0.05)
    many = ManyFolds(7, len(model.ratios), BAR, LEVEL)
    states = [begin(len(model.ratios)) for _ in range(7)]
    for at in range(200):
        wrong = (rng.random(7) < (0.3 if at < 60 else 0.01)).astype(np.float64)
        factors, (since, better) = share_factors(model, wrong), share_walks(model, wrong)
        many.observe(factors, since, better)
        for place in range(7):
            step = DetectorStep(tuple(factors[place].tolist()), float(since[place]), float(better[place]), 1, 0)
            summary = summarise(at, [step], len(model.ratios))
            states[place], _ = advance(states[place], at, summary, bar=BAR, resolve_level=LEVEL)
    assert many.r.tolist() == [list(state.r) for state in states]
    assert many.since.tolist() == [state.since for state in states]
    assert many.firing.tolist() == [state.firing is not None for state in states]
    assert many.resolved.tolist() == [state.episodes for state in states]
    assert many.resolved.sum() > 0


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
