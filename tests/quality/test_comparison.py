"""Fair comparison: the mix no longer decides, empty strata are named, the interval covers what it promises."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.analysis.quality.comparison import VendorStratum, compare_vendors, standardised
from floorwatch.analysis.quality.counts import Counts
from streams.core.binomial import Weighed, interval_limits, share_limits
from streams.core.counters import NANO
from streams.core.proportions import Interval, difference, difference_of

HARD, EASY = ("hate", "P1", "de"), ("spam", "P2", "de")


def stratum(vendor: str, mix: tuple[str, str, str], labels: int, n: int, right: int, w: int = 0) -> Counts:
    key = ("stratum", vendor, *mix)
    found: Counts = {(*key, "labels"): labels, (*key, "n"): n, (*key, "right"): right}
    if w:
        weight = w * NANO
        found |= {
            (*key, "sampled"): n,
            (*key, "w"): n * weight,
            (*key, "w2"): n * weight**2,
            (*key, "wr"): right * weight,
        }
        found[*key, "w2r"] = right * weight**2
    return {name: amount for name, amount in found.items() if amount}


def test_a_vendor_with_the_hard_queue_is_not_worse_for_it() -> None:
    """Simpson's paradox: bpo-a is better in both queues and worse in the raw number."""
    counts = {
        **stratum("bpo-a", HARD, 9_000, 900, 810),
        **stratum("bpo-a", EASY, 1_000, 100, 99),
        **stratum("bpo-b", HARD, 1_000, 100, 85),
        **stratum("bpo-b", EASY, 9_000, 900, 873),
    }
    found = compare_vendors(counts)
    a, b = found.standings
    assert (a.vendor, b.vendor) == ("bpo-a", "bpo-b")
    assert (a.raw_ratio, b.raw_ratio) == (0.909, 0.958)
    assert a.standardised is not None
    assert b.standardised is not None
    assert a.standardised.value == pytest.approx((0.9 + 0.99) / 2)
    assert b.standardised.value == pytest.approx((0.85 + 0.97) / 2)
    assert a.above_others is not None
    assert b.above_others is not None
    assert a.above_others.value == pytest.approx(0.035)
    assert b.above_others.value == pytest.approx(-0.035)
    assert a.above_others.low == pytest.approx(-b.above_others.high)
    # A hundred audits in either small stratum do not settle 3.5 points.
    assert (a.stands_out, b.stands_out) == (None, None)
    assert (found.coverage_ratio, found.weighted, found.left_out) == (1.0, False, {})


def test_strata_somebody_was_not_audited_in_are_named_and_left_out() -> None:
    counts = {
        **stratum("bpo-a", HARD, 600, 60, 54),
        **stratum("bpo-a", EASY, 300, 40, 40),
        **stratum("bpo-b", HARD, 100, 50, 45),
        **stratum("bpo-b", ("video", "P9", ""), 50, 0, 0),
    }
    found = compare_vendors(counts)
    assert found.coverage_ratio == pytest.approx(700 / 1050)
    assert found.empty["bpo-b"] == [(EASY, pytest.approx(300 / 1050)), (("video", "P9", ""), pytest.approx(50 / 1050))]
    assert found.empty["bpo-a"] == [(("video", "P9", ""), pytest.approx(50 / 1050))]
    a = next(one for one in found.standings if one.vendor == "bpo-a")
    assert a.standardised is not None
    assert (a.standardised.value, a.audits) == (0.9, 60)


def test_vendors_without_common_work_or_audits_are_left_out_with_a_reason() -> None:
    counts = {
        **stratum("bpo-a", HARD, 1_000, 100, 90),
        **stratum("bpo-b", HARD, 1_000, 100, 95),
        **stratum("bpo-c", EASY, 500, 100, 99),
        **stratum("bpo-d", HARD, 10, 3, 3),
    }
    found = compare_vendors(counts)
    assert [one.vendor for one in found.standings] == ["bpo-b", "bpo-a"]
    assert found.left_out == {
        "bpo-c": "no common work: its audits lie in strata that hold 20% of all labels",
        "bpo-d": "too few audits to say: 3, at least 30 are needed",
    }
    alone = compare_vendors(stratum("bpo-a", HARD, 100, 40, 40))
    assert (alone.standings, alone.left_out) == ([], {"bpo-a": "no other vendor to compare it with"})
    assert compare_vendors({}).standings == []


