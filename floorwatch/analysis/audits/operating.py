"""The operating characteristic of an acceptance sampling plan: how probably a lot is accepted, by its true share of wrong labels.

Source: ISO 2859-1:1999, clause 12, by the binomial distribution (its Tables 10) and the hypergeometric one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from floorwatch.analysis.audits.iso2859 import AcceptancePlan
from streams.core.binomial import chance_of_so_few

_STEPS = (1, 2, 2.5, 5, 10)
_MARKS = (0.99, 0.95, 0.9, 0.5, 0.1, 0.05)
_NEVER = 0.005


class CurvePoint(NamedTuple):
    """One point of the curve.

    Attributes:
        wrong: Wrong labels of the lot.
        share: Share of wrong labels in the work, 0..1, for which the point stands; ``wrong`` is the nearest whole number of a lot.
        lot_accepted: Probability that a lot with so many is accepted (hypergeometric; type A).
        process_accepted: Probability for lots out of work that is wrong with this probability (binomial; type B).
    """

    wrong: int
    share: float
    lot_accepted: float
    process_accepted: float


class Characteristic(NamedTuple):
    """What a plan promises to both sides.

    Attributes:
        points: The curve, by growing share.
        risk_at_aql: Probability that work exactly at the AQL is not accepted (producer's risk), by the binomial distribution.
        shares: Share wrong at which work is accepted with probability .99, .95, .90, .50, .10 and .05.
    """

    points: tuple[CurvePoint, ...]
    risk_at_aql: float
    shares: dict[float, float]


def chance_accepted(size: int, accept: int, share: float) -> float:
    """Return the probability that a sample out of endless work accepts.

    Source: the binomial distribution.

    Args:
        size: Labels of the sample.
        accept: Most wrong ones.
        share: How often the work is wrong, 0..1.
    """
    return chance_of_so_few(min(accept, size), size, share)


def lot_chance_accepted(lot: int, wrong: int, size: int, accept: int) -> float:
    """Return the probability that a sample of a lot with so many wrong labels accepts.

    Source: the hypergeometric distribution.

    Args:
        lot: Labels of the lot.
        wrong: How many of them are wrong.
        size: Labels of the sample.
        accept: Most wrong ones in the sample.
    """
    least, most = max(0, size - (lot - wrong)), min(accept, size, wrong)
    if least > most:
        return 0.0
    # One label after the other, the wrong ones first: ratios stay exact where factorials of a large lot cancel to nothing.
    chance = math.lgamma(size + 1) - math.lgamma(least + 1) - math.lgamma(size - least + 1)
    chance += math.fsum(math.log((wrong - at) / (lot - at)) for at in range(least))
    chance += math.fsum(math.log((lot - wrong - at) / (lot - least - at)) for at in range(size - least))
    chances = [chance]
    for found in range(least, most):
        ways = (wrong - found) * (size - found)
        chance += math.log(ways / ((found + 1) * (lot - wrong - size + found + 1)))
        chances.append(chance)
    return min(1.0, math.fsum(math.exp(one) for one in chances))


def share_accepted_with(size: int, accept: int, chance: float) -> float:
    """Return the share wrong, 0..1, at which a sample accepts with a probability; found by halving, to 1e-12."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if chance_accepted(size, accept, middle) > chance else (low, middle)
    return (low + high) / 2


def characteristic(plan: AcceptancePlan, points: int = 20) -> Characteristic:
    """Return the operating characteristic of a plan.

    Args:
        plan: The plan.
        points: About how many points of the curve, evenly apart up to where acceptance has a probability below .005.
    """
    last = min(1.0, share_accepted_with(plan.size, plan.accept, _NEVER))
    step = _round_up(last / points)
    shares = [step * at for at in range(points + 2) if step * (at - 1) < last and step * at <= 1]
    found = []
    for share in shares:
        wrong = round(share * plan.lot)
        found.append(
            CurvePoint(
                wrong,
                share,
                lot_chance_accepted(plan.lot, wrong, plan.size, plan.accept),
                chance_accepted(plan.size, plan.accept, share),
            )
        )
    risk = 1 - chance_accepted(plan.size, plan.accept, plan.aql / 100)
    marks = {chance: share_accepted_with(plan.size, plan.accept, chance) for chance in _MARKS}
    return Characteristic(tuple(found), risk, marks)


def _round_up(value: float) -> float:
    """Return the next round number: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))
