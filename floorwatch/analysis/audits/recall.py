"""The least probability with which to audit items that were not flagged, so that the interval of recall stays as wanted.

What recall does not know lies in the items that were not flagged: a miss is only found among them. So their π decides.

Source: the intervals of ``streams.core.proportions.recall_of`` at quantiles of the number of misses found.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from floorwatch.analysis.audits.allocation import LEAST_PROBABILITY
from floorwatch.analysis.audits.sizes import ASSURANCE, OutOfReach
from streams.core.binomial import WeightClass
from streams.core.proportions import Recall, recall_of

_STEP = 1.02
_FORWARD = 60


class FlaggedWork(NamedTuple):
    """What is expected of the labels that a plan is for.

    Attributes:
        flagged: Labels that flag their item.
        right: Expected share of these that deserve it (precision), 0..1.
        flagged_probability: With which they are audited, 0..1.
        approved: Labels that do not flag their item.
        missed: Expected share of these that should have, 0..1.
    """

    flagged: int
    right: float
    flagged_probability: float
    approved: int
    missed: float

    @property
    def recall(self) -> float:
        """The recall that these shares come to, 0..1."""
        found, missed = self.flagged * self.right, self.approved * self.missed
        return found / (found + missed) if found + missed else 1.0


class RecallPlan(NamedTuple):
    """What the approved items must be audited with.

    Attributes:
        probability: The least π, 0..1.
        recall: The recall expected.
        low: Lower end of the 95% interval of recall, which is not passed with the chance asked for.
        half_width: Half the width of that interval, likewise.
    """

    probability: float
    recall: float
    low: float
    half_width: float


def recall_interval(work: FlaggedWork, audits: int, missed: int) -> Recall | None:
    """Return the interval that the product shows where so many of the audited approved items turn out missed.

    Source: ``streams.core.proportions.recall_of``.

    Args:
        work: The flagged items are taken as expected.
        audits: Of approved items.
        missed: How many of these should have been flagged.
    """
    checked = max(1, round(work.flagged * work.flagged_probability))
    found = WeightClass(checked, round(checked * (1 - work.right)), work.flagged)
    return recall_of([found], [WeightClass(audits, min(audits, missed), work.approved)])


def outlook(work: FlaggedWork, audits: int, assurance: float = ASSURANCE) -> tuple[float, float]:
    """Return the lower end and the half-width that so many audits of approved items keep to, each with the chance ``assurance``.

    The number of misses found is a Poisson number. The lower end falls with it, so it is looked at for one quantile. The width may grow
    on either side, so it is looked at for two, which leave out half as much each.
    """
    mean = audits * work.missed
    chances = (assurance, (1 + assurance) / 2, (1 - assurance) / 2)
    ends = [recall_interval(work, audits, _poisson_quantile(mean, chance)) for chance in chances]
    known = [one for one in ends if one is not None]
    if len(known) < len(ends):
        return 0.0, 0.5
    return known[0].low, max((one.high - one.low) / 2 for one in known)


def _poisson_quantile(mean: float, chance: float) -> int:
    """Return the least number that a Poisson number stays at or below with a chance."""
    if mean > 500:
        spread = math.sqrt(1 / (9 * mean))
        return max(0, math.ceil(mean * (1 - spread * spread + NormalDist().inv_cdf(chance) * spread) ** 3))
    term = total = math.exp(-mean)
    number = 0
    while total < chance and number < 10_000:
        number += 1
        term *= mean / number
        total += term
    return number


def least_probability(
    work: FlaggedWork,
    *,
    at_least: float | None = None,
    half_width: float | None = None,
    assurance: float = ASSURANCE,
) -> RecallPlan:
    """Return the least π of approved items that keeps the interval of recall, with a chance.

    Args:
        work: What is expected.
        at_least: The lower end wanted, 0..1.
        half_width: The half-width wanted, as a ratio.
        assurance: The chance.

    Raises:
        OutOfReach: Auditing all of them is too little, or the recall expected is not above the lower end wanted.
    """
    if at_least is not None and work.recall <= at_least:
        raise OutOfReach(
            f"a recall of {work.recall:.1%} is expected, so its interval will not lie above {at_least:.1%}"
        )

    def holds(audits: int) -> bool:
        low, width = outlook(work, audits, assurance)
        return (at_least is None or low >= at_least) and (half_width is None or width <= half_width)

    if work.approved < 1 or not holds(work.approved):
        low, width = outlook(work, max(1, work.approved), assurance)
        raise OutOfReach(
            f"auditing all {work.approved:,} approved labels gives a recall of at least {low:.1%}, "
            f"in an interval of {200 * width:.1f} points"
        )
    tried = max(1, math.ceil(work.approved * LEAST_PROBABILITY))
    found, held = work.approved, 0
    while tried < work.approved:
        if holds(tried):
            found, held = (tried if held == 0 else found), held + 1
            if held > _FORWARD:
                break
        else:
            found, held = work.approved, 0
        tried = max(tried + 1, math.ceil(tried * _STEP))
    low, width = outlook(work, found, assurance)
    return RecallPlan(found / work.approved, work.recall, low, width)