def test_weights_count_where_there_are_any() -> None:
    """Audits without a probability are not a sample: only the weighted ones enter."""
    counts = {
        **stratum("bpo-a", HARD, 100, 40, 40, w=5),
        **stratum("bpo-b", HARD, 100, 40, 30, w=2),
        **stratum("bpo-b", EASY, 60, 24, 0),
    }
    found = compare_vendors(counts)
    assert found.weighted
    assert found.coverage_ratio == pytest.approx(200 / 260)
    assert {one.vendor: one.standardised.value for one in found.standings if one.standardised} == {
        "bpo-a": 1.0,
        "bpo-b": 0.75,
    }


@pytest.mark.parametrize(("labels", "compared"), [(400, True), (4_000, False)])
def test_a_vendor_that_awaits_most_of_its_audits_is_left_out(labels: int, compared: bool) -> None:
    """bpo-b's 40 audits at 1/5 stand for 200 labels: enough of 400, few of 4,000, whose others are audited later."""
    counts = {
        **stratum("bpo-a", HARD, 300, 60, 57, w=5),
        **stratum("bpo-b", HARD, labels, 40, 20, w=5),
        **stratum("bpo-c", HARD, 300, 60, 57, w=5),
    }
    found = compare_vendors(counts)
    assert {one.vendor for one in found.standings} == {"bpo-a", "bpo-c", *(["bpo-b"] if compared else [])}
    said = {"bpo-b": "it awaits audits: those with a known probability stand for 200 of 4,000 labels so far"}
    assert found.left_out == ({} if compared else said)


def test_audits_of_unequal_weight_are_worth_fewer_plain_ones() -> None:
    """Kish: 40 audits of weight 1 and 40 of weight 9 are worth (40 + 360)²/(40 + 3240) = 48.8, not 80."""

    def mixed(vendor: str, right: int) -> Counts:
        key = ("stratum", vendor, *HARD)
        sums = {"labels": 400, "n": 80, "right": 2 * right, "sampled": 80, "w": 400 * NANO, "w2": 3_280 * NANO**2}
        sums |= {"wr": 10 * right * NANO, "w2r": 82 * right * NANO**2}
        return {(*key, name): amount for name, amount in sums.items()}

    found = compare_vendors({**mixed("bpo-a", 30), **mixed("bpo-b", 20)})
    (better, _) = found.standings
    low, high = share_limits(Weighed(300, 2_460, 8.2), Weighed(100, 820, 8.2))
    assert better.standardised == Interval(0.75, pytest.approx(low), pytest.approx(high))
    assert high - low > 1.2 * (interval_limits(60, 80)[1] - interval_limits(60, 80)[0])


def test_one_stratum_is_the_plain_interval_and_a_difference_that_of_two_shares() -> None:
    mix = {HARD: 1.0}
    one, other = (standardised(mix, {HARD: VendorStratum(k / n, n, n)}) for k, n in ((56, 70), (48, 80)))
    assert (one.low, one.high) == pytest.approx(interval_limits(56, 70))
    step = difference_of(one, other)
    assert step == pytest.approx(difference((48, 80), (56, 70)))


