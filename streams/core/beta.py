"""The incomplete beta function (NIST Digital Library of Mathematical Functions, 8.17; Didonato & Morris, ACM TOMS 18, 1992). Pure."""

from __future__ import annotations

import math

_FEW_TERMS = 32.0
_LARGE = 3_000.0
_FAR = 350.0
_TINY = 1e-300


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), the chance that a beta variable is at most x.

    The even part of continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions. Where both
    parameters are above 3,000: Temme's uniform expansion (same source, 8.18.9, first term), right to 1e-8 there. A
    parameter of 0 means that all the chance lies at 0 (a) or at 1 (b).

    Args:
        a: First parameter, 0 or more.
        b: Second parameter, 0 or more.
        x: Where, 0..1.
    """
    if a <= 0:
        return 1.0
    if b <= 0 or x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    return beta_chance(a, b, x, 1 - x, math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))[0]


def beta_chance(a: float, b: float, x: float, y: float, log_beta: float) -> tuple[float, float]:
    """Return I_x(a, b) and its derivative by the log odds of x, x^a·y^b/B(a, b); y is 1 − x."""
    log_x, log_y = math.log(x), math.log(y)
    front = math.exp(a * log_x + b * log_y - log_beta)
    if b <= _FEW_TERMS and b == int(b) and a * log_x > -_FAR:
        return _finite_sum(a, b, y) * math.exp(a * log_x), front
    if a <= _FEW_TERMS and a == int(a) and b * log_y > -_FAR:
        return 1 - _finite_sum(b, a, x) * math.exp(b * log_y), front
    if a > _LARGE and b > _LARGE:
        found = _large_beta_chance(a, b, x, y)
        if found is not None:
            return found, front
    if x * (a + b + 2) < a + 1:
        return front * _fraction(a, b, x) / a, front
    return 1 - front * _fraction(b, a, y) / b, front


def _finite_sum(a: float, b: float, y: float) -> float:
    """Return I_x(a, b)/x^a for a small whole b: Σ_j Γ(a + j)/(Γ(a)·j!)·y^j, the sum of a binomial tail."""
    total = term = 1.0
    for j in range(1, int(b)):
        term *= (a + j - 1) / j * y
        total += term
    return total


def _fraction(a: float, b: float, x: float) -> float:
    """Return a·I_x(a, b)/(x^a·y^b/B(a, b)): Didonato & Morris, ACM TOMS 18 (1992), the even part of that fraction."""
    y = 1 - x
    value = a * (a * y - b * x + 1) / (a + 1)
    value = value if abs(value) > _TINY else _TINY
    c, d = value, 0.0
    for m in range(1, 2_000):
        even = a + 2 * m
        step = m * (b - m) * x / (even - 1)
        term = (a + m - 1) * (a + b + m - 1) * x / (even - 1) * step
        base = m + step + (a + m) * (a * y - b * x + 1 + m * (1 + y)) / (even + 1)
        d = 1 / (base + term * d)
        c = base + term / c
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return a / value


def _large_beta_chance(a: float, b: float, x: float, y: float) -> float | None:
    """Return I_x(a, b) for large parameters; None next to the mean, where the formula is 0/0."""
    whole = a + b
    mean, rest = a / whole, b / whole
    deviance = 2 * whole * (mean * math.log(mean / x) + rest * math.log(rest / y))
    root = math.copysign(math.sqrt(max(0.0, deviance)), x - mean)
    if abs(root) < 0.05:
        return None
    slope = (x - mean) * math.sqrt(whole / (mean * rest))
    density = math.exp(-root * root / 2) / math.sqrt(2 * math.pi)
    return min(1.0, max(0.0, math.erfc(-root / math.sqrt(2)) / 2 + density * (1 / root - 1 / slope)))
