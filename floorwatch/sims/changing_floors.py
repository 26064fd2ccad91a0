"""Whole floors of 504 scopes on which something changes, against their budget of false alarms.

180 labellers of three vendors work in three shifts on 20 queues and 12 policies. Their volumes are lognormal (σ = 1), their shares
of errors Beta with mean .05 and standard deviation .03. A tenth of the labels is flagged, and wrong three times as often; it is
audited at 20%, the rest at 1%: 3,500 audits a day, each in six scopes. The share of wrong labels of the floor and of each vendor is
exactly the allowed one, every day. An alarm is false in every scope whose own share meets the target; labellers above it are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_count
from floorwatch.sims.watches import detector_of_rule
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fold import begin, fold_pane
from streams.core.policy import HOUR_MS

CPU_S = 150.0

DAYS = 30
ALLOWED = 0.05
DAYS_PER_FALSE_ALARM = 7
AUDITS_A_DAY = 3_500
LABELERS, VENDORS, QUEUES, POLICIES = 180, 3, 20, 12
_FLAGGED, _RISK = 0.1, 3.0
_PI = (0.2, 0.01)
"""Of flagged labels, and of the others."""

_RULE = (
    f"{{name: floor, kind: accuracy_low, scope: all, target: {1 - ALLOWED}, "
    f"budget: {{per_day: {6 * AUDITS_A_DAY}, days: {DAYS_PER_FALSE_ALARM}}}}}"
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class FloorKind(NamedTuple):
    """What changes on a floor.

    Attributes:
        words: In words.
        floors: How many at scale 1.
        days_apart: The share of errors of days by turns, times 1 plus and minus this.
        coming: Part of the labellers who begin, or stop, within the month.
        shares_change: Half way the audit shares become 10% and 2%.
    """

    words: str
    floors: int
    days_apart: float = 0.0
    coming: float = 0.0
    shares_change: bool = False


KINDS = (
    FloorKind("audit shares change half way", 10, shares_change=True),
    FloorKind("two in five labellers come or go", 10, coming=0.4),
    FloorKind("days of 4% and 6% by turns", 10, days_apart=0.2),
)


class DrawnFloor(NamedTuple):
    """The audits of one floor.

    Attributes:
        hour: Of each audit.
        labeler: Whose label.
        flagged: Whether it was flagged.
        wrong: Whether it is wrong.
        shares: Share of wrong labels of each labeller, over the days he works.
        weights: 1/π of flagged and of other labels, by hour.
    """

    hour: Ints
    labeler: Ints
    flagged: Ints
    wrong: Ints
    shares: Floats
    weights: Floats


def draw(rng: np.random.Generator, kind: FloorKind, days: int) -> DrawnFloor:
    """Draw the audits of a floor."""
    people, hours = np.arange(LABELERS), np.arange(days * 24)
    spread = ALLOWED * (1 - ALLOWED) / 0.03**2 - 1
    rates = rng.beta(ALLOWED * spread, (1 - ALLOWED) * spread, LABELERS)
    works = np.ones((LABELERS, days))
    for person in people[rng.random(LABELERS) < kind.coming]:
        change = int(rng.integers(days // 4, days - days // 4))
        works[person, : change if rng.random() < 0.5 else 0] = 0.0
        works[person, change if works[person, 0] else days :] = 0.0
    volume = rng.lognormal(0.0, 1.0, LABELERS)[:, None] * works
    by_day = np.empty((LABELERS, days))
    for vendor in range(VENDORS):
        of = people % VENDORS == vendor
        by_day[of] = rates[of, None] * ALLOWED / ((rates[of, None] * volume[of]).sum(axis=0) / volume[of].sum(axis=0))
    shares = (by_day * works).sum(axis=1) / works.sum(axis=1)
    by_day = by_day * (1 + kind.days_apart * np.where(np.arange(days) % 2, 1.0, -1.0))
    in_shift = hours[None, :] % 24 // 8 == (people // VENDORS % 3)[:, None]
    labels = volume[:, hours // 24] * in_shift
    chances = np.empty((2, len(hours)))
    for place, (pi, then) in enumerate(zip(_PI, (0.1, 0.02), strict=True)):
        chances[place] = np.where(kind.shares_change & (hours >= len(hours) // 2), then, pi)
    parts = np.array([_FLAGGED, 1 - _FLAGGED])
    labels *= AUDITS_A_DAY * days / (labels * (parts @ chances)).sum()
    risk = np.array([_RISK, 1.0]) / (_FLAGGED * _RISK + 1 - _FLAGGED)
    audits = rng.poisson(labels[None] * parts[:, None, None] * chances[:, None, :])
    bad = rng.binomial(audits, np.minimum(0.95, risk[:, None, None] * by_day[None, :, hours // 24]))
    found = []
    for outcome, counts in enumerate((audits - bad, bad)):
        other, worker, at = np.nonzero(counts)
        alike = np.stack([at, worker, 1 - other, np.full(len(at), outcome)])
        found.append(np.repeat(alike, counts[other, worker, at], axis=1))
    drawn = np.concatenate(found, axis=1)
    return DrawnFloor(drawn[0], drawn[1], drawn[2], drawn[3], shares, 1 / chances)


def false_alarms(rng: np.random.Generator, kind: FloorKind, days: int) -> tuple[int, int]:
    """Return (alarms in scopes that meet the target, such scopes) of one floor, through the deployed fold hour by hour."""
    floor = draw(rng, kind, days)
    queue = rng.choice(QUEUES, len(floor.hour), p=rng.dirichlet(np.full(QUEUES, 2.0)))
    policy = rng.choice(POLICIES, len(floor.hour), p=rng.dirichlet(np.full(POLICIES, 2.0)))
    vendor = floor.labeler % VENDORS
    cuts = (
        (np.zeros_like(queue), 1, [0]),
        (vendor, VENDORS, range(VENDORS)),
        (queue, QUEUES, range(QUEUES)),
        (floor.labeler, LABELERS, np.flatnonzero(floor.shares <= ALLOWED).tolist()),
        (queue * POLICIES + policy, QUEUES * POLICIES, range(QUEUES * POLICIES)),
        (vendor * QUEUES + queue, VENDORS * QUEUES, range(VENDORS * QUEUES)),
    )
    alarms = 0
    width = days * 24
    for scope, groups, judged in cuts:
        keys = (scope * width + floor.hour) * 4 + floor.flagged * 2 + floor.wrong
        counts = np.bincount(keys, minlength=groups * width * 4).reshape(groups, width, 2, 2)
        alarms += sum(_alarms(counts[one], floor.weights) for one in judged)
    return alarms, sum(len(judged) for *_, judged in cuts)


def _alarms(counts: Ints, weights: Floats) -> int:
    """Return how often a scope fires; ``counts`` are by hour, flagged or not, and wrong or not."""
    detector = detector_of_rule(_RULE)
    bets = detector.model
    assert isinstance(bets, ShareBets)
    state = begin(bets.bets)
    for hour in np.flatnonzero(counts.any(axis=(1, 2))).tolist():
        (right, wrong), (flagged_right, flagged_wrong) = counts[hour].tolist()
        classes = (
            (weights[0, hour], flagged_right, flagged_wrong),
            (weights[1, hour], right, wrong),
        )
        pane = tuple(PaneClass(round(w * NANO), ok + bad, bad) for w, ok, bad in classes if ok + bad)
        state, _ = fold_pane(bets, state, hour * HOUR_MS, pane, detector.bar)
    return state.episodes + (state.firing is not None)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run ten floors of 30 days of each kind (one of four days each in short)."""
    days = DAYS if scale >= 0.05 else 4
    lines = []
    for place, kind in enumerate(KINDS):
        floors = max(1, round(kind.floors * scale))
        found = [false_alarms(np.random.default_rng([seed, 11, place, one]), kind, days) for one in range(floors)]
        scopes = sum(count for _, count in found) / floors
        name = f"audits by risk, unlike labellers, {kind.words}: alarms of {scopes:.0f} scopes on target, {days} days"
        fired = sum(count for count, _ in found)
        lines.append(of_count(name, fired, floors, "at most", days / DAYS_PER_FALSE_ALARM, "1 a week"))
    return lines
