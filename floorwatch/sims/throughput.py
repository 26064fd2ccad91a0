"""Throughput: overdispersed counts per quarter hour against what hour and roster lead to expect."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import Line, of_median, of_share
from streams.core.detectors.bets import CountBets
from streams.core.detectors.many import ManyFolds, count_factors, count_walks

EXPECTED = 12.0
PHI = 2.0
BAR = 28_800.0
MONTH = 30 * 96

Floats = npt.NDArray[np.float64]


def counts(rng: np.random.Generator, shape: tuple[int, ...], mean: float, phi: float = PHI) -> Floats:
    """Return negative binomial counts of a mean, with variance φ times the mean."""
    return rng.negative_binomial(mean / (phi - 1.0), 1.0 / phi, shape).astype(np.float64)


def first_alarm(done: Floats, phi: float, bar: float = BAR, folds: ManyFolds | None = None) -> Floats:
    """Return, per row, the bucket (from 1) in which the product's detector first fires; infinity where it never does."""
    bets = CountBets()
    folds = ManyFolds(len(done), bets.bets, bar, math.inf) if folds is None else folds
    first = np.full(len(done), math.inf)
    for at in range(done.shape[1]):
        column = np.ascontiguousarray(done[:, at])
        began = folds.observe(count_factors(bets, column, EXPECTED, phi), *count_walks(column, EXPECTED, phi))
        first[began] = at + 1.0
    return first


def run(scale: float, seed: int) -> list[Line]:
    """Run months of a site that works as expected, and drops (1,000 each at scale 1)."""
    rng = np.random.default_rng([seed, 3])
    runs = max(100, round(1000 * scale))
    month = counts(rng, (runs, MONTH), EXPECTED)
    hourly = month.reshape(runs, MONTH // 4, 4).sum(axis=2)
    false = int(np.isfinite(first_alarm(month, PHI)).sum())
    blind = int(np.isfinite(first_alarm(month, 1.0)).sum())
    naive = int((hourly < 0.8 * 4 * EXPECTED).any(axis=1).sum())
    words = "μ=12, φ=2, A=28,800"
    lines = [
        of_share(f"{words}: false alarm in 30 days", false, runs, "at most", MONTH / BAR, "Ville; STATISTICS .048"),
        of_share("the same, φ ignored", blind, runs, "about", 0.97, "STATISTICS"),
        of_share('"below 80% of the hour": false alarm in 30 days', naive, runs, "at least", 0.99, "STATISTICS"),
    ]
    for share, buckets in ((0.7, 31), (0.5, 11), (0.3, 6)):
        bets = CountBets()
        folds = ManyFolds(runs, bets.bets, BAR, math.inf)
        early = np.isfinite(first_alarm(counts(rng, (runs, 7 * 96), EXPECTED), PHI, folds=folds))
        first = first_alarm(counts(rng, (runs, 400), share * EXPECTED), PHI, folds=folds)
        name = f"{words}: median buckets to see a drop to {share}"
        lines.append(of_median(name, first[~early].tolist(), "about", buckets, "STATISTICS"))
    return lines
