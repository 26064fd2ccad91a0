"""Which part of each kind of work to audit, so that an estimate is as exact as the audits allow.

A stratum is a kind of work, such as one vendor's flagged labels of one policy. Audits are drawn label by label with the probability of
the stratum (Poisson sampling), so the number audited varies a little. Neyman's allocation (Journal of the Royal Statistical Society 97,
1934) gives each stratum audits in proportion to its labels times the standard deviation of its verdicts, divided by the root of what an
audit costs there. Its whole numbers are those of Wright (The American Statistician 66, 2012). What a plan then promises is read off the
product's own weighted interval at the expected verdicts, not off Neyman's variance.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

from floorwatch.analysis.audits.sizes import ASSURANCE, POWER, OutOfReach
from streams.core.binomial import Weighed
from streams.core.proportions import WeightedShare, weighted_share

LEAST_PROBABILITY = 0.001
"""Less is not planned: the detectors count a smaller π as 0.00091 (docs/statistics.md)."""

_FLOORS = (0.0, 0.25, 0.5, 0.75, 1.0)


class AuditStratum(NamedTuple):
    """One kind of work.

    Attributes:
        key: What it is, e.g. ("bpo-a", "hate", "flagged").
        labels: Labels expected in the time the plan is for.
        wrong: Expected share of wrong ones, 0..1, not 0: a stratum without a known error is not free of them.
        cost: What one audit costs, in any unit.
        least: Least probability to audit with, 0..1.
    """

    key: tuple[str, ...]
    labels: int
    wrong: float
    cost: float = 1.0
    least: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of a verdict."""
        return math.sqrt(self.wrong * (1 - self.wrong))


class Planned(NamedTuple):
    """One stratum of a plan: how many audits are expected, and the probability that makes them."""

    stratum: AuditStratum
    audits: int

    @property
    def probability(self) -> float:
        """The sampling probability π of each label, 0..1."""
        return self.audits / self.stratum.labels


class Plan(NamedTuple):
    """Audits of every stratum, and what the product will show of them.

    Attributes:
        strata: In the order given.
        accuracy: Expected accuracy over all of them.
        half_width: Half the width of the 95% interval, which is not passed with the chance ``assurance``.
        assurance: That chance.
    """

    strata: tuple[Planned, ...]
    accuracy: float
    half_width: float
    assurance: float

    @property
    def audits(self) -> int:
        """Audits expected."""
        return sum(one.audits for one in self.strata)

    @property
    def cost(self) -> float:
        """What they cost."""
        return sum(one.audits * one.stratum.cost for one in self.strata)


def least_audits(stratum: AuditStratum, minimum: int, floor: float = 0.0) -> int:
    """Return how many audits a stratum has at least, whatever the goal: no more than its labels.

    Args:
        stratum: The stratum; its own least probability counts, too.
        minimum: Least audits; one in any case.
        floor: Least probability, 0..1; ``LEAST_PROBABILITY`` in any case.
    """
    share = max(floor, stratum.least, LEAST_PROBABILITY)
    return min(stratum.labels, max(1, minimum, math.ceil(stratum.labels * share - 1e-9)))


def neyman(strata: Sequence[AuditStratum], audits: int, *, minimum: int = 0, floor: float = 0.0) -> tuple[Planned, ...]:
    """Return how many audits each stratum gets of a number of them: Neyman's allocation in whole numbers.

    Args:
        strata: Each with at least one label.
        audits: Together; more than there are labels audits all.
        minimum: Least audits of each stratum, or all of its labels.
        floor: Least probability, 0..1, beside each stratum's own. These lower bounds come first, whatever ``audits`` is.

    Returns:
        One for each, in the same order.

    Example:
        >>> flagged, approved = AuditStratum(("flagged",), 1_000, 0.2), AuditStratum(("approved",), 9_000, 0.02)
        >>> [one.audits for one in neyman([flagged, approved], 500)]
        [120, 380]
    """
    lows = [least_audits(one, minimum, floor) for one in strata]
    worth = [one.labels * one.spread / math.sqrt(one.cost) for one in strata]
    total = min(audits, sum(one.labels for one in strata))

    def shares(scale: float) -> list[float]:
        return [
            min(float(one.labels), max(float(low), scale * each))
            for one, low, each in zip(strata, lows, worth, strict=True)
        ]

    high = 1.0
    while sum(shares(high)) < total and high < 1e12:
        high *= 2
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(shares(middle)) < total else (low, middle)
    given = [max(least, math.floor(part) - 1) for least, part in zip(lows, shares(low), strict=True)]
    _share_out(total - sum(given), given, strata, worth)
    return tuple(Planned(one, number) for one, number in zip(strata, given, strict=True))


