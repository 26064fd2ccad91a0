"""How sure a difference is: intervals for differences of proportions and for shift-share effects. Pure."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

from streams.core.tables import Z_95, wilson

if TYPE_CHECKING:
    from streams.core.rca.shift import Decomposition, Part

MIN_PART = 10
"""Fewer outcomes of a part in either window are called too few: the interval's normal approximation fails there."""

FAMILY_ERROR = 0.05
"""Chance that any part of a cut is called evident where nothing has changed (Bonferroni over the parts)."""

Verdict = Literal["evident", "noise", "few"]


class Tally(NamedTuple):
    """Good outcomes out of all."""

    good: int
    total: int


class Judged(NamedTuple):
    """A part's effect with its interval, in ratios, and what to call it."""

    low: float
    high: float
    verdict: Verdict


def difference_interval(one: Tally, other: Tally, z: float = Z_95) -> tuple[float, float]:
    """Interval of the difference of two independent proportions, one - other.

    Source: R. G. Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10
    (from the two Wilson intervals).

    Args:
        one: Good and all of the first; at least one outcome.
        other: Good and all of the second; at least one outcome.
        z: Normal quantile; the default gives 95%.

    Returns:
        (low, high) in -1..1.

    Raises:
        ValueError: A proportion of nothing.

    Example:
        >>> [round(end, 4) for end in difference_interval(Tally(56, 70), Tally(48, 80))]
        [0.0524, 0.3339]
    """
    low_one, high_one = wilson(one.good, one.total, z)
    low_other, high_other = wilson(other.good, other.total, z)
    if low_one is None or high_one is None or low_other is None or high_other is None:
        raise ValueError(f"difference_interval({one}, {other}): a proportion of nothing has no interval")
    p_one, p_other = one.good / one.total, other.good / other.total
    below = math.hypot(p_one - low_one, high_other - p_other)
    above = math.hypot(high_one - p_one, p_other - low_other)
    return p_one - p_other - below, p_one - p_other + above


def effect_error(found: Decomposition, part: Part) -> float:
    """Standard error of a part's effect, as a ratio.

    The effect is mean1[1_g(y - A0)] - mean0[1_g(y - A0)], a difference of two sample means; A0 is the earlier window's
    own mean, so by the delta method an earlier outcome weighs (1_g + w1 - w0)(y - A0). Outcomes are taken as
    independent; errors that come in clumps make the true error larger.

    Args:
        found: The decomposition.
        part: One of its parts.
    """
    before, after = found.before, found.after
    average = before.good / before.total
    gained = part.after.total / after.total - part.before.total / before.total
    later = _variance(after.total, [(part.after, 1.0)], average)
    rest = Tally(before.good - part.before.good, before.total - part.before.total)
    earlier = _variance(before.total, [(part.before, 1.0 + gained), (rest, gained)], average)
    return math.sqrt(later / after.total + earlier / before.total)


def _variance(total: int, groups: list[tuple[Tally, float]], average: float) -> float:
    """Variance of weight·(y - average) over outcomes, those outside the groups counting 0.

    Shares are the posterior means under Jeffreys' prior (half an outcome each way), or a part without a single error
    would claim to be free of chance.
    """
    first = second = 0.0
    for tally, weight in groups:
        if not tally.total:
            continue
        share = (tally.good + 0.5) / (tally.total + 1)
        mean = weight * (share - average)
        square = weight * weight * (share * (1 - average) ** 2 + (1 - share) * average**2)
        first += mean * tally.total / total
        second += square * tally.total / total
    return max(0.0, second - first * first)


def judge(found: Decomposition, part: Part) -> Judged:
    """Tell whether a part's effect is more than chance.

    Args:
        found: The decomposition.
        part: One of its parts.

    Returns:
        Its 95% interval, and "few" where either window has under 10 of its outcomes (a part that is new or gone is
        judged by the window it is in), "evident" where the interval widened for the number of parts (Bonferroni,
        5% for the whole cut) leaves out 0, else "noise".
    """
    error, effect = effect_error(found, part), float(part.effect)
    counts = [tally.total for tally in (part.before, part.after) if tally.total]
    verdict: Verdict = "noise"
    if min(counts, default=0) < MIN_PART:
        verdict = "few"
    elif abs(effect) > family_z(len(found.parts)) * error:
        verdict = "evident"
    return Judged(effect - Z_95 * error, effect + Z_95 * error, verdict)


def family_z(parts: int) -> float:
    """Return the normal quantile that keeps the chance of any false "evident" among so many parts at 5%."""
    return NormalDist().inv_cdf(1 - FAMILY_ERROR / (2 * max(1, parts)))
