"""How often the intervals of α, κ and AC1 hold the truth where one value is rare, and their width where all agree.

Two raters and two values. The outcomes of α and AC1 are enumerated, those of κ drawn: its raters differ in how often they say the
rare value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from floorwatch.analysis.quality.agreement import agreement, kappa
from floorwatch.sims.lines import ReportLine, of_share

ROWS = (14,)
CPU_S = 4.0
"""About what it takes at scale 1."""

CLAIMED = 0.92
_LEAST_WIDTH = 0.02
_NEGLIGIBLE = 1e-4

CASES = ((30, 0.05, 0.67), (30, 0.1, 0.9), (30, 0.2, 0.3), (60, 0.05, 0.9), (60, 0.5, 0.8), (120, 0.05, 0.67))
"""Items, share of the rarer value, true α."""

_KAPPAS = ((30, 0.1, 0.8), (50, 0.05, 0.6), (100, 0.2, 0.4))


def outcomes(items: int, shares: tuple[float, float, float]) -> Iterator[tuple[float, dict[tuple[str, str], int]]]:
    """Yield the chance of each outcome that matters, and how many items show each pair of values.

    Args:
        items: Items judged twice.
        shares: How often both say the common value, they differ, both say the rare one.
    """
    for differ in range(items + 1):
        for rare in range(items - differ + 1):
            counts = (items - differ - rare, differ, rare)
            chance = math.exp(
                math.lgamma(items + 1)
                + sum(n * math.log(share) - math.lgamma(n + 1) for n, share in zip(counts, shares, strict=True))
            )
            if chance >= _NEGLIGIBLE:
                yield chance, dict(zip((("a", "a"), ("a", "b"), ("b", "b")), counts, strict=True))


def held(items: int, rare: float, alpha: float) -> tuple[float, float]:
    """Return how often the intervals of α and AC1 hold the truth, of the outcomes in which they are defined."""
    apart = 2 * rare * (1 - rare) * (1 - alpha)
    true_ac1 = 1 - apart / (1 - 2 * rare * (1 - rare))
    inside, whole = [0.0, 0.0], [0.0, 0.0]
    for chance, seen in outcomes(items, (1 - rare - apart / 2, apart, rare - apart / 2)):
        found = agreement([(pair, count) for pair, count in seen.items() if count])
        for at, (interval, true) in enumerate(((found.alpha, alpha), (found.ac1, true_ac1))):
            if interval is not None:
                whole[at] += chance
                inside[at] += chance * (interval.low <= true <= interval.high)
    return inside[0] / whole[0], inside[1] / whole[1]


def kappa_held(rng: np.random.Generator, runs: int, items: int, rare: float, true: float) -> tuple[int, int]:
    """Return in how many runs the interval of κ holds the truth, and in how many there is one.

    Args:
        rng: Source of chance.
        runs: How many.
        items: Items judged by both.
        rare: How often the first rater says the rare value; the second says it a fifth more often.
        true: The true κ.
    """
    other = 1.2 * rare
    by_chance = rare * other + (1 - rare) * (1 - other)
    same = by_chance + true * (1 - by_chance)
    both = (rare + other - 1 + same) / 2
    shares = (1 - rare - other + both, other - both, rare - both, both)
    pairs = (("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"))
    found = [kappa(dict(zip(pairs, counts, strict=True))) for counts in rng.multinomial(items, shares, runs).tolist()]
    return sum(one is not None and one.low <= true <= one.high for one in found), sum(one is not None for one in found)


def _widths() -> Iterator[ReportLine]:
    found = agreement([(("safe", "safe"), 27), (("hate", "hate"), 3)])
    of_two = kappa({("safe", "safe"): 27, ("hate", "hate"): 3})
    for name, interval in (("α", found.alpha), ("AC1", found.ac1), ("κ", of_two)):
        width = 0.0 if interval is None else interval.high - interval.low
        words = f"30 items on which all agree, 3 of a rare value: width of the interval of {name}"
        yield ReportLine(words, "at least", _LEAST_WIDTH, width, width, width, "shown", row=14)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Enumerate the cases of α and AC1 (two where ``scale`` is small), and draw those of κ (400 runs at scale 1)."""
    rng = np.random.default_rng([seed, 14])
    lines = list(_widths())
    for items, rare, alpha in CASES if scale >= 0.5 else CASES[1:3]:
        for name, covered in zip(("α", "AC1"), held(items, rare, alpha), strict=True):
            words = f"{items} items, rare value {rare:.0%}, true α {alpha:g}: interval of {name} covers"
            lines.append(ReportLine(words, "at least", CLAIMED, covered, covered, covered, "enumerated", row=14))
    for items, rare, true in _KAPPAS:
        words = f"{items} items, rare value {rare:.0%}, true κ {true:g}: interval of κ covers"
        count = kappa_held(rng, max(40, round(400 * scale)), items, rare, true)
        lines.append(of_share(words, *count, "at least", CLAIMED, row=14))
    return lines
