"""Many judgements shown together: how many of them may be wrong. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

FAMILY_ERROR = 0.05
"""Chance that anything in a list is called different where nothing is."""


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
