"""Whole floors of 504 scopes over 30 days, through the watches that a worker uses: false alarms against their budget.

Labellers differ in volume and in errors, queues and policies in volume, and risky items are audited more often. The rows are
those that a worker would keep of the scopes; only the ledger before them is left out (``product`` has it, over fewer days).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from floorwatch.sims.delays import EvidenceRows, accuracy_watch
from floorwatch.sims.lines import ReportLine, of_count
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.models.timestamps import DAY_MS, HOUR_MS

CPU_S = 560.0

PER_DAY = 3_500
"""Audits a day; each is of six scopes, so of 21,000 scope audits a day."""

DAYS_PER_FALSE_ALARM = 7.0
"""The bar of the watch is that of this budget (``delays.BAR``)."""

ALLOWED = 0.05
_VENDORS, _LABELERS, _QUEUES, _POLICIES = 3, 180, 20, 12

_LOOK_DAYS = 6
"""A look folds the 12 to 13 days before it, so each day is part of two of them. A worker looks all the time, at the same folds."""

FLAGGED, FLAGGED_AUDITED, PASSED_AUDITED = 0.1, 0.2, 0.01
"""Share of items that are flagged, and with which probability flagged ones and the others are audited."""

_FLAGGED_TIMES = 5.6
"""How many times the errors of their labeller flagged items have: 28% where all have 5%."""

_PASSED_TIMES = (1.0 - FLAGGED * _FLAGGED_TIMES) / (1.0 - FLAGGED)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Staff(NamedTuple):
    """Who works on a floor.

    Attributes:
        volume: Share of the labels of each labeller.
        wrong: Share of wrong labels of each.
    """

    volume: Floats
    wrong: Floats


def vendors_of(labelers: Ints) -> Ints:
    """Return the vendor of each labeller."""
    return labelers % _VENDORS


def hire(rng: np.random.Generator) -> Staff:
    """Return labellers: volumes lognormal (σ = 1), shares of errors Beta with mean .05 and standard deviation .03.

    The shares are scaled so that each vendor's labels, and so the floor's, are wrong in exactly 5%: the hardest floor on target.
    """
    volume = np.exp(rng.normal(0.0, 1.0, _LABELERS))
    volume /= volume.sum()
    spread = ALLOWED * (1.0 - ALLOWED) / 0.03**2 - 1.0
    wrong = rng.beta(ALLOWED * spread, (1.0 - ALLOWED) * spread, _LABELERS)
    for vendor in range(_VENDORS):
        of = vendors_of(np.arange(_LABELERS)) == vendor
        wrong[of] *= ALLOWED * volume[of].sum() / (volume[of] * wrong[of]).sum()
    return Staff(volume, np.minimum(wrong, 0.95 / _FLAGGED_TIMES))


class Audits(NamedTuple):
    """Audits of a floor, one entry each.

    Attributes:
        hour: Number of the hour.
        labeler: Number of the labeller.
        queue: Number of the queue.
        policy: Number of the policy.
        flagged: Whether the item was flagged.
        wrong: Whether the label was wrong.
    """

    hour: Ints
    labeler: Ints
    queue: Ints
    policy: Ints
    flagged: Ints
    wrong: Ints

    def scopes(self) -> dict[str, tuple[Ints, int]]:
        """Return, by kind of scope, the scope of each audit and how many there are."""
        vendor = vendors_of(self.labeler)
        return {
            "floor": (np.zeros_like(vendor), 1),
            "vendor": (vendor, _VENDORS),
            "labeler": (self.labeler, _LABELERS),
            "queue": (self.queue, _QUEUES),
            "queue-policy": (self.queue * _POLICIES + self.policy, _QUEUES * _POLICIES),
            "vendor-queue": (vendor * _QUEUES + self.queue, _VENDORS * _QUEUES),
        }


def audit(rng: np.random.Generator, staff: Staff, days: int) -> Audits:
    """Return the audits of so many days: Poisson many, more by day than by night, risky items more often."""
    count = int(rng.poisson(PER_DAY * days))
    by_hour = np.where((np.arange(24) >= 8) & (np.arange(24) < 20), 2.0, 1.0)
    hour = 24 * rng.integers(0, days, count) + rng.choice(24, count, p=by_hour / by_hour.sum())
    labeler = rng.choice(_LABELERS, count, p=staff.volume)
    of_flagged = FLAGGED * FLAGGED_AUDITED
    flagged = rng.random(count) < of_flagged / (of_flagged + (1.0 - FLAGGED) * PASSED_AUDITED)
    chance = staff.wrong[labeler] * np.where(flagged, _FLAGGED_TIMES, _PASSED_TIMES)
    wrong = rng.random(count) < chance
    queue, policy = _of_unequal(rng, _QUEUES, count), _of_unequal(rng, _POLICIES, count)
    return Audits(hour, labeler, queue, policy, flagged.astype(np.int64), wrong.astype(np.int64))


def _of_unequal(rng: np.random.Generator, among: int, count: int) -> Ints:
    size = np.exp(rng.normal(0.0, 1.0, among))
    return rng.choice(among, count, p=size / size.sum())


_COUNTERS = tuple(
    evidence_counter(None, None, round(NANO / chance), technical=False) for chance in (PASSED_AUDITED, FLAGGED_AUDITED)
)
_AMOUNTS = (evidence_amount(wrong=False, critical=False), evidence_amount(wrong=True, critical=False))


def rows_of(audits: Audits, scope: Ints, scopes: int) -> list[EvidenceRows]:
    """Return the rows of every scope of a kind."""
    hours = int(audits.hour.max()) + 1
    key = ((scope * hours + audits.hour) * 2 + audits.flagged) * 2 + audits.wrong
    found = [EvidenceRows() for _ in range(scopes)]
    for place, count in zip(*(part.tolist() for part in np.unique(key, return_counts=True)), strict=True):
        number, of = divmod(place, 4 * hours)
        row = found[number].rows.setdefault(of // 4 * HOUR_MS, {})
        counter = _COUNTERS[of // 2 % 2]
        row[counter] = row.get(counter, 0) + count * _AMOUNTS[of % 2]
    return found


def firings(rows: EvidenceRows, days: int) -> int:
    """Return how many alarms a scope has, looked at so often that every day is part of two looks."""
    watch, fired, was = accuracy_watch(), 0, False
    for day in sorted({days, *range(_LOOK_DAYS, days, _LOOK_DAYS)}):
        now = watch.read(rows, day * DAY_MS - 1).firing
        fired += now and not was
        was = now
    return fired


def false_alarms(rng: np.random.Generator, days: int) -> tuple[int, int]:
    """Return the alarms of a floor in scopes that meet the target, and in labellers who do not."""
    staff = hire(rng)
    audits = audit(rng, staff, days)
    false = true = 0
    for kind, (scope, scopes) in audits.scopes().items():
        for number, rows in enumerate(rows_of(audits, scope, scopes)):
            fired = firings(rows, days)
            if kind == "labeler" and staff.wrong[number] > ALLOWED:
                true += fired
            else:
                false += fired
    return false, true


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run whole floors (40 of 30 days at scale 1; of 6 days where the scale is small)."""
    rng = np.random.default_rng([seed, 12])
    days, floors = (30 if scale >= 0.1 else 6), max(1, round(40 * scale))
    found = [false_alarms(rng, days) for _ in range(floors)]
    words = f"504 scopes, unequal labellers, flagged items audited 20 times as often, {days} days"
    return [
        of_count(
            f"{words}: false alarms a floor",
            sum(false for false, _ in found),
            floors,
            "at most",
            days / DAYS_PER_FALSE_ALARM,
            "1 a week",
        ),
        of_count(
            "the same: alarms of labellers below the target, a floor",
            sum(true for _, true in found),
            floors,
            "at least",
            1.0 if days >= 30 else 0.0,
            "shown",
        ),
    ]
