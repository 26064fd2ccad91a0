"""Throughput: overdispersed counts per quarter hour against what hour and roster lead to expect."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_median, of_share
from floorwatch.sims.watches import watch_of_rule
from streams.core import counters as c
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS

ROWS = (9,)
CPU_S = 280.0

PACE_BAR = 7_200.0
_QUARTER_MS = 15 * MINUTE_MS
_RULE = (
    "{name: pace, kind: throughput_drop, scope: all, method: evidence, window: 24h, budget: {per_day: 24, days: 300}}"
)

Floats = npt.NDArray[np.float64]


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
        return {c.LABELS: int(counts[place])} if place < len(counts) else {}

    def kept_ms(self, tier: int) -> int:
        """Return the product's retention."""
        return (2 if tier == 1 else 14) * DAY_MS


class SimulatedSite(NamedTuple):
    """How labels come to a site.

    Attributes:
        per_hour: Labels an hour, on average by day.
        days_apart: Standard deviation of the log of a day's level.
        night: What comes from 20:00 to 08:00, as a share of the day.
        weekend: What comes on the last two days of seven, as a share of the others.
        phi: Variance over mean of a quarter of an hour, given the day's level.
    """

    per_hour: float
    days_apart: float
    night: float = 1.0
    weekend: float = 1.0
    phi: float = 1.0

    def draw(self, rng: np.random.Generator, days: int, half_from: int | None = None) -> Rows:
        """Return the rows of so many days; from a quarter on only half of the labels come."""
        levels = np.exp(rng.normal(-(self.days_apart**2) / 2, self.days_apart, days))
        levels[np.arange(days) % 7 >= 5] *= self.weekend
        by_quarter = np.where((np.arange(96) >= 32) & (np.arange(96) < 80), 1.0, self.night)
        mean = np.outer(levels, by_quarter).ravel() * self.per_hour / 4
        if half_from is not None:
            mean[half_from:] *= 0.5
        return Rows(rng.poisson(mean).astype(np.float64) if self.phi == 1.0 else _scattered(rng, mean, self.phi))


_LEARNT_DAYS = 8
"""A week to compare with, and a day to learn from."""

_LOOK_HOURS = 12
"""The states are folded anew from another day on after so many hours: a look at the end of each sees what all looks see."""


def pace_alarm(rows: Rows, until_day: int) -> bool:
    """Return whether the product's watch alarms between the day it has learnt enough and another."""
    watch = watch_of_rule(_RULE)
    looks = range(_LEARNT_DAYS * DAY_MS, until_day * DAY_MS + 1, _LOOK_HOURS * HOUR_MS)
    return any(watch.read(rows, look_ms - 1).firing for look_ms in looks)


def pace_delay(rows: Rows, from_quarter: int, hours: int) -> float | None:
    """Return the hours from a drop to the alarm, looked at every quarter hour.

    Returns:
        Infinity without an alarm in so many hours; None where it rang before the drop.
    """
    watch = watch_of_rule(_RULE)
    if watch.read(rows, from_quarter * _QUARTER_MS).firing:
        return None
    for quarters in range(1, 4 * hours + 1):
        if watch.read(rows, (from_quarter + quarters) * _QUARTER_MS).firing:
            return quarters / 4
    return math.inf


def _pace(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    """Without a roster: 28 days after the first week and a day, and half of the labels from nine in the morning of a day."""
    lines = []
    false = 0
    for number in range(runs):
        spread, night, weekend = rng.uniform(0.05, 0.1), rng.uniform(1 / 3, 1.0), rng.choice([1.0, 0.9, 0.5, 0.0])
        site = SimulatedSite((12.0, 48.0, 400.0)[number % 3], spread, night, weekend, rng.choice([1.0, 1.5]))
        false += pace_alarm(site.draw(rng, 36), 36)
    bound = 28 * 24 / PACE_BAR
    name = "12, 48 or 400 labels an hour, days that differ by 5 to 10%, A=7,200: false alarm in 28 days"
    lines.append(of_share(name, false, runs, "at most", bound, "the budget", row=9))
    half_from = 12 * 96 + 36
    for per_hour, hours in ((12.0, 8), (48.0, 3), (400.0, 1)):
        drawn = [SimulatedSite(per_hour, rng.uniform(0.05, 0.1)).draw(rng, 14, half_from) for _ in range(runs)]
        delays = [found for rows in drawn if (found := pace_delay(rows, half_from, 30)) is not None]
        name = f"{per_hour:g} an hour, the same days, half of the labels missing: median hours to the alarm"
        lines.append(of_median(name, delays, "at most", hours, "shown", row=9))
    return lines


def _scattered(rng: np.random.Generator, mean: Floats, phi: float) -> Floats:
    return rng.negative_binomial(np.maximum(mean, 1e-9) / (phi - 1.0), 1.0 / phi).astype(np.float64)


def _naive(rng: np.random.Generator, runs: int) -> ReportLine:
    """What boards often show, for comparison: an hour below 80% of the usual count."""
    hourly = _scattered(rng, np.full((runs, 30 * 96), 12.0), 2.0).reshape(runs, 30 * 24, 4).sum(axis=2)
    rang = int((hourly < 0.8 * 48.0).any(axis=1).sum())
    return of_share(
        '"below 80% of the hour", 48 an hour: false alarm in 30 days', rang, runs, "at least", 0.99, "shown"
    )


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run months of a site that works as expected, and drops (400 each at scale 1), through the watch that a worker uses."""
    rng = np.random.default_rng([seed, 3])
    runs = max(10, round(400 * scale))
    return [_naive(rng, runs), *_pace(rng, runs)]
