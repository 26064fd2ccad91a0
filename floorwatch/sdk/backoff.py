"""How long an emitter waits before it tries again. Pure: chance and time are given.

Waits grow twofold and are drawn evenly between nothing and their bound ("full jitter": M. Brooker, *Exponential Backoff And
Jitter*, AWS Architecture Blog, 2015), so that a thousand tools do not come back at once after an outage. A gateway that
says when it wants to be asked again (``Retry-After``, RFC 9110 section 10.2.3) is not asked earlier.
"""

from __future__ import annotations

import math
from datetime import datetime
from email.utils import parsedate_to_datetime

MAX_TOLD_S = 300.0
"""Longest wait that a gateway may ask for, in seconds: a wrong header must not silence a tool for a day."""
_SPREAD = 0.1
"""Share of a told wait that chance may add: all who were turned away got the same number."""


def wait_s(failures: int, chance: float, told_s: float | None, first_s: float, most_s: float) -> float:
    """Return how long to wait before the next try, in seconds.

    Args:
        failures: Tries in a row that failed, from 1.
        chance: Drawn evenly from 0..1.
        told_s: What ``Retry-After`` said; None for nothing.
        first_s: Bound of the first wait.
        most_s: Bound of any wait that nobody asked for.

    Example:
        >>> [wait_s(failures, 1.0, None, 0.5, 60.0) for failures in (1, 2, 3, 99)]
        [0.5, 1.0, 2.0, 60.0]
        >>> wait_s(1, 0.5, 10.0, 0.5, 60.0)
        10.5
    """
    if told_s is not None:
        asked = min(told_s, MAX_TOLD_S)
        return asked + chance * max(_SPREAD * asked, first_s if asked == 0 else 0.0)
    return chance * min(most_s, math.ldexp(first_s, min(failures - 1, 60)))


def told_wait_s(header: str | None, now: datetime) -> float | None:
    """Return what a ``Retry-After`` header asks for, in seconds; None where there is none or it cannot be read.

    Args:
        header: Seconds, or an HTTP date.
        now: The present time, with a zone.

    Example:
        >>> told_wait_s("7", datetime(2026, 1, 1))
        7.0
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):
        return None