def _share_out(left: int, given: list[int], strata: Sequence[AuditStratum], worth: Sequence[float]) -> None:
    """Give the audits that are left one by one to the stratum in which the next lowers the variance most."""

    def priority(at: int) -> tuple[float, int]:
        return (-worth[at] / math.sqrt(given[at] * (given[at] + 1)), at)

    waiting = [priority(at) for at in range(len(strata)) if given[at] < strata[at].labels]
    heapq.heapify(waiting)
    while left > 0 and waiting:
        _, at = heapq.heappop(waiting)
        given[at] += 1
        left -= 1
        if given[at] < strata[at].labels:
            heapq.heappush(waiting, priority(at))


def expected(planned: Sequence[Planned], scale: float = 1.0) -> WeightedShare:
    """Return the estimate that the product shows of a plan's audits where the verdicts are as expected.

    Source: ``streams.core.proportions.weighted_share``.

    Args:
        planned: Strata with their audits, at least one.
        scale: The wrong ones times this.
    """
    good = bad = (0.0, 0.0)
    largest = 0.0
    for stratum, audits in planned:
        weight = stratum.labels / audits
        wrong = min(1.0, stratum.wrong * scale) * audits
        good = (good[0] + (audits - wrong) * weight, good[1] + (audits - wrong) * weight * weight)
        bad = (bad[0] + wrong * weight, bad[1] + wrong * weight * weight)
        largest = max(largest, weight)
    found = weighted_share(Weighed(*good, largest), Weighed(*bad, largest))
    if found is None:
        raise ValueError("a plan without strata has no estimate")
    return found


def half_width_of(planned: Sequence[Planned], assurance: float = ASSURANCE) -> float:
    """Return the half-width that the product's interval does not pass with a chance, as a ratio.

    The width goes with √V/W, V = Σw² of the wrong ones and W = Σw of all. Both are sums of Poisson numbers; the quantile of V is that
    of a gamma variable with the same mean and a variance that also holds the part of W (Wilson & Hilferty, PNAS 17, 1931).
    """
    mean = sum(one.stratum.labels * one.stratum.wrong / one.probability for one in planned)
    variance = sum(one.stratum.labels * one.stratum.wrong / one.probability**3 for one in planned)
    labels = sum(one.stratum.labels for one in planned)
    variance += 4 * (mean / labels) ** 2 * sum(one.stratum.labels / one.probability for one in planned)
    found = expected(planned, _quantile(mean, variance, assurance) / mean).estimate
    return (found.high - found.low) / 2


def _quantile(mean: float, variance: float, chance: float) -> float:
    """Return a quantile of a gamma variable, by the cube-root approximation."""
    part = variance / (9 * mean * mean)
    return float(mean * max(0.0, 1 - part + NormalDist().inv_cdf(chance) * math.sqrt(part)) ** 3)


def seen_below(planned: Sequence[Planned], accuracy: float, target: float, power: float = POWER) -> bool:
    """Tell whether the product judges work of a lower accuracy below the target with a chance.

    The wrong ones are taken at the quantile that they pass with that chance, each stratum worse in the same proportion.

    Args:
        planned: Strata with their audits.
        accuracy: The true accuracy that should be seen, 0..1.
        target: The target, 0..1.
        power: The chance, 0..1.
    """
    usual = 1 - expected(planned).estimate.value
    times = (1 - accuracy) / usual
    worse = [one._replace(stratum=one.stratum._replace(wrong=min(1.0, one.stratum.wrong * times))) for one in planned]
    mean = sum(one.stratum.labels * one.stratum.wrong for one in worse)
    # The total weight varies with the sample, too; of the ratio only the part (1 − wrong) of each wrong one's variance is left.
    variance = sum(one.stratum.labels * one.stratum.wrong * (1 - one.stratum.wrong) / one.probability for one in worse)
    _, high = expected(worse, _quantile(mean, variance, 1 - power) / mean).limits()
    return high < target


