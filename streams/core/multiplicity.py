"""Many judgements shown together: how many of them may be wrong. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

FAMILY_ERROR = 0.05
"""Chance that anything in a list is called different where nothing is."""


def benjamini_hochberg(chances: Sequence[float], rate: float, most: float = 1.0) -> list[bool]:
    """Return which of the judgements shown together stand; of those that do, at most the share ``rate`` is wrong on average.

    Source: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995), for independent tests. The k-th smallest
    chance is held against k·rate/(how many), at most ``most``: a smaller critical value keeps the rate (Blanchard & Roquain,
    Electronic Journal of Statistics 2, 2008). Where nothing is true, a share of all that stand that is wrong is 1 or 0, so the
    chance of naming anything at all is at most ``rate``.

    Args:
        chances: The p-value of each judgement, exact or too large.
        rate: The false discovery rate.
        most: No judgement stands at a greater chance than this, however many others do.

    Example:
        >>> benjamini_hochberg([0.001, 0.02, 0.2, 0.04], 0.1)
        [True, True, False, True]
    """
    level = 0.0
    for place, chance in enumerate(sorted(chances), 1):
        bound = min(most, rate * place / len(chances))
        level = bound if chance <= bound else level
    return [chance <= level for chance in chances]


def holm(
    tests: Sequence[Callable[[float], bool]], level: float = FAMILY_ERROR, weights: Sequence[float] | None = None
) -> list[bool]:
    """Return which of the judgements shown together stand; the chance that any of them is wrong is at most ``level``.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979), with its weights (section 3). Each round tests what is left at its
    part of the level. It needs no independence, and finds all that Bonferroni's rule finds.

    Args:
        tests: For each judgement, whether it stands at an error of so much, two-sided; what stands at some error stands at
            any greater one.
        level: Chance of a wrong one among all.
        weights: Which part of the level each is given, relative to the others and set before looking; alike where None.
    """
    parts = [1.0] * len(tests) if weights is None else weights
    stands = [False] * len(tests)
    while True:
        left = [at for at, stood in enumerate(stands) if not stood]
        whole = sum(parts[at] for at in left)
        found = [at for at in left if tests[at](level * parts[at] / whole)]
        if not found:
            return stands
        for at in found:
            stands[at] = True
