"""What is said of people, on floors whose truth is known: who is named for coaching, who is called recovered, who is below target.

Labels are drawn, and the product's own cohort and scorecard rules are run over them. People differ in volume (log-normal), in the kinds
of work they do and, where it says so, in accuracy; audits follow the risk of a label where it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from floorwatch.analysis.people.coaching import CoachingStep, State, Told, coaching_of
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.standing_labels import StandingLabel, StandingVerdict
from floorwatch.sims.lines import ReportLine, Sense, of_count, of_share
from streams.core.binomial import TAIL
from streams.core.policy import DAY_MS

ROWS = (13,)
CPU_S = 260.0
"""About what it takes at scale 1."""

POLICY = PeoplePolicy()
RATE = POLICY.false_discovery_ratio
TARGET = POLICY.accuracy_target_ratio
PEOPLE = 150
BASE_MS = 1_795_392_000_000
_NANO = 1_000_000_000
_KINDS = 6
_WEEK = (BASE_MS, BASE_MS + 7 * DAY_MS)


class AuditDesign(NamedTuple):
    """How labels are audited.

    Attributes:
        flagged: Share of labels that look risky; they are wrong four times as often as the others.
        every_flagged: One of so many flagged labels is audited.
        every_other: One of so many others.
        correlation: Of errors of one person on one day: the share of wrong labels of a day is drawn (beta).
    """

    flagged: float
    every_flagged: int
    every_other: int
    correlation: float = 0.0

    @property
    def per_label(self) -> float:
        """Audits a label."""
        return self.flagged / self.every_flagged + (1 - self.flagged) / self.every_other


EVEN = AuditDesign(0.1, 10, 10)
BY_RISK = AuditDesign(0.1, 2, 20)
BY_DAY = AuditDesign(0.1, 10, 10, 0.02)


def audited(
    rng: np.random.Generator, name: str, span: tuple[int, int], labels: int, wrong: float, design: AuditDesign
) -> list[StandingLabel]:
    """Return the audited ones of somebody's labels, by time.

    Args:
        rng: Source of chance.
        name: Who.
        span: When, ms.
        labels: How many labels were made; those that nobody audited say nothing of accuracy and are left out.
        wrong: Share of them that is wrong.
        design: How they are audited.
    """
    made_ms = np.sort(rng.integers(span[0], span[1], labels))
    flagged = rng.random(labels) < design.flagged
    usual = _levels(rng, made_ms, wrong, design) / (1 + 3 * design.flagged)
    is_wrong = rng.random(labels) < np.where(flagged, 4 * usual, usual)
    every = np.where(flagged, design.every_flagged, design.every_other)
    taken = np.flatnonzero(rng.random(labels) * every < 1)
    times = made_ms[taken]
    first = sum(map(ord, name))
    kinds = (first + rng.integers(0, 2, len(taken))) % _KINDS
    return [
        StandingLabel(
            f"t{n}", f"l{n}", name, "", "", "", f"q{kind}", "P", int(at_ms), None, None, "x",
            StandingVerdict(bool(bad), False, "", "minor" if bad else "", "", int(weight) * _NANO, False),
        )
        for n, (at_ms, kind, bad, weight) in enumerate(
            zip(times, kinds, is_wrong[taken], every[taken], strict=True)
        )
    ]  # fmt: skip


def _levels(
    rng: np.random.Generator, made_ms: npt.NDArray[np.int64], wrong: float, design: AuditDesign
) -> float | npt.NDArray[np.float64]:
    """Return the share of wrong labels at each time."""
    if not design.correlation or not len(made_ms):
        return wrong
    days = made_ms // DAY_MS
    both = 1 / design.correlation - 1
    of_days = rng.beta(wrong * both, (1 - wrong) * both, int(days[-1] - days[0]) + 1)
    levels: npt.NDArray[np.float64] = of_days[days - days[0]]
    return levels


def volumes(rng: np.random.Generator, audits: float, design: AuditDesign, people: int = PEOPLE) -> list[int]:
    """Return how many labels each makes: log-normal, σ 0.75, with so many audits of each in the median."""
    found = np.exp(rng.normal(math.log(audits / design.per_label), 0.75, people))
    return [max(1, round(labels)) for labels in found]


def in_time(*people: Sequence[StandingLabel]) -> list[StandingLabel]:
    """Return the labels of several people by time."""
    return sorted((work for own in people for work in own), key=lambda work: work.time_ms)


class Named(NamedTuple):
    """One floor: how many people are named, how many of them meet the target, how many are bad and how many of these are named."""

    named: int
    falsely: int
    bad: int
    found: int

    @property
    def false_share(self) -> float:
        """Of those named, the share who meet the target; 0 where nobody is named."""
        return self.falsely / max(1, self.named)


def floor(rng: np.random.Generator, wrong: Sequence[float], audits: float, design: AuditDesign) -> Cohort:
    """Return a week of a floor of so many people, each with a share of wrong labels."""
    labels = volumes(rng, audits, design, len(wrong))
    own = [audited(rng, f"p{n}", _WEEK, labels[n], share, design) for n, share in enumerate(wrong)]
    return Cohort(in_time(*own), _WEEK, POLICY)


def named_on(crowd: Cohort, wrong: Sequence[float]) -> Named:
    """Return who is named for coaching on a floor of known truth."""
    names = crowd.judged.named
    bad = {f"p{n}" for n, share in enumerate(wrong) if share > 1 - TARGET + 1e-9}
    return Named(len(names), len(names - bad), len(bad), len(names & bad))


class Coached(NamedTuple):
    """Some people of a floor were coached: how many, and what is said of them two weeks later."""

    people: int
    recovered: int
    raw_better: int


def coached_on(
    rng: np.random.Generator,
    wrong: Sequence[float],
    later: Sequence[float],
    audits: float,
    design: AuditDesign,
    coached: Callable[[Cohort], Collection[str]],
) -> Coached:
    """Return what is said of people coached between two stretches of two weeks.

    Args:
        rng: Source of chance.
        wrong: Share of wrong labels of each before.
        later: The same after.
        audits: Audits a week of each in the median.
        design: How labels are audited.
        coached: Who is coached, of the cohort of the weeks before.
    """
    first, second = (BASE_MS - 14 * DAY_MS, BASE_MS), (BASE_MS, BASE_MS + 14 * DAY_MS)
    labels = volumes(rng, 2 * audits, design, len(wrong))
    then = [audited(rng, f"p{n}", first, labels[n], share, design) for n, share in enumerate(wrong)]
    now = [audited(rng, f"p{n}", second, labels[n], share, design) for n, share in enumerate(later)]
    names = coached(Cohort(in_time(*then), first, POLICY))
    crowd = Cohort(in_time(*then, *now), (second[1] - 7 * DAY_MS, second[1]), POLICY)
    steps = [Told(BASE_MS, step, "") for step in (CoachingStep.alerted, CoachingStep.coached)]
    people = recovered = better = 0
    for name in names:
        peers = crowd.untouched(crowd.peers_of(name), names)
        found = coaching_of(steps, crowd.works[name], crowd.end_ms, POLICY, peers)
        if found.recovery is None or found.recovery.missing:
            continue
        people += 1
        recovered += found.state is State.recovered
        change = found.recovery.change
        better += change is not None and change.low > 0
    return Coached(people, recovered, better)


def lowest(crowd: Cohort, people: int = 10) -> list[str]:
    """Return those whose own estimate is lowest among all with audits enough: whom a list of the worst would name."""
    enough = {
        name: one.best.value for name, one in crowd.accuracies.items() if one.best and one.seen[1] >= POLICY.min_audits
    }
    return sorted(enough, key=lambda name: (enough[name], name))[:people]


def unlike(rng: np.random.Generator, people: int = PEOPLE) -> list[float]:
    """Return shares of wrong labels of people who differ: beta, mean .05, standard deviation .03."""
    both = 0.05 * 0.95 / 0.03**2 - 1
    found: list[float] = rng.beta(0.05 * both, 0.95 * both, people).tolist()
    return found


_BAD = [0.12] * 15


def _floors() -> Iterator[tuple[str, Callable[[np.random.Generator], Sequence[float]], AuditDesign]]:
    yield "all at 95%", lambda _: [0.05] * PEOPLE, EVEN
    yield "all at 95%, audits by risk", lambda _: [0.05] * PEOPLE, BY_RISK
    yield "all at 95%, errors of a day correlated by .02", lambda _: [0.05] * PEOPLE, BY_DAY
    yield "15 at 88%, the others at 95%", lambda _: _BAD + [0.05] * (PEOPLE - 15), EVEN
    yield "unlike people (95% ± 3)", unlike, EVEN
    yield "unlike people (95% ± 3), audits by risk", unlike, BY_RISK


def _named_lines(rng: np.random.Generator, floors: int) -> Iterator[ReportLine]:
    for words, wrong_of, design in _floors():
        found = []
        for _ in range(floors):
            wrong = wrong_of(rng)
            found.append(named_on(floor(rng, wrong, 80, design), wrong))
        named, falsely = sum(one.named for one in found), sum(one.falsely for one in found)
        bad, hits = sum(one.bad for one in found), sum(one.found for one in found)
        if not bad:
            name = f"a week of 150 people, {words}: somebody is named for coaching"
            yield of_share(
                name, sum(one.named > 0 for one in found), floors, "at most", RATE, "the stated rate", row=13
            )
            name = f"a week of 150 people, {words}: named for coaching, a floor"
            yield of_count(name, falsely, floors, "at most", 1.1 * RATE, "the stated rate, several at once", row=13)
            continue
        name = f"a week of 150 people, {words}: of those named, meet the target"
        yield of_share(name, falsely, max(1, named), "at most", RATE, "the stated rate", row=13)
        if bad == floors * len(_BAD):
            name = "the same, 80 audits of each in the median: of those at 88%, named"
            yield of_share(name, hits, bad, "at least", 0.4, "shown")


class _Case(NamedTuple):
    """People who are coached: what they are before and after, how they are audited, who is picked."""

    words: str
    people: int
    change: float
    design: AuditDesign
    picked: int


_USELESS = (
    _Case("unlike people, the 5 lowest of 150", PEOPLE, 1.0, EVEN, 5),
    _Case("unlike people, the 5 lowest of 150, audits by risk", PEOPLE, 1.0, BY_RISK, 5),
    _Case("unlike people, the 5 lowest of 150, errors fall to 0.6 for all by a new tool", PEOPLE, 0.6, EVEN, 5),
    _Case("unlike people, the 6 lowest of 12", 12, 1.0, EVEN, 6),
)


_ALL_ALIKE = "useless coaching of the 5 lowest of 150, all at 95%: recovered"
_HELPED = "coaching from 85% to 97%, 240 audits before and after in the median: recovered"


def _recovery_lines(rng: np.random.Generator, floors: int) -> Iterator[ReportLine]:
    everybody = [0.05] * PEOPLE
    alike = [coached_on(rng, everybody, everybody, 60, EVEN, partial(lowest, people=5)) for _ in range(floors)]
    yield _recovered(_ALL_ALIKE, alike, "at most", TAIL, "the limits to judge by", row=13)
    for case in _USELESS:
        found = []
        for _ in range(floors if case.people == PEOPLE else 4 * floors):
            wrong = unlike(rng, case.people)
            later = [share * case.change for share in wrong]
            found.append(coached_on(rng, wrong, later, 60, case.design, partial(lowest, people=case.picked)))
        name = f"useless coaching: {case.words}: recovered"
        yield _recovered(name, found, "at most", TAIL, "the limits to judge by", row=13)
    bad, found = [f"p{n}" for n in range(5)], []
    for _ in range(floors):
        others = unlike(rng, PEOPLE - 5)
        found.append(coached_on(rng, [0.15] * 5 + others, [0.03] * 5 + others, 120, EVEN, lambda _: bad))
    yield _recovered(_HELPED, found, "at least", 0.5, "shown", row=None)


def _recovered(
    name: str, found: Sequence[Coached], sense: Sense, bound: float, source: str, row: int | None
) -> ReportLine:
    people = sum(one.people for one in found)
    return of_share(name, sum(one.recovered for one in found), max(1, people), sense, bound, source, row=row)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run floors of 150 people (40 at scale 1 for who is named, 40 for who recovers)."""
    rng = np.random.default_rng([seed, 13])
    floors = max(1, round(40 * scale))
    return [*_named_lines(rng, floors), *_recovery_lines(rng, floors)]
