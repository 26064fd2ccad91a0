"""The accuracy of one person's audited labels and what can be said of it against the target."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.sampled import SampledAudits
from floorwatch.analysis.people.standing_labels import StandingLabel
from streams.core.binomial import Limits
from streams.core.proportions import Interval, WeightedShare, proportion, trials_for


class TargetStanding(str, Enum):
    """What can be said of an accuracy against the target."""

    too_few = "too_few"
    below = "below"
    on_target = "on_target"
    unclear = "unclear"
    """Enough audits for an interval, and the target lies inside it."""


class PlainAudits(NamedTuple):
    """Audits as if each had the same weight, so neither number need be whole."""

    right: float
    judged: float

    def over(self, scatter: float) -> PlainAudits:
        """Return how many independent ones they are worth, where they scatter so many times as much.

        Source: the design effect of Kish, Survey Sampling, 1965, section 5.4.
        """
        return PlainAudits(self.right / scatter, self.judged / scatter)


class Accuracy(NamedTuple):
    """Accuracy of one person's audited labels; technical errors are in no part of it.

    Attributes:
        judged: Audited labels.
        correct: Right ones.
        raw: correct/judged with its 95% interval.
        drawn: The same over labels that were drawn at random, each counted alike; where no sampling probability is known it is
            what ``standing`` is of.
        weighted: Hájek's with its 95% interval, over audits whose sampling probability is known.
        scatter: How many times as much the estimate scatters as with independent audits, for errors of one day resemble each
            other: its interval, ``standing`` and ``missing`` allow for it.
        effective: How many plain audits the weighted one is worth.
        targeted: Labels whose audits say how they were chosen, and no probability, and planted items: in ``raw`` only.
        targeted_correct: Of these, labels that were right.
        technical: Audited labels with technical errors, left out.
        gold: (correct, judged) on tasks whose answer was known; they are in ``raw`` too.
        labels: Labels in all, but for those with technical errors.
        stand_for: For how many of them the audits stand whose sampling probability is known, Σ1/π.
        awaits_audits: That is surely less than half of them, so most audits are still to come, or most work is never audited:
            ``standing`` is ``too_few``, for flagged work is often audited within the hour and the rest days later.
        standing: What can be said, by the limits to judge by: of ``weighted`` where any sampling probability is known, even
            if those audits are too few, for targeted ones are no sample; else of those assumed to be random.
        by_weight: ``standing`` is of the weighted one.
        missing: About how many more audits an interval of ±``wanted_half_width_ratio`` takes.
        seen: (right, judged) of the audits that ``standing`` is of.
        audits: What these audits are worth in plain ones, for pooling with peers.
    """

    judged: int
    correct: int
    raw: Interval | None
    drawn: Interval | None
    weighted: Interval | None
    scatter: float
    effective: float
    targeted: int
    targeted_correct: int
    technical: int
    gold: tuple[int, int]
    labels: int
    stand_for: float
    awaits_audits: bool
    standing: TargetStanding
    by_weight: bool
    missing: int
    seen: tuple[int, int]
    audits: PlainAudits

    @property
    def best(self) -> Interval | None:
        """The estimate that ``standing`` is of."""
        return self.weighted if self.by_weight else self.drawn


def accuracy_of(works: Iterable[StandingLabel], policy: PeoplePolicy, scatter: float = 1.0) -> Accuracy:
    """Return the accuracy of some labels and what can be said of it.

    Args:
        works: Labels of one person.
        policy: Bounds.
        scatter: How many times as much the accuracy scatters as with independent audits (``clusters.DayClusters.scatter``).
    """
    judged, correct, technical, gold, gold_correct = 0, 0, 0, 0, 0
    targeted, targeted_correct, labels = 0, 0, 0
    sums = SampledAudits()
    for work in works:
        verdict = work.judged
        labels += verdict is None or not verdict.technical
        if verdict is None:
            continue
        if verdict.technical:
            technical += 1
            continue
        right = not verdict.wrong
        judged += 1
        correct += right
        targeted += verdict.targeted
        targeted_correct += right and verdict.targeted
        sums.add(verdict)
        if verdict.gold:
            gold += 1
            gold_correct += right
    share = sums.share(weighted=sums.sampled)
    best = share.shown(scatter) if share is not None else None
    drawn = proportion(correct - targeted_correct, judged - targeted) if sums.sampled else best
    size = share.worth if share is not None else 0.0
    stand_for = sums.stand_for()
    awaits_audits = sums.sampled and stand_for.awaited(labels)
    limits = share.limits(scatter=scatter) if share is not None else (0.0, 1.0)
    return Accuracy(
        judged=judged,
        correct=correct,
        raw=proportion(correct, judged),
        drawn=drawn,
        weighted=best if sums.sampled else None,
        scatter=scatter,
        effective=size if sums.sampled else 0.0,
        targeted=targeted,
        targeted_correct=targeted_correct,
        technical=technical,
        gold=(gold_correct, gold),
        labels=labels,
        stand_for=stand_for.labels,
        awaits_audits=awaits_audits,
        standing=TargetStanding.too_few if awaits_audits else standing_of(limits, size, policy),
        by_weight=sums.sampled,
        missing=_missing(best, size, scatter, policy),
        seen=sums.counts(weighted=sums.sampled),
        audits=effective_audits(share, sums.counts(weighted=sums.sampled)[1]),
    )


def effective_audits(share: WeightedShare | None, audits: int) -> PlainAudits:
    """Return how many plain audits, and how many right ones of them, say as much as weighted ones.

    As many as give the variance of Hájek's estimate, Σw²(y − p)²/(Σw)². One right and one wrong label of the largest weight are
    added for it and taken away after it, for a sample without errors has a variance too; never more than there are audits. With
    one weight it is the counts themselves. An approximation: the posterior it leads to is measured in docs/people.md.

    Source: Särndal, Swensson & Wretman, Model Assisted Survey Sampling, 1992, section 5.7, for the variance.

    Args:
        share: The weighted share; None is no audits.
        audits: How many audits it is of.
    """
    if share is None:
        return PlainAudits(0.0, 0.0)
    good, bad = share.good.one_more(), share.bad.one_more()
    total = good.total + bad.total
    right = good.total / total
    variance = ((1 - right) ** 2 * good.squares + right**2 * bad.squares) / total**2
    judged = min(float(audits), max(0.0, right * (1 - right) / variance - 2))
    return PlainAudits(share.estimate.value * judged, judged)


def _missing(best: Interval | None, size: float, scatter: float, policy: PeoplePolicy) -> int:
    # Two right and two wrong are added (Agresti & Coull 1998), because no errors so far does not mean that there will
    # be none.
    share = (best.value * size + 2) / (size + 4) if best is not None else policy.accuracy_target_ratio
    wanted = max(policy.min_audits, math.ceil(trials_for(share, policy.wanted_half_width_ratio) * scatter))
    return max(0, wanted - int(size))


def standing_of(limits: Limits, size: float, policy: PeoplePolicy) -> TargetStanding:
    """Return what can be said of a share whose limits to judge by come from ``size`` audits.

    Source: ``streams.core.binomial``: ``below`` is wrong with at most 2.5% of people who meet the target, ``on_target`` with at most
    2.5% of those who do not, with at least five expected audits in every way of drawing (docs/statistics.md).
    """
    low, high = limits
    if size < policy.min_audits:
        return TargetStanding.too_few
    if high < policy.accuracy_target_ratio:
        return TargetStanding.below
    return TargetStanding.on_target if low >= policy.accuracy_target_ratio else TargetStanding.unclear
