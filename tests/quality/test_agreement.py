"""Agreement against published worked examples, and against naive recounts by definition."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from floorwatch.analysis.quality.agreement import agreement, alpha_interval, alpha_of, kappa, pair_tables

KRIPPENDORFF_2011 = """
    1 2 3 3 2 1 4 1 2 . . .
    1 2 3 3 2 2 4 1 2 5 . 3
    . 3 3 3 2 3 4 2 2 5 1 .
    1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Computing Krippendorff's Alpha-Reliability (2011), section C: 4 observers, 12 units, missing values."""

BINARY_2011 = """
    0 1 0 0 0 0 0 0 1 0
    1 1 1 0 0 1 0 0 0 0
"""
"""The same, section A: two observers, binary."""

WIKIPEDIA = """
    . . . . . 3 4 1 2 1 1 3 3 . 3
    1 . 2 1 3 3 4 3 . . . . . . .
    . . 2 1 3 4 4 . 2 1 1 3 3 . 4
"""
"""Wikipedia, Krippendorff's alpha, a computational example: 3 coders, 15 units."""

values = st.sampled_from("abc")
units = st.lists(st.lists(values, min_size=1, max_size=4), min_size=2, max_size=12)


def columns(text: str) -> list[list[str]]:
    rows = [line.split() for line in text.strip().splitlines()]
    return [[value for value in column if value != "."] for column in zip(*rows, strict=True)]


def patterns(items: list[list[str]]) -> dict[tuple[str, ...], int]:
    return Counter(tuple(sorted(item)) for item in items if len(item) > 1)


def naive_alpha(items: list[list[str]]) -> float | None:
    """1 − D_o/D_e with every ordered pair of values written out."""
    items = [item for item in items if len(item) > 1]
    pooled = [value for item in items for value in item]
    n = len(pooled)
    observed = sum((a != b) / (len(item) - 1) for item in items for a, b in itertools.permutations(item, 2))
    expected = sum(a != b for a, b in itertools.permutations(pooled, 2))
    return None if not expected else 1 - (observed / n) / (expected / (n * (n - 1)))


@pytest.mark.parametrize(("data", "published"), [(KRIPPENDORFF_2011, 0.743), (BINARY_2011, 0.095), (WIKIPEDIA, 0.691)])
def test_alpha_is_the_published_one(data: str, published: float) -> None:
    found = alpha_of(patterns(columns(data)))
    assert found is not None
    assert round(float(found), 3) == published


@given(units)
def test_alpha_is_its_definition(items: list[list[str]]) -> None:
    found, expected = alpha_of(patterns(items)), naive_alpha(items)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert float(found) == pytest.approx(expected, abs=1e-12)


@hypothesis_settings(max_examples=50)
@given(units)
def test_the_interval_is_the_jackknife_with_each_item_left_out(items: list[list[str]]) -> None:
    kept = [item for item in items if len(item) > 1]
    left = [naive_alpha(kept[:at] + kept[at + 1 :]) for at in range(len(kept))]
    found = alpha_interval(patterns(items))
    if naive_alpha(kept) is None or len(kept) < 2:
        assert found is None
        return
    assert found is not None
    if any(one is None for one in left):
        assert (found.low, found.high) == (-1.0, 1.0)
        return
    ones = [one for one in left if one is not None]
    mean = sum(ones) / len(ones)
    error = math.sqrt((len(ones) - 1) / len(ones) * sum((one - mean) ** 2 for one in ones))
    assert found.high == pytest.approx(min(1.0, found.value + 1.959964 * error), abs=1e-6)
    assert found.low == pytest.approx(max(-1.0, found.value - 1.959964 * error), abs=1e-6)


def test_raw_agreement_stands_beside_alpha_because_skew_hides_it() -> None:
    """On a skewed queue 95 of 100 unanimous can give α ≈ −0.01 (here: 95 times fine, 5 disputed)."""
    found = agreement([(("safe", "safe"), 95), (("hate", "safe"), 5)])
    assert found.alpha is not None
    assert found.unanimous is not None
    assert (found.units, found.values, found.enough) == (100, 200, True)
    assert found.unanimous.value == 0.95
    assert found.raw_ratio == 0.95
    assert round(found.alpha.value, 2) in (-0.03, -0.02)


def test_all_the_same_value_has_no_alpha() -> None:
    found = agreement([(("safe", "safe", "safe"), 40)])
    assert (found.alpha, found.raw_ratio) == (None, 1.0)
    assert agreement([]).raw_ratio is None


@pytest.mark.parametrize(
    ("table", "published"),
    [((20, 5, 10, 15), 0.4), ((45, 15, 25, 15), 0.1304), ((25, 35, 5, 35), 0.2593)],
)
def test_kappa_is_that_of_the_textbook_tables(table: tuple[int, int, int, int], published: float) -> None:
    """Wikipedia, Cohen's kappa: the 50 grant proposals, and two tables of equal raw agreement with different κ."""
    found = kappa(square(*table))
    assert found is not None
    assert round(found.value, 4) == published


def square(a: int, b: int, c: int, d: int) -> dict[tuple[str, str], int]:
    return {("y", "y"): a, ("y", "n"): b, ("n", "y"): c, ("n", "n"): d}


@given(st.lists(st.integers(1, 40), min_size=9, max_size=9))
def test_kappas_interval_is_the_delta_method_of_the_multinomial(counters: list[int]) -> None:
    """The standard error from numeric derivatives of κ by each counter's share, no formula of Fleiss, Cohen & Everitt."""
    pairs = list(itertools.product("abc", repeat=2))
    n = sum(counters)
    shares = [counter / n for counter in counters]

    def of(at: list[float]) -> float:
        total = sum(at)
        p = dict(zip(pairs, [x / total for x in at], strict=True))
        row = {v: sum(p[v, w] for w in "abc") for v in "abc"}
        column = {w: sum(p[v, w] for v in "abc") for w in "abc"}
        chance = sum(row[v] * column[v] for v in "abc")
        return (sum(p[v, v] for v in "abc") - chance) / (1 - chance)

    step = 1e-6
    slopes = [
        (
            of([x + step * (i == k) for i, x in enumerate(shares)])
            - of([x - step * (i == k) for i, x in enumerate(shares)])
        )
        / (2 * step)
        for k in range(9)
    ]
    mean = sum(p * s for p, s in zip(shares, slopes, strict=True))
    error = math.sqrt(sum(p * (s - mean) ** 2 for p, s in zip(shares, slopes, strict=True)) / n)
    found = kappa(dict(zip(pairs, counters, strict=True)))
    assert found is not None
    assert found.value == pytest.approx(of(shares))
    assert found.high == pytest.approx(min(1.0, found.value + 1.959964 * error), abs=1e-5)


def test_kappa_without_variation_or_items_is_none() -> None:
    assert kappa({}) is None
    assert kappa({("a", "a"): 12}) is None


def test_pairs_with_most_items_come_first() -> None:
    tables = pair_tables([(("ana", "bo", "x", "x"), 2), (("ana", "cy", "x", "y"), 3), (("ana", "bo", "x", "y"), 4)])
    assert list(tables) == [("ana", "bo"), ("ana", "cy")]
    assert tables["ana", "bo"] == {("x", "x"): 2, ("x", "y"): 4}