@given(st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=6))
def test_the_standardised_value_is_the_weighted_mean(rows: list[tuple[float, int, int]]) -> None:
    total = sum(weight for weight, _, _ in rows)
    mix = {(str(i), "", ""): weight / total for i, (weight, _, _) in enumerate(rows)}
    cells = {(str(i), "", ""): VendorStratum(min(k, n) / n, n, n) for i, (_, k, n) in enumerate(rows)}
    found = standardised(mix, cells)
    value = sum(weight / total * min(k, n) / n for weight, k, n in rows)
    assert found.value == pytest.approx(value)
    assert 0 <= found.low <= value + 1e-12
    assert value - 1e-12 <= found.high <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strata", "audits", "accuracy", "spread"),
    [(6, 40, 0.95, 0.04), (12, 25, 0.9, 0.04), (30, 8, 0.95, 0.04), (6, 40, 0.98, 0.01), (12, 30, 0.85, 0.14)],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    strata: int, audits: int, accuracy: float, spread: float
) -> None:
    """2,000 seeded runs over twenty floors each; the binomial error of the coverage is half a point."""
    rng = Random(strata * 1000 + audits)
    held = apart = delta_held = 0
    for _ in range(20):
        mix, truths = _floor(rng, strata, accuracy, spread)
        other = {s: max(0.5, truths[s] - 0.03) for s in mix}
        truth, step = (sum(mix[s] * t[s] for s in mix) for t in (truths, {s: truths[s] - other[s] for s in mix}))
        for _ in range(100):
            cells, found = _audited(rng, mix, truths, audits)
            _, theirs = _audited(rng, mix, other, audits)
            difference_found = difference_of(found, theirs)
            held += found.low <= truth <= found.high
            apart += difference_found.low <= step <= difference_found.high
            variance = sum(mix[s] ** 2 * c.accuracy_ratio * (1 - c.accuracy_ratio) / c.worth for s, c in cells.items())
            delta_held += abs(found.value - truth) <= 1.959964 * math.sqrt(variance)
    assert held / 2000 > 0.935, (held, apart, delta_held)
    assert apart / 2000 > 0.935, (held, apart, delta_held)
    assert delta_held < held


@pytest.mark.slow
def test_vendors_drawn_by_lot_are_seldom_told_apart() -> None:
    """Three vendors with one truth: somebody is called better or worse in at most about one comparison in twenty."""
    rng = Random(11)
    called = 0
    for _ in range(400):
        counts: Counts = {}
        for queue, truth in (("a", 0.9), ("b", 0.95), ("c", 0.98), ("d", 0.97)):
            for vendor in ("x", "y", "z"):
                n = rng.randrange(20, 60)
                counts |= stratum(vendor, (queue, "P", "de"), 10 * n, n, sum(rng.random() < truth for _ in range(n)))
        called += any(one.stands_out for one in compare_vendors(counts).standings)
    assert called <= 28


def test_one_large_stratum_with_few_audits_is_not_hidden_by_the_others() -> None:
    rng = Random(3)
    mix = {(str(i), "", ""): 0.5 if i == 0 else 0.05 for i in range(11)}
    truths = {s: 0.7 if mix[s] == 0.5 else 0.99 for s in mix}
    truth, held = sum(mix[s] * truths[s] for s in mix), 0
    for _ in range(1000):
        cells = {s: _cell(rng, truths[s], 25 if mix[s] == 0.5 else 200) for s in mix}
        found = standardised(mix, cells)
        held += found.low <= truth <= found.high
    assert held > 930


def _floor(rng: Random, strata: int, accuracy: float, spread: float) -> tuple[dict, dict]:
    weights = [rng.random() ** 2 + 0.02 for _ in range(strata)]
    mix = {(str(i), "", ""): w / sum(weights) for i, w in enumerate(weights)}
    return mix, {s: min(0.998, accuracy + rng.uniform(-spread, spread)) for s in mix}


def _cell(rng: Random, truth: float, audits: int) -> VendorStratum:
    return VendorStratum(sum(rng.random() < truth for _ in range(audits)) / audits, audits, audits)


def _audited(rng: Random, mix: dict, truths: dict, audits: int) -> tuple[dict, Interval]:
    cells = {s: _cell(rng, truths[s], audits) for s in mix}
    return cells, standardised(mix, cells)
