"""Ways in which audits come while work is on target, one scope each: where the budget of false alarms holds.

Rows are made as the floor keeps them, also while audits come late or are corrected, and the watch that a worker has reads them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from floorwatch.sims.delays import BAR, EvidenceRows, accuracy_watch
from floorwatch.sims.lines import ReportLine, of_count
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.policy import EVIDENCE_TIER
from streams.models.timestamps import HOUR_MS

CPU_S = 330.0
DAYS = 30
ALLOWED = 0.05
_LOOK_HOURS = 12


class Change(NamedTuple):
    """Audits that become known, or are taken back.

    Attributes:
        known: Hour in which it is known.
        hour: Hour of the audits.
        weight: Their 1/π.
        right: How many right ones are added; negative where they are taken back.
        wrong: The same of wrong ones.
    """

    known: int
    hour: int
    weight: float
    right: int
    wrong: int


Changes = Iterator[Change]
Null = Callable[[np.random.Generator], Changes]


def _drawn(rng: np.random.Generator, per_hour: float, share: float) -> tuple[int, int]:
    units = int(rng.poisson(per_hour))
    wrong = int(rng.binomial(units, share))
    return units - wrong, wrong


def late(rng: np.random.Generator) -> Changes:
    """24 audits an hour, of which each comes to be known some hours later, 8 on average, whatever its outcome."""
    for hour in range(DAYS * 24):
        right, wrong = _drawn(rng, 24, ALLOWED)
        for number in range(right + wrong):
            yield Change(hour + int(rng.exponential(8.0)), hour, 1.0, int(number < right), int(number >= right))


def changing_share(rng: np.random.Generator) -> Changes:
    """200 labels an hour, audited at 20%, for ten days at 2%, then at 20% again."""
    for hour in range(DAYS * 24):
        chance = 0.02 if 240 <= hour < 480 else 0.2
        yield Change(hour, hour, 1.0 / chance, *_drawn(rng, 200 * chance, ALLOWED))


def corrected(rng: np.random.Generator) -> Changes:
    """24 audits an hour; two days later 30% of the wrong ones turn out right, and as many right ones wrong."""
    for hour in range(DAYS * 24):
        right, wrong = _drawn(rng, 24, ALLOWED)
        yield Change(hour, hour, 1.0, right, wrong)
        better = int(rng.binomial(wrong, 0.3))
        worse = int(rng.binomial(right, 0.3 * ALLOWED / (1.0 - ALLOWED)))
        yield Change(hour + 48, hour, 1.0, better - worse, worse - better)


def comes_and_goes(rng: np.random.Generator) -> Changes:
    """A labeller with 6 audits an hour for eight hours of the days on which they work: two in five."""
    for day in range(DAYS):
        if rng.random() < 0.4:
            for hour in range(24 * day + 8, 24 * day + 16):
                yield Change(hour, hour, 1.0, *_drawn(rng, 6, ALLOWED))


def risky_work(rng: np.random.Generator) -> Changes:
    """29 audits an hour: a flagged tenth at 20% (28% wrong), the rest at 1% (2.4% wrong)."""
    for hour in range(DAYS * 24):
        yield Change(hour, hour, 5.0, *_drawn(rng, 20, 5.6 * ALLOWED))
        yield Change(hour, hour, 100.0, *_drawn(rng, 9, 0.44 / 0.9 * ALLOWED))


def clustered(rng: np.random.Generator) -> Changes:
    """25 audits an hour, whose errors are correlated by .1 within the hour."""
    for hour in range(DAYS * 24):
        chance = rng.beta(ALLOWED * 9.0, (1.0 - ALLOWED) * 9.0)
        wrong = int(rng.binomial(25, chance))
        yield Change(hour, hour, 1.0, 25 - wrong, wrong)


def by_turns(rng: np.random.Generator) -> Changes:
    """100 audits an hour; days with 3% and 7% wrong by turns."""
    first = int(rng.integers(0, 2))
    for hour in range(DAYS * 24):
        yield Change(hour, hour, 1.0, *_drawn(rng, 100, (0.03, 0.07)[(hour // 24 + first) % 2]))


def unlike_days(rng: np.random.Generator) -> Changes:
    """100 audits an hour; days whose share of wrong ones is normal around 5% with a standard deviation of one point."""
    for day in range(DAYS):
        share = float(np.clip(rng.normal(ALLOWED, 0.01), 0.0, 1.0))
        for hour in range(24 * day, 24 * day + 24):
            yield Change(hour, hour, 1.0, *_drawn(rng, 100, share))


NULLS: dict[str, Null] = {
    "audits that come 8 hours late on average": late,
    "audited at 20%, 2% and 20%, ten days each": changing_share,
    "three in ten wrong verdicts corrected after two days, and as many right ones": corrected,
    "a labeller who works two days in five": comes_and_goes,
    "a flagged tenth audited at 20%, the rest at 1%": risky_work,
    "clusters of 25 with a correlation of .1": clustered,
    "days of 3% and 7% by turns, 2,400 audits a day": by_turns,
    "days of 5% with a standard deviation of one point, 2,400 audits a day": unlike_days,
}


def alarms(changes: Changes) -> tuple[int, int]:
    """Return (alarms, audits) of a scope, looked at twice a day."""
    rows, watch = EvidenceRows(), accuracy_watch()
    known: defaultdict[int, list[Change]] = defaultdict(list)
    for change in changes:
        known[change.known].append(change)
    fired = audits = 0
    was = False
    for hour in range(DAYS * 24):
        for change in known[hour]:
            _apply(rows, change)
            watch.touch(EVIDENCE_TIER, change.hour * HOUR_MS)
            audits += change.right + change.wrong
        if hour % _LOOK_HOURS == _LOOK_HOURS - 1:
            now = watch.read(rows, (hour + 1) * HOUR_MS - 1).firing
            fired += now and not was
            was = now
    return fired, audits


def _apply(rows: EvidenceRows, change: Change) -> None:
    row = rows.rows.setdefault(change.hour * HOUR_MS, {})
    counter = evidence_counter("p", "P", round(change.weight * NANO), technical=False)
    row[counter] = (
        row.get(counter, 0)
        + change.right * evidence_amount(wrong=False, critical=False)
        + change.wrong * evidence_amount(wrong=True, critical=False)
    )


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run each (100 scopes at scale 1) for 30 days on target."""
    rng = np.random.default_rng([seed, 13])
    runs = max(2, math.ceil(100 * scale))
    lines = []
    for words, null in NULLS.items():
        found = [alarms(null(rng)) for _ in range(runs)]
        fired, audits = (sum(part) for part in zip(*found, strict=True))
        name = f"on target, {words}: alarms in {DAYS} days"
        lines.append(of_count(name, fired, runs, "at most", audits / runs / BAR, "audits over the bar"))
    return lines
