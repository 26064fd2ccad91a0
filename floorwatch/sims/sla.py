"""SLA: the share of due tasks missed per quarter hour."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_median, of_share
from streams.core.detectors.bets import DUE_RATIOS, ShareBets
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fold import begin, fold_pane
from streams.models.timestamps import HOUR_MS

CPU_S = 60.0
ATTAINMENT = 0.95
PER_HOUR = 60
BAR = 2_688.0
FOUR_WEEKS = 28 * 96
QUARTER_MS = 900_000

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


def first_alarm(late: Floats, due: Floats) -> Floats:
    """Return, per row, the quarter (from 1) in which the deployed fold first fires; infinity where it never does."""
    bets = ShareBets.of(1 - ATTAINMENT, DUE_RATIOS, period_ms=HOUR_MS, per_unit=False)
    first = np.full(len(due), math.inf)
    for row, (misses, tasks) in enumerate(zip(late.tolist(), due.tolist(), strict=True)):
        state = begin(bets.bets)
        for at, (missed_of, units) in enumerate(zip(misses, tasks, strict=True)):
            if units:
                pane = (PaneClass(NANO, int(units), int(missed_of)),)
                state, _ = fold_pane(bets, state, at * QUARTER_MS, pane, BAR)
                if state.firing is not None:
                    first[row] = at + 1.0
                    break
    return first


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run four weeks of a queue that misses 4%, and queues that come to miss 15% (200 each at scale 1)."""
    rng = np.random.default_rng([seed, 4])
    runs = max(8, round(200 * scale))
    lines = []
    for correlation, words in ((0.0, "independent misses"), (0.1, "misses come together (correlation .1)")):
        false = first_alarm(*missed(rng, runs, FOUR_WEEKS, 0.04, correlation))
        name = f"4% missed of 60 an hour, A=2,688: false alarm in 28 days, {words}"
        # Ville's bound is 1 here, 2,688 quarters at a bar of 2,688, which nothing could miss. The reference is stricter.
        lines.append(of_share(name, int(np.isfinite(false).sum()), runs, "at most", 0.035, "reference"))
    before = missed(rng, runs, 96, 0.04)
    after = missed(rng, runs, 96, 0.15)
    joined = [np.concatenate(pair, axis=1) for pair in zip(before, after, strict=True)]
    hours = (first_alarm(joined[0], joined[1]) - 96) / 4.0
    name = "4% becomes 15% after a day: median hours to the alarm"
    return [*lines, of_median(name, hours[hours > 0].tolist(), "at most", 1.5 * 5.0, "1.5 x 5.0, as frozen")]
