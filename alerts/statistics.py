"""The three formulas the alert rules need. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.959963984540054
"""Two-sided 95% quantile of the normal distribution."""


def wilson(good: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a share.

    Source: Wilson 1927; Brown, Cai, DasGupta 2001, "Interval estimation for a binomial proportion".

    Args:
        good: Number of successes, 0 to ``total``.
        total: Number of trials.
        z: Normal quantile; the default gives 95%.

    Returns:
        (low, high) in 0..1 with low <= good/total <= high; (0.0, 1.0) when ``total`` is 0.

    Raises:
        ValueError: ``good`` is negative or greater than ``total``.

    Example:
        >>> low, high = wilson(451, 512)
        >>> round(low, 3), round(high, 3)
        (0.85, 0.906)
    """
    if not 0 <= good <= total:
        raise ValueError(f"wilson({good}, {total}): good must be between 0 and total; look for a row with wrong counts")
    if total == 0:
        return 0.0, 1.0
    share = good / total
    z2 = z * z
    centre = share + z2 / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    # The ends are exactly 0 and 1 at the extremes; floating point must not make a perfect record look imperfect.
    low = 0.0 if good == 0 else (centre - spread) / scale
    high = 1.0 if good == total else (centre + spread) / scale
    return low, high


def overdispersion(counts: Sequence[float]) -> float:
    """Variance over mean of past counts (φ), never below 1 (Poisson).

    Source: Fisher's index of dispersion (Cox, Lewis, The Statistical Analysis of Series of Events, 1966, section 6.3).

    Returns:
        φ >= 1; 1.0 with fewer than two counts or a zero mean.
    """
    n = len(counts)
    if n < 2:
        return 1.0
    mean = sum(counts) / n
    if mean <= 0:
        return 1.0
    variance = sum((count - mean) ** 2 for count in counts) / (n - 1)
    return max(1.0, variance / mean)


def drop_z(count: float, expected: float, phi: float, past_windows: int) -> float:
    """Standardised difference of a count from its expectation, overdispersed Poisson.

    The expectation is itself the mean of ``past_windows`` counts, so its own variance is added:
    z = (N - μ) / sqrt(φ μ (1 + 1/k)). Source: the variance φμ of McCullagh, Nelder, Generalized Linear Models (1989), section
    6.2.3, of a prediction from the mean of k equal counts.

    Returns:
        z, negative for a drop; 0.0 when nothing was expected.

    Raises:
        ValueError: ``past_windows`` is below 1 or ``phi`` below 1.
    """
    if past_windows < 1 or phi < 1:
        raise ValueError(f"drop_z: past_windows={past_windows} and phi={phi} must both be at least 1")
    if expected <= 0:
        return 0.0
    return (count - expected) / math.sqrt(phi * expected * (1 + 1 / past_windows))
