"""Statistics of few counts: intervals, differences, risk ratios, trends. Pure; ratios in 0..1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.tables import Z_95


class Interval(NamedTuple):
    """An estimate and the two ends of its 95% interval."""

    value: float
    low: float
    high: float


def wilson_of(share: float, trials: float, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval for a share seen in a possibly fractional number of trials.

    Source: Wilson, JASA 22 (1927); with an effective sample size in the place of n: Korn & Graubard, Survey Methodology
    24 (1998).

    Args:
        share: The estimate, 0..1.
        trials: Number of trials, more than 0; an effective number for a weighted share.
        z: Normal quantile.

    Example:
        >>> [round(end, 3) for end in wilson_of(0.95, 100)]
        [0.888, 0.978]
    """
    z2 = z * z
    centre = share + z2 / (2 * trials)
    spread = z * math.sqrt(max(0.0, share * (1 - share)) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def proportion(good: int, total: int) -> Interval | None:
    """Return good/total with its Wilson interval; None without trials."""
    if total <= 0:
        return None
    return Interval(good / total, *wilson_of(good / total, total))


def weighted_proportion(weights: Iterable[tuple[int, bool]]) -> tuple[Interval, float] | None:
    """Return Hájek's weighted share and how many plain trials it is worth.

    The share is Σw·good/Σw with w = 1/π (Hájek 1971); it is worth (Σw)²/Σw² trials (Kish, Survey Sampling, 1965), which
    go into the Wilson interval.

    Args:
        weights: (weight in any fixed integer unit, good) per trial; weights of 0 do not count.

    Returns:
        The share with its interval, and the effective number of trials; None without weights.
    """
    total, squares, right = 0, 0, 0
    for weight, good in weights:
        total += weight
        squares += weight * weight
        if good:
            right += weight
    if not total:
        return None
    share, effective = right / total, total * total / squares
    return Interval(share, *wilson_of(share, effective)), effective


def difference(before: tuple[int, int], after: tuple[int, int]) -> Interval | None:
    """Return how much a share rose, after − before, with Newcombe's hybrid score interval.

    Source: Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17
    (1998), method 10: each end joins the distances to the Wilson ends of the two shares.

    Args:
        before: (good, total).
        after: (good, total).

    Returns:
        The difference (−1..1) with its 95% interval; None where one side has no trials.

    Example:
        >>> found = difference((48, 80), (56, 70))
        >>> [round(part, 4) for part in found]
        [0.2, 0.0524, 0.3339]
    """
    was, now = proportion(*before), proportion(*after)
    if was is None or now is None:
        return None
    low = math.hypot(now.value - now.low, was.high - was.value)
    high = math.hypot(now.high - now.value, was.value - was.low)
    step = now.value - was.value
    return Interval(step, step - low, step + high)


class Stratum(NamedTuple):
    """Wrong of total among the fast labels and among the others, on one kind of work."""

    fast_wrong: int
    fast: int
    other_wrong: int
    other: int


def risk_ratio(strata: Iterable[Stratum]) -> Interval | None:
    """Return how many times as often the fast labels are wrong as others of the same mix.

    Mantel & Haenszel (1959) over the kinds of work, interval from the variance of Greenland & Robins, Biometrics 41
    (1985).

    Returns:
        The common risk ratio with its 95% interval; None where one side has no errors or no labels to compare.

    Example:
        >>> found = risk_ratio([Stratum(20, 100, 10, 100)])
        >>> [round(part, 2) for part in found]
        [2.0, 0.99, 4.05]
    """
    top, bottom, variance = 0.0, 0.0, 0.0
    for fast_wrong, fast, other_wrong, other in strata:
        total = fast + other
        if not fast or not other:
            continue
        top += fast_wrong * other / total
        bottom += other_wrong * fast / total
        wrong = fast_wrong + other_wrong
        variance += (wrong * fast * other - fast_wrong * other_wrong * total) / (total * total)
    if top <= 0 or bottom <= 0:
        return None
    error = math.sqrt(max(0.0, variance) / (top * bottom))
    ratio = top / bottom
    return Interval(ratio, ratio * math.exp(-Z_95 * error), ratio * math.exp(Z_95 * error))


class Trend(NamedTuple):
    """The slope of a share per step and how far from chance it is (z)."""

    slope: float
    z: float


def share_trend(buckets: Sequence[tuple[int, int]]) -> Trend | None:
    """Return the linear trend of a share over equal steps of time.

    The Cochran–Armitage test (Armitage, Biometrics 11, 1955) with the steps 0, 1, 2 … as scores; the slope is that of the
    regression of the share on the step, weighted by trials.

    Args:
        buckets: (good, total) per step, oldest first; steps without trials count for nothing.

    Returns:
        Change of the share per step, and z; None where fewer than two steps have trials or nothing varies.
    """
    total = sum(n for _, n in buckets)
    good = sum(k for k, _ in buckets)
    if not total or good in (0, total) or sum(n > 0 for _, n in buckets) < 2:
        return None
    share = good / total
    mean = sum(step * n for step, (_, n) in enumerate(buckets)) / total
    moment = sum((step - mean) * k for step, (k, _) in enumerate(buckets))
    spread = sum((step - mean) ** 2 * n for step, (_, n) in enumerate(buckets))
    if spread <= 0:
        return None
    return Trend(moment / spread, moment / math.sqrt(share * (1 - share) * spread))


def trials_for(share: float, half_width: float, z: float = Z_95) -> int:
    """Return how many trials a 95% interval of ± ``half_width`` needs at a share, by the normal approximation.

    At 95% accuracy and ± 5 points that is 73 (Cochran, Sampling Techniques, 1977, section 4.4). The share is kept within
    0.5 and 0.99, for a share seen as 1.0 would ask for none.
    """
    held = min(0.99, max(0.5, share))
    return math.ceil(z * z * held * (1 - held) / (half_width * half_width))


def weighted_median(pairs: Iterable[tuple[float, int]]) -> float | None:
    """Return the lower weighted median: the least value up to which half of the weight lies; None without weight."""
    ordered = sorted(pair for pair in pairs if pair[1] > 0)
    half = sum(weight for _, weight in ordered) / 2
    seen = 0
    for value, weight in ordered:
        seen += weight
        if seen >= half:
            return value
    return None