def narrowest(strata: Sequence[AuditStratum], audits: int, *, minimum: int = 0, assurance: float = ASSURANCE) -> Plan:
    """Return the plan with so many audits whose interval is narrowest.

    Neyman's allocation leaves strata that are hardly ever wrong nearly unaudited. One more error there would weigh much, and the
    product's interval allows for it. So lower bounds of the probability from 0 to one half and all of the even share are tried.

    Args:
        strata: Each with at least one label.
        audits: Together.
        minimum: Least audits of each stratum.
        assurance: Chance that the interval is no wider.
    """
    even = min(1.0, audits / sum(one.labels for one in strata))
    tried = [neyman(strata, audits, minimum=minimum, floor=part * even) for part in _FLOORS]
    fitting = [one for one in tried if sum(each.audits for each in one) <= max(audits, sum(p.audits for p in tried[0]))]
    width, best = min(((half_width_of(one, assurance), at) for at, one in enumerate(fitting)))
    return Plan(fitting[best], expected(fitting[best]).estimate.value, width, assurance)


def for_half_width(
    strata: Sequence[AuditStratum], wanted: float, *, minimum: int = 0, assurance: float = ASSURANCE
) -> Plan:
    """Return the plan with the fewest audits whose interval is no wider than wanted, with a chance.

    Args:
        strata: Each with at least one label.
        wanted: Half-width as a ratio, more than 0.
        minimum: Least audits of each stratum.
        assurance: The chance.

    Raises:
        OutOfReach: Auditing everything is too little; the message says what that gives.
    """

    def meets(audits: int) -> bool:
        return narrowest(strata, audits, minimum=minimum, assurance=assurance).half_width <= wanted

    labels = sum(one.labels for one in strata)
    if not meets(labels):
        width = narrowest(strata, labels, minimum=minimum, assurance=assurance).half_width
        raise OutOfReach(
            f"auditing all {labels:,} labels gives an interval of {200 * width:.2f} points: "
            f"they are a sample of the labeller's work, too"
        )
    return narrowest(strata, _fewest(meets, labels), minimum=minimum, assurance=assurance)


def for_power(
    strata: Sequence[AuditStratum],
    accuracy: float,
    target: float,
    *,
    power: float = POWER,
    minimum: int = 0,
    assurance: float = ASSURANCE,
) -> Plan:
    """Return the plan with the fewest audits that judges work of a lower accuracy below the target, with a chance.

    Args:
        strata: Each with at least one label.
        accuracy: The true accuracy that should be seen, below the target, 0..1.
        target: The target, 0..1.
        power: The chance.
        minimum: Least audits of each stratum.
        assurance: Of the interval that is told.

    Raises:
        OutOfReach: The accuracy is not below the target, or auditing everything does not see it.
    """
    if accuracy >= target:
        raise OutOfReach(f"{100 * accuracy:g}% is not below the target of {100 * target:g}%")

    def meets(audits: int) -> bool:
        planned = narrowest(strata, audits, minimum=minimum, assurance=assurance).strata
        return seen_below(planned, accuracy, target, power)

    labels = sum(one.labels for one in strata)
    if not meets(labels):
        raise OutOfReach(
            f"auditing all {labels:,} labels does not see {100 * accuracy:g}% with a chance of {100 * power:g}%"
        )
    return narrowest(strata, _fewest(meets, labels), minimum=minimum, assurance=assurance)


def _fewest(meets: Callable[[int], bool], most: int) -> int:
    """Return the least number for which something holds that goes on holding."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high
