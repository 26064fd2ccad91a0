"""How sure a difference is: intervals for differences of proportions and for shift-share effects. Pure."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal, NamedTuple

from streams.core.binomial import SEEN, TAIL, Z_95, Weighed, share_limits
from streams.core.multiplicity import FAMILY_ERROR
from streams.core.proportions import Interval, difference_of
from streams.core.rca.ratio_tally import RatioTally, without
from streams.core.rca.shift import Decomposition, Part

MIN_PART = 10
"""Fewer outcomes of a part in either window are called too few: the interval's normal approximation fails there."""

Verdict = Literal["evident", "alike", "noise", "few"]
"""``alike``: it moved the whole beyond chance, but no otherwise than everything else did."""


class JudgedEffect(NamedTuple):
    """A part's effect with its interval, in ratios, and what to call it."""

    low: float
    high: float
    verdict: Verdict


def difference_interval(
    one: RatioTally, other: RatioTally, *, tail: float = TAIL, seen: float = SEEN
) -> tuple[float, float]:
    """Interval of the difference of two independent proportions, one - other.

    Source: ``streams.core.proportions.difference_of``.

    Args:
        one: Good and all of the first; at least one outcome.
        other: Good and all of the second; at least one outcome.
        tail: Chance left out on each side.
        seen: 1 for an interval to judge by; as in ``streams.core.binomial``.

    Returns:
        (low, high) in -1..1.

    Raises:
        ValueError: A proportion of nothing.

    Example:
        >>> [round(end, 4) for end in difference_interval(RatioTally(56, 70), RatioTally(48, 80))]
        [0.0494, 0.3395]
    """
    if one.total <= 0 or other.total <= 0:
        raise ValueError(f"difference_interval({one}, {other}): a proportion of nothing has no interval")
    found = difference_of(_interval(one, tail, seen), _interval(other, tail, seen))
    return found.low, found.high


def _interval(tally: RatioTally, tail: float, seen: float) -> Interval:
    """Return a tally's share as if its outcomes were of one weight, for it does not know how weights scatter."""
    share, n = tally.share, tally.total
    good = tally.good if tally.weight is None else share * n
    return Interval(share, *share_limits(Weighed.plain(good), Weighed.plain(n - good), tail=tail, seen=seen))


def effect_error(found: Decomposition, part: Part) -> float:
    """Standard error of a part's effect, as a ratio.

    The effect is mean1[1_g(y - A0)] - mean0[1_g(y - A0)], a difference of two weighted sample means; A0 is the earlier
    window's own mean, so by the delta method an earlier outcome counts (1_g + w1 - w0)(y - A0). A weighted mean of z has
    the variance Σw²(z - mean)²/(Σw)² (linearised ratio: C.-E. Särndal, B. Swensson, J. Wretman 1992, Model Assisted
    Survey Sampling, section 5.7). Counts tell the mean weight of a part and of the rest, not how weights scatter inside:
    outcomes are taken as independent and of one weight there; clumps, and unlike weights in a part, make the true error
    larger.

    Args:
        found: The decomposition.
        part: One of its parts.
    """
    average = found.before.share
    gained = part.after.weights[1] / found.after.weights[1] - part.before.weights[1] / found.before.weights[1]
    later = _variance([(part.after, 1.0), (without(found.after, part.after), 0.0)], average)
    earlier = _variance([(part.before, 1.0 + gained), (without(found.before, part.before), gained)], average)
    return math.sqrt(later + earlier)


def _variance(groups: list[tuple[RatioTally, float]], average: float) -> float:
    """Variance of the weighted mean of factor·(y - average) over all outcomes, which the groups are.

    Shares are the posterior means under Jeffreys' prior (half an outcome each way), or a part without a single error
    would claim to be free of chance.
    """
    whole = sum(tally.weights[1] for tally, _ in groups)
    moments = []
    for tally, factor in groups:
        if tally.total:
            share = (tally.share * tally.total + 0.5) / (tally.total + 1)
            square = factor * factor * (share * (1 - average) ** 2 + (1 - share) * average**2)
            moments.append((tally.weights[1] / whole, tally.total, factor * (share - average), square))
    mean = sum(part * first for part, _, first, _ in moments)
    return sum(part * part / n * (square - 2 * mean * first + mean * mean) for part, n, first, square in moments)


def judge(found: Decomposition, part: Part) -> JudgedEffect:
    """Tell whether a part's effect is more than chance.

    Args:
        found: The decomposition.
        part: One of its parts.

    Returns:
        Its 95% interval, and "few" where either window has under 10 of its outcomes (a part that is new or gone is
        judged by the window it is in), "noise" where the interval widened for the number of parts (Bonferroni, 5% for
        the whole cut) holds 0, "alike" where its share became better or worse but so did everybody else's (``alike``),
        else "evident".
    """
    error, effect = effect_error(found, part), float(part.effect)
    counts = [tally.total for tally in (part.before, part.after) if tally.total]
    verdict: Verdict = "noise"
    if min(counts, default=0) < MIN_PART:
        verdict = "few"
    elif abs(effect) > family_z(len(found.parts)) * error:
        verdict = "alike" if alike(found, part) else "evident"
    return JudgedEffect(effect - Z_95 * error, effect + Z_95 * error, verdict)


def alike(found: Decomposition, part: Part) -> bool:
    """Tell whether a part changed as the rest did: then it carries its share of the change and explains nothing.

    A vendor that fails lowers the accuracy of every market it works for; what it does to no market is to make it fall more
    than the others beyond chance. So the part's change is held against the rest's, as a difference of two differences
    with independent samples (J. D. Angrist, J.-S. Pischke 2009, Mostly Harmless Econometrics, section 5.2), widened for the
    number of parts like the effect itself.

    Args:
        found: The decomposition.
        part: One of its parts.

    Returns:
        False where there is nothing to hold it against, or where it moved the whole by becoming a larger or smaller share.
    """
    before, after = without(found.before, part.before), without(found.after, part.after)
    sides = (part.before, part.after, before, after)
    if min(side.total for side in sides) < MIN_PART or abs(part.rate) < abs(part.effect) / 2:
        return False
    contrast = (part.after.share - part.before.share) - (after.share - before.share)
    error = math.sqrt(sum(_share_variance(side) for side in sides))
    return abs(contrast) <= family_z(len(found.parts)) * error


def _share_variance(tally: RatioTally) -> float:
    share = (tally.share * tally.total + 0.5) / (tally.total + 1)
    return share * (1 - share) / tally.total


def family_tail(parts: int) -> float:
    """Return the chance to leave out on each side that keeps that of any false "evident" among so many parts at 5%.

    Source: Bonferroni's inequality (Dunn, JASA 56, 1961).
    """
    return FAMILY_ERROR / (2 * max(1, parts))


def family_z(parts: int) -> float:
    """Return the normal quantile of ``family_tail``.

    Source: Bonferroni's inequality (Dunn, JASA 56, 1961).
    """
    return NormalDist().inv_cdf(1 - family_tail(parts))
