"""Ways in which audits come while work is on target, one scope each: where the budget of false alarms holds.

Rows are made as the floor keeps them, also while audits come late or are corrected, and the watch that a worker has reads them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from floorwatch.sims.delays import BAR, EvidenceRows, accuracy_watch
from floorwatch.sims.lines import ReportLine, of_count
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.policy import EVIDENCE_TIER, HOUR_TIER
from streams.models.timestamps import HOUR_MS

CPU_S = 330.0
DAYS = 30
ALLOWED = 0.05
_LOOK_HOURS = 12


class Change(NamedTuple):
    """Audits that become known, or are taken back.

    Attributes:
        known: Hour in which it is known.
        hour: Hour of their labels.
        weight: Their 1/π.
        right: How many right ones are added; negative where they are taken back.
        wrong: The same of wrong ones.
        labels: Labels of the hour that become known; they are known as soon as they are made.
    """

    known: int
    hour: int
    weight: float
    right: int
    wrong: int
    labels: int = 0


Changes = Iterator[Change]
Null = Callable[[np.random.Generator], Changes]


def _drawn(rng: np.random.Generator, per_hour: float, share: float) -> tuple[int, int]:
    units = int(rng.poisson(per_hour))
    wrong = int(rng.binomial(units, share))
    return units - wrong, wrong


def _in_time(rng: np.random.Generator, hour: int, per_hour: float, chance: float, share: float) -> Change:
    """Return the audits of an hour that are there at once, of labels drawn with one chance."""
    right, wrong = _drawn(rng, per_hour, share)
    others = int(rng.poisson(per_hour * (1.0 / chance - 1.0)))
    return Change(hour, hour, 1.0 / chance, right, wrong, right + wrong + others)


def late(rng: np.random.Generator) -> Changes:
    """24 audits an hour, of which each comes to be known some hours later, 8 on average, whatever its outcome."""
    for hour in range(DAYS * 24):
        whole = _in_time(rng, hour, 24, 0.05, ALLOWED)
        yield whole._replace(right=0, wrong=0)
        for number in range(whole.right + whole.wrong):
            known = hour + int(rng.exponential(8.0))
            yield Change(known, hour, whole.weight, int(number < whole.right), int(number >= whole.right))


def changing_share(rng: np.random.Generator) -> Changes:
    """200 labels an hour, audited at 20%, for ten days at 2%, then at 20% again."""
    for hour in range(DAYS * 24):
        chance = 0.02 if 240 <= hour < 480 else 0.2
        yield _in_time(rng, hour, 200 * chance, chance, ALLOWED)


def corrected(rng: np.random.Generator) -> Changes:
    """24 audits an hour; two days later 30% of the wrong ones turn out right, and as many right ones wrong."""
    for hour in range(DAYS * 24):
        whole = _in_time(rng, hour, 24, 0.05, ALLOWED)
        yield whole
        better = int(rng.binomial(whole.wrong, 0.3))
        worse = int(rng.binomial(whole.right, 0.3 * ALLOWED / (1.0 - ALLOWED)))
        yield Change(hour + 48, hour, whole.weight, better - worse, worse - better)


def comes_and_goes(rng: np.random.Generator) -> Changes:
    """A labeller with 6 audits an hour for eight hours of the days on which they work: two in five."""
    for day in range(DAYS):
        if rng.random() < 0.4:
            for hour in range(24 * day + 8, 24 * day + 16):
                yield _in_time(rng, hour, 6, 0.05, ALLOWED)


Delay = Callable[[np.random.Generator, int], int]


def risky_work(
    rng: np.random.Generator, later: Delay = lambda _, hour: hour, times: float = 1.0, flagged: float = 0.28
) -> Changes:
    """29 audits an hour: a flagged tenth at 20% (28% wrong), the rest at 1% (2.4% wrong).

    Args:
        rng: Draws.
        later: Hour in which an audit of what was not flagged is known, by the hour of its label.
        times: How many times as much work.
        flagged: Part of the flagged work that is wrong; of the rest so much that the whole is on target.
    """
    rest = (ALLOWED - 0.1 * flagged) / 0.9
    for hour in range(DAYS * 24):
        yield _in_time(rng, hour, 20 * times, 0.2, flagged)
        whole = _in_time(rng, hour, 9 * times, 0.01, rest)
        yield whole._replace(right=0, wrong=0)
        for number in range(whole.right + whole.wrong):
            yield Change(later(rng, hour), hour, whole.weight, int(number < whole.right), int(number >= whole.right))


def _next_morning(_: np.random.Generator, hour: int) -> int:
    return hour // 24 * 24 + 33


def _on_weekdays(_: np.random.Generator, hour: int) -> int:
    """Return the hour itself from Monday to Friday, else nine on Monday."""
    day = hour // 24
    return hour if day % 7 < 5 else (day - day % 7 + 7) * 24 + 9


def clustered(rng: np.random.Generator) -> Changes:
    """25 audits an hour, whose errors are correlated by .1 within the hour."""
    for hour in range(DAYS * 24):
        chance = rng.beta(ALLOWED * 9.0, (1.0 - ALLOWED) * 9.0)
        wrong = int(rng.binomial(25, chance))
        yield Change(hour, hour, 1.0, 25 - wrong, wrong, 25)


def by_turns(rng: np.random.Generator) -> Changes:
    """100 audits an hour; days with 3% and 7% wrong by turns."""
    first = int(rng.integers(0, 2))
    for hour in range(DAYS * 24):
        yield _in_time(rng, hour, 100, 0.05, (0.03, 0.07)[(hour // 24 + first) % 2])


def unlike_days(rng: np.random.Generator) -> Changes:
    """100 audits an hour; days whose share of wrong ones is normal around 5% with a standard deviation of one point."""
    for day in range(DAYS):
        share = float(np.clip(rng.normal(ALLOWED, 0.01), 0.0, 1.0))
        for hour in range(24 * day, 24 * day + 24):
            yield _in_time(rng, hour, 100, 0.05, share)


NULLS: dict[str, Null] = {
    "audits that come 8 hours late on average": late,
    "audited at 20%, 2% and 20%, ten days each": changing_share,
    "three in ten wrong verdicts corrected after two days, and as many right ones": corrected,
    "a labeller who works two days in five": comes_and_goes,
    "a flagged tenth audited at 20%, the rest at 1%": risky_work,
    "the same, the rest audited a day later": partial(risky_work, later=lambda _, hour: hour + 24),
    "the same, the rest the next morning": partial(risky_work, later=_next_morning),
    "the same, the rest on weekdays only": partial(risky_work, later=_on_weekdays),
    "the same, the rest a day later on average (exponential)": partial(
        risky_work, later=lambda rng, hour: hour + int(rng.exponential(24.0))
    ),
    "the same, four in five errors flagged, five times the work": partial(
        risky_work, later=lambda _, hour: hour + 24, times=5.0, flagged=0.4
    ),
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
            watch.touch(HOUR_TIER, change.hour * HOUR_MS)
            audits += change.right + change.wrong
        if hour % _LOOK_HOURS == _LOOK_HOURS - 1:
            now = watch.read(rows, (hour + 1) * HOUR_MS - 1).firing
            fired += now and not was
            was = now
    return fired, audits


def _apply(rows: EvidenceRows, change: Change) -> None:
    if change.labels:
        rows.labels(change.hour * HOUR_MS, change.labels)
    if not change.right and not change.wrong:
        return
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
