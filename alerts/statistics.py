"""Two formulas of the throughput rule: overdispersion, and how far a count is from its expectation. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
