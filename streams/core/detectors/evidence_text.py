"""Evidence in words. It is never called a probability: it is by how much a bet against "all is well" has grown."""

from __future__ import annotations

import math

_MOST = 1e9


def two_digits(value: float) -> int:
    """Return a number cut to two significant digits, so that evidence below the bar never reads as having reached it.

    Source: ours; a floor at two digits.

    Example:
        >>> two_digits(149_999.0), two_digits(7.9)
        (140000, 7)
    """
    if value < 10.0:
        return int(value)
    scale: int = 10 ** (math.floor(math.log10(value)) - 1)
    return int(value // scale) * scale


def evidence_words(score: float, bar: float) -> str:
    """Return ``evidence 210,000 : 1 (bar 150,000)``.

    Args:
        score: A fold's score.
        bar: The score that fires.

    Example:
        >>> evidence_words(213_456.7, 150_000.0)
        'evidence 210,000 : 1 (bar 150,000)'
    """
    if score >= _MOST:
        return f"evidence over {_MOST:,.0f} : 1 (bar {bar:,.0f})"
    return f"evidence {two_digits(score):,} : 1 (bar {bar:,.0f})"
