"""Stale guidelines: people agree, appeals succeed more and more. Nothing is said from a handful."""

from __future__ import annotations

from random import Random

import pytest

from floorwatch.analysis.quality.counts import Counts, add
from floorwatch.analysis.quality.guidelines import guidelines
from streams.core.proportions import share_trend

SAME, SPLIT = ("safe", "safe"), ("hate", "safe")


def guide(version: str, days: list[tuple[int, int]], agreed: int, disputed: int, policy: str = "P3") -> Counts:
    counts: Counts = {}
    for day, (overturned, decided) in enumerate(days):
        add(counts, [(("guide", policy, version, 20_000 + day, "decided"), decided)])
        if overturned:
            add(counts, [(("guide", policy, version, 20_000 + day, "overturned"), overturned)])
    patterns = {SAME: agreed - agreed // 3, ("hate", "hate"): agreed // 3, SPLIT: disputed}
    add(counts, [(("guide-unit", policy, version, *p), n) for p, n in patterns.items() if n])
    return counts


RISING = [(1, 10), (1, 10), (2, 10), (3, 10), (5, 10), (7, 10)]
FLAT = [(2, 10)] * 6


@pytest.mark.parametrize(
    ("days", "agreed", "disputed", "state"),
    [
        (RISING, 95, 5, "stale"),
        (RISING, 60, 40, "unclear"),
        (FLAT, 95, 5, "steady"),
        (RISING[::-1], 95, 5, "steady"),
        (RISING, 20, 0, "too few"),
        ([(0, 3), (3, 3)], 95, 5, "too few"),
    ],
)
def test_states(days: list[tuple[int, int]], agreed: int, disputed: int, state: str) -> None:
    (found,) = guidelines(guide("v1", days, agreed, disputed))
    assert found.state == state
    assert found.decided == sum(n for _, n in days)


def test_the_first_and_the_second_half_are_told() -> None:
    (found,) = guidelines(guide("v1", RISING, 95, 5))
    assert found.early is not None
    assert found.late is not None
    assert (found.early.value, found.late.value) == (pytest.approx(4 / 30), 0.5)


def test_versions_are_apart_and_the_stale_one_comes_first() -> None:
    counts = {**guide("v2", FLAT, 95, 5), **guide("v1", RISING, 95, 5), **guide("v9", FLAT, 95, 5, policy="A")}
    assert [(one.policy, one.version, one.state) for one in guidelines(counts)] == [
        ("P3", "v1", "stale"),
        ("A", "v9", "steady"),
        ("P3", "v2", "steady"),
    ]


def test_skewed_values_do_not_hide_agreement() -> None:
    """All but two of 100 items unanimously safe: α is about 0, raw agreement 98%."""
    counts = guide("v1", RISING, 0, 2)
    add(counts, [(("guide-unit", "P3", "v1", *SAME), 98)])
    (found,) = guidelines(counts)
    assert found.agreement.alpha is not None
    assert found.agreement.alpha.value < 0.1
    assert found.state == "stale"


def test_the_trend_is_armitages() -> None:
    """Agresti, Categorical Data Analysis, infant malformations by alcohol, with equally spaced scores: z² = 1.83.

    With the scores 0, 0.5, 1.5, 4, 7 of the book it is 6.57; placing the groups at these steps (halves) gives that too.
    """
    groups = [(48, 17114), (38, 14502), (5, 793), (1, 127), (1, 38)]
    spaced = [(0, 0)] * 15
    for at, group in zip((0, 1, 3, 8, 14), groups, strict=True):
        spaced[at] = group
    book, equal = share_trend(spaced), share_trend(groups)
    assert book is not None
    assert equal is not None
    assert round(book.z**2, 2) == 6.57
    assert round(equal.z**2, 2) == 1.83


@pytest.mark.slow
def test_unchanged_guidelines_are_seldom_called_stale() -> None:
    """Twelve policies whose overturn rate stays 20%: a false call in at most 1% of floors, by the Bonferroni bar."""
    rng = Random(7)
    calls = 0
    for _ in range(300):
        counts: Counts = {}
        for policy in range(12):
            days = [(sum(rng.random() < 0.2 for _ in range(6)), 6) for _ in range(14)]
            counts |= guide("v1", days, 60, 3, policy=f"P{policy}")
        calls += any(one.state == "stale" for one in guidelines(counts))
    assert calls <= 9
