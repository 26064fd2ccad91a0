"""Many judgements shown together: how many of them may be wrong. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

FAMILY_ERROR = 0.05
"""Chance that anything in a list is called different where nothing is."""


def holm(tests: Sequence[Callable[[float], bool]], level: float = FAMILY_ERROR) -> list[bool]:
    """Return which of the judgements shown together stand; the chance that any of them is wrong is at most ``level``.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979). Each round tests what is left at level/(how many are left). It
    needs no independence, and finds all that Bonferroni's rule finds.

    Args:
        tests: For each judgement, whether it stands at an error of so much, two-sided; what stands at some error stands at
            any greater one.
        level: Chance of a wrong one among all.
    """
    stands = [False] * len(tests)
    while True:
        left = [at for at, stood in enumerate(stands) if not stood]
        found = [at for at in left if tests[at](level / len(left))]
        if not found:
            return stands
        for at in found:
            stands[at] = True


def benjamini_yekutieli(chances: Sequence[float], level: float = FAMILY_ERROR) -> list[bool]:
    """Return which p-values stand so that on average at most ``level`` of what is named is wrong, however they depend.

    Source: Benjamini & Yekutieli, Annals of Statistics 29 (2001): the largest k with p_(k) ≤ k·level/(m·Σ 1/i).

    Args:
        chances: A p-value each.
        level: False discovery rate.
    """
    count = len(chances)
    if not count:
        return []
    scaled = level / (count * math.fsum(1 / i for i in range(1, count + 1)))
    bar = max((p for rank, p in enumerate(sorted(chances), 1) if p <= rank * scaled), default=-1.0)
    return [p <= bar for p in chances]
