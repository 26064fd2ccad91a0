"""Throughput: overdispersed counts per quarter hour against what hour and roster lead to expect."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_median, of_share
from streams.core.detectors.bets import CountBets
from streams.core.detectors.many import ManyFolds, count_factors, count_walks
from streams.core.detectors.pace import PaceBets, PaceWatch
from streams.core.detectors.watch import DAY_MS, HOUR_MS, MINUTE_MS, Detector

EXPECTED = 12.0
PHI = 2.0
BAR = 28_800.0
MONTH = 30 * 96
PACE_BAR = 7_200.0
_QUARTER_MS = 15 * MINUTE_MS
_LABELS, _SCHEDULED = 1, 2

Floats = npt.NDArray[np.float64]


def counts(rng: np.random.Generator, shape: tuple[int, ...], mean: float, phi: float = PHI) -> Floats:
    """Return negative binomial counts of a mean, with variance φ times the mean.

    Source: a Poisson count whose mean is gamma distributed (Greenwood, Yule 1920).
    """
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


class Rows:
    """Panes of one scope as the floor would keep them, nothing but labels counted."""

    def __init__(self, quarters: Floats) -> None:
        """Hold counts of consecutive quarter hours."""
        self._quarters = quarters.astype(np.int64)
        self._hours = self._quarters.reshape(-1, 4).sum(axis=1)
        self._starts = {
            1: range(0, len(quarters) * _QUARTER_MS, _QUARTER_MS),
            2: range(0, len(quarters) * _QUARTER_MS, HOUR_MS),
        }

    def starts(self, tier: int) -> range:
        """Return the starts of a tier's panes."""
        return self._starts[tier]

    def counters(self, tier: int, pane_ms: int) -> dict[int | str, int]:
        """Return the labels of a pane."""
        place, counts = (pane_ms // _QUARTER_MS, self._quarters) if tier == 1 else (pane_ms // HOUR_MS, self._hours)
        return {_LABELS: int(counts[place])} if place < len(counts) else {}

    def kept_ms(self, tier: int) -> int:
        """Return the product's retention."""
        return (2 if tier == 1 else 14) * DAY_MS


def pace_alarm(rows: Rows, from_day: int, until_day: float) -> float:
    """Return the hours from a day to the first alarm of the product's watch, looked at every hour; infinity without."""
    detector = Detector("pace", "throughput", frozenset(), (), "24h", None, PACE_BAR)
    watch = PaceWatch(detector, PaceBets(), _LABELS, _SCHEDULED)
    for hour in range(round((until_day - from_day) * 24)):
        if watch.read(rows, from_day * DAY_MS + (hour + 1) * HOUR_MS).firing:
            return hour + 1.0
    return math.inf


def _pace(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    """Without a roster: 28 days after the first week and a day, and halves from then on; day and night differ threefold."""
    lines = []
    by_day = np.where((np.arange(96) >= 32) & (np.arange(96) < 80), 1.0, 1 / 3)
    for mean, phi in ((12.0, 2.0), (48.0, 4.0)):
        usual = np.tile(mean * by_day, 36)
        false = [pace_alarm(Rows(_scattered(rng, usual, phi)), 8, 36) for _ in range(runs)]
        words = f"against the week before, φ={phi:g} unknown, A=7,200, {mean:g} a quarter by day"
        hits = sum(math.isfinite(hours) for hours in false)
        lines.append(of_share(f"{words}: false alarm in 28 days", hits, runs, "at most", 28 * 24 / PACE_BAR, "Ville"))
        half = usual.copy()
        half[10 * 96 + 36 :] *= 0.5  # at nine in the morning
        delays = [pace_alarm(Rows(_scattered(rng, half[: 14 * 96], phi)), 10, 14) - 9 for _ in range(runs)]
        name = "the same: median hours to see half of it, from nine in the morning"
        lines.append(of_median(name, delays, "at most", 12, "shown"))
    return lines


def _scattered(rng: np.random.Generator, mean: Floats, phi: float) -> Floats:
    return rng.negative_binomial(mean / (phi - 1.0), 1.0 / phi).astype(np.float64)


def run(scale: float, seed: int) -> list[ReportLine]:
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
        of_share(f"{words}: false alarm in 30 days", false, runs, "at most", MONTH / BAR, "Ville; reference .048"),
        of_share("the same, φ ignored", blind, runs, "about", 0.97, "reference"),
        of_share('"below 80% of the hour": false alarm in 30 days', naive, runs, "at least", 0.99, "reference"),
    ]
    for share, buckets in ((0.7, 31), (0.5, 11), (0.3, 6)):
        bets = CountBets()
        folds = ManyFolds(runs, bets.bets, BAR, math.inf)
        early = np.isfinite(first_alarm(counts(rng, (runs, 7 * 96), EXPECTED), PHI, folds=folds))
        first = first_alarm(counts(rng, (runs, 400), share * EXPECTED), PHI, folds=folds)
        name = f"{words}: median buckets to see a drop to {share}"
        lines.append(of_median(name, first[~early].tolist(), "about", buckets, "reference"))
    return [*lines, *_pace(rng, max(12, round(100 * scale)))]
