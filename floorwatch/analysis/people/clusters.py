"""Errors of one person on one day resemble each other: how much, and what that leaves of the evidence.

A tired day, a batch of one kind, an auditor in a severe mood: audits of one day are worth less than as many independent ones. Taken as
independent they name people falsely: of 150 people on target whose errors of a day are correlated by .05, 3.7 a week.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from floorwatch.analysis.people.standing_labels import StandingLabel
from streams.core.policy import DAY_MS


class DayClusters(NamedTuple):
    """What one person's audits say of how days differ; w is 1/π, or 1 where assumed random, and y whether a label is wrong.

    Attributes:
        excess: Σ over days of (Σw(y − p))², less what independent audits would have, over Σw².
        pairs: What a correlation of 1 would add to that.
        size: Audits of a day, as days weigh: Σ over days of (Σw)² over Σw²; 1 or more.
    """

    excess: float
    pairs: float
    size: float

    def scatter(self, correlation: float) -> float:
        """Return how many times as much the accuracy scatters as with independent audits (design effect).

        Source: Kish, Survey Sampling, 1965, section 5.4: 1 + (size − 1)·correlation.
        """
        return 1 + (self.size - 1) * correlation


def day_clusters(works: Iterable[StandingLabel]) -> DayClusters:
    """Return how one person's errors scatter over days (UTC), by the audits that the accuracy is of.

    Source: the moments of Σw(y − p) of a day with p estimated by the same audits (Fleiss, Levin & Paik, Statistical Methods for Rates
    and Proportions, 2003, section 15.2, with weights).
    """
    classes: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for work in works:
        verdict = work.judged
        if verdict is None or verdict.technical or verdict.targeted:
            continue
        weight = verdict.weight_nano or 1
        sums = classes[bool(verdict.weight_nano)].setdefault(work.time_ms // DAY_MS, [0, 0, 0, 0])
        for at, part in enumerate((weight, weight * verdict.wrong, weight * weight, weight * weight * verdict.wrong)):
            sums[at] += part
    days = sorted((classes[True] or classes[False]).items())
    if not days:
        return DayClusters(0.0, 0.0, 1.0)
    whole, wrong, squares, wrong_squares = (sum(sums[at] for _, sums in days) for at in range(4))
    of_days = sum(sums[0] ** 2 for _, sums in days)
    share = wrong / whole
    alone = ((1 - share) ** 2 * wrong_squares + share**2 * (squares - wrong_squares)) / squares
    together = sum((sums[1] - share * sums[0]) ** 2 for _, sums in days) / squares
    pairs = share * (1 - share) * (of_days / squares - 1)
    # Days scatter less around the own mean than around the true one, by the part of the whole that they are.
    return DayClusters(
        together - alone + pairs * squares / whole**2, pairs * (1 - of_days / whole**2), of_days / squares
    )


def correlation_of(people: Iterable[DayClusters]) -> float:
    """Return the correlation of errors within a day over all people of a floor; 0 where nothing shows it.

    Source: the ratio of the sums of moments, as in ``day_clusters``.
    """
    excess = pairs = 0.0
    for one in people:
        excess += one.excess
        pairs += one.pairs
    return min(1.0, max(0.0, excess / pairs)) if pairs > 0 else 0.0
