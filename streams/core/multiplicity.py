"""Many judgements shown together: how many of them may be wrong. Pure."""

from __future__ import annotations

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
