"""How many audits and hours the deployed accuracy detector needs to see a drop, on single scopes and a whole floor.

Every run makes the evidence rows of a scope, and reads the watch that a worker uses. ``FROZEN`` is what the detectors
measured that took the mean of a labeller's hour as one observation (commit 7fc112c): later ones are compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from floorwatch.sims.lines import ReportLine, of_median
from floorwatch.sims.watches import watch_of_rule
from streams.core.counters import LABELS
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.fleet import bar_for
from streams.core.detectors.pace import PaceWatch
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.detectors.watch import Watch
from streams.core.policy import EVIDENCE_TIER, HOUR_TIER
from streams.models.timestamps import DAY_MS, HOUR_MS

CPU_S = 250.0
TARGET = 0.95
BAR = bar_for(21_000, 7)
_RULE = "{name: accuracy, kind: accuracy_low, scope: all, window: 24h, target: 0.95, budget: {per_day: 21000, days: 7}}"
LEVELS = (0.90, 0.85, 0.80)
GOOD_DAYS = 10
LABELS_PER_AUDIT = 20.0
_LONGEST_DAYS = 12
_QUARTER_MS = HOUR_MS // 4


class Work(NamedTuple):
    """The audits of one scope.

    Attributes:
        per_hour: Audits an hour, Poisson.
        labelers: How many people share them.
        policies: Over how many policies.
        correlation: Of two audits of one labeller and hour (beta-binomial); 0 for independent errors.
    """

    per_hour: float
    labelers: int
    policies: int
    correlation: float = 0.0


SITUATIONS: dict[str, Work] = {
    "vendor, 24 an hour over 20 people and 3 policies": Work(24, 20, 3),
    "vendor, 24 an hour over 3 people and 1 policy": Work(24, 3, 1),
    "one labeller, 4 an hour": Work(4, 1, 1),
    "one labeller, 25 an hour, correlation .1": Work(25, 1, 1, 0.1),
    "floor, 146 an hour over 180 people and 12 policies": Work(146, 180, 12),
}


FROZEN: dict[str, tuple[tuple[float, float], ...]] = {
    "vendor, 24 an hour over 20 people and 3 policies": ((371, 15.5), (132, 5.5), (72, 3.0)),
    "vendor, 24 an hour over 3 people and 1 policy": ((562, 23.4), (259, 10.8), (182, 7.5)),
    "one labeller, 4 an hour": ((448, 112), (178, 43.5), (124, 30.5)),
    "one labeller, 25 an hour, correlation .1": ((1_796, 72.5), (880, 35), (610, 24)),
    "floor, 146 an hour over 180 people and 12 policies": ((379, 2.75), (137, 1.0), (86, 0.5)),
}
"""Median (audits, hours) to see .90, .85 and .80, measured with the means of labeller-hours (200 runs, the floor 67, seed 7)."""

MOST_TIMES = 1.5
"""How many times as long a scope may need whose errors are known to be nearly independent."""

MOST_TIMES_CLUSTERED = 3.5
"""The same for scopes that are new, or whose errors come in clusters."""


class EvidenceRows:
    """The evidence rows of one scope, as the floor would keep them."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: dict[int, dict[int | str, int]] = {}
        self._labels: dict[int, dict[int | str, int]] = {}

    def starts(self, tier: int) -> Collection[int]:
        """Return the starts of the hours."""
        return self._of(tier).keys()

    def counters(self, tier: int, pane_ms: int) -> dict[int | str, int]:
        """Return an hour's counters."""
        return self._of(tier).get(pane_ms, {})

    def _of(self, tier: int) -> dict[int, dict[int | str, int]]:
        return {EVIDENCE_TIER: self.rows, HOUR_TIER: self._labels}.get(tier, {})

    def labels(self, at_ms: int, count: int) -> None:
        """Count labels."""
        row = self._labels.setdefault(at_ms // HOUR_MS * HOUR_MS, {})
        row[LABELS] = row.get(LABELS, 0) + count

    def kept_ms(self, tier: int) -> int:  # noqa: ARG002
        """Return the product's retention."""
        return 14 * DAY_MS

    def audit(self, at_ms: int, labeler: str, policy: str, *, wrong: bool, weight: float = 1.0, count: int = 1) -> None:
        """Count audits; ``weight`` is 1/π."""
        row = self.rows.setdefault(at_ms // HOUR_MS * HOUR_MS, {})
        counter = evidence_counter(labeler, policy, round(weight * NANO), technical=False)
        row[counter] = row.get(counter, 0) + count * evidence_amount(wrong=wrong, critical=False)


def accuracy_watch() -> Watch | PaceWatch:
    """Return the watch a worker has for an accuracy rule."""
    return watch_of_rule(_RULE)


def fill(rng: np.random.Generator, rows: EvidenceRows, work: Work, from_ms: int, until_ms: int, accuracy: float) -> int:
    """Put the labels of a stretch within one hour, one in 20 drawn for an audit, into the rows; return how many were."""
    count = int(rng.poisson(work.per_hour * (until_ms - from_ms) / HOUR_MS))
    people, policies = rng.integers(0, work.labelers, count), rng.integers(0, work.policies, count)
    chances = np.full(work.labelers, 1.0 - accuracy)
    if work.correlation:
        spread = 1 / work.correlation - 1
        chances = rng.beta((1 - accuracy) * spread, accuracy * spread, work.labelers)
    wrongs = rng.random(count) < chances[people]
    for labeler, policy, wrong in zip(people.tolist(), policies.tolist(), wrongs.tolist(), strict=True):
        rows.audit(from_ms, f"p{labeler}", f"P{policy}", wrong=wrong, weight=LABELS_PER_AUDIT)
    others = (LABELS_PER_AUDIT - 1.0) * work.per_hour * (until_ms - from_ms) / HOUR_MS
    rows.labels(from_ms, count + int(rng.poisson(others)))
    return count


def delay(
    rng: np.random.Generator, work: Work, accuracy: float, good_days: int = GOOD_DAYS
) -> tuple[float, float] | None:
    """Return (audits, hours) from a drop to the first alarm, looked at every quarter hour.

    Returns:
        Infinities where there is none in 12 days; None where the alarm rang before the drop.
    """
    rows, watch = EvidenceRows(), accuracy_watch()
    change_ms = good_days * DAY_MS
    for hour_ms in range(0, change_ms, HOUR_MS):
        fill(rng, rows, work, hour_ms, hour_ms + HOUR_MS, TARGET)
    if watch.read(rows, change_ms - 1).firing:
        return None
    audits = 0
    # A correlated hour is drawn whole: its errors depend on each other.
    step_ms = HOUR_MS if work.correlation else _QUARTER_MS
    for at_ms in range(change_ms, change_ms + _LONGEST_DAYS * DAY_MS, step_ms):
        audits += fill(rng, rows, work, at_ms, at_ms + step_ms, accuracy)
        watch.touch(EVIDENCE_TIER, at_ms // HOUR_MS * HOUR_MS)
        if watch.read(rows, at_ms + step_ms - 1).firing:
            return audits, (at_ms + step_ms - change_ms) / HOUR_MS
    return math.inf, math.inf


def run(scale: float, seed: int) -> list[ReportLine]:
    """Measure the delay of every situation and level (200 runs each at scale 1, a third of that for the floor)."""
    rng = np.random.default_rng([seed, 6])
    lines = []
    for name, work in SITUATIONS.items():
        runs = max(8, round(200 * scale / (3 if work.per_hour > 100 else 1)))
        times = MOST_TIMES_CLUSTERED if work.correlation else MOST_TIMES
        for level, frozen in zip(LEVELS, FROZEN[name], strict=True):
            found = [pair for _ in range(runs) if (pair := delay(rng, work, level)) is not None]
            for place, unit in enumerate(("audits", "hours")):
                delays = [pair[place] for pair in found]
                words = f"{name}, .95 to {level:.2f}: {unit}"
                lines.append(
                    of_median(words, delays, "at most", times * frozen[place], f"{times:g} x {frozen[place]:g}")
                )
    return lines
