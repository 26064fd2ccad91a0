"""Shift-share: exact sums, parts in one window only, two dimensions deep."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.shift import (
    NOT_GIVEN,
    Decomposition,
    PartsDoNotAddUp,
    completed,
    decompose,
    minus,
    nested,
    summed,
)

tallies = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda two: RatioTally(min(two), max(two)))
keys = st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"))
windows = st.dictionaries(keys, tallies, max_size=12)


def coarse(window):
    found = {}
    for key, tally in window.items():
        found.setdefault((key[0],), []).append(tally)
    return {key: summed(parts) for key, parts in found.items()}


def test_what_the_formulas_say_by_hand():
    before = {("a",): RatioTally(90, 100), ("b",): RatioTally(60, 100)}  # 75%
    after = {("a",): RatioTally(40, 50), ("b",): RatioTally(75, 150)}  # 57.5%
    found = decompose(("team",), before, after)
    a, b = found.parts
    assert (a.rate, a.mix, a.interaction) == (Fraction(-1, 20), Fraction(-3, 80), Fraction(1, 40))
    assert (b.rate, b.mix, b.interaction) == (Fraction(-1, 20), Fraction(-3, 80), Fraction(-1, 40))
    assert found.change == Fraction(115, 200) - Fraction(150, 200) == a.effect + b.effect


@pytest.mark.slow
@given(windows, windows)
def test_parts_sum_exactly_and_two_dimensions_nest(before, after):
    joint = decompose(("team", "policy"), before, after)
    flat = decompose(("team",), coarse(before), coarse(after))
    if not summed(before.values()).total or not summed(after.values()).total:
        assert joint is None
        return
    whole_before, whole_after = summed(before.values()), summed(after.values())
    change = Fraction(whole_after.good, whole_after.total) - Fraction(whole_before.good, whole_before.total)
    assert joint.total("effect") == flat.total("effect") == change
    inner = nested(joint)
    for part in flat.parts:
        assert sum(one.effect for one in inner[part.key[0]]) == part.effect


def test_a_part_of_only_one_window():
    before = {("old",): RatioTally(5, 10), ("stays",): RatioTally(90, 90)}
    after = {("new",): RatioTally(0, 10), ("stays",): RatioTally(90, 90)}
    parts = {part.key[0]: part for part in decompose(("labeler",), before, after).parts}
    average = Fraction(95, 100)
    assert parts["new"].presence == "new"
    assert (parts["new"].rate, parts["new"].mix) == (0, 0)
    assert parts["new"].interaction == Fraction(1, 10) * (0 - average)
    assert parts["old"].presence == "gone"
    assert (parts["old"].rate, parts["old"].interaction) == (0, 0)
    assert parts["old"].mix == -Fraction(1, 10) * (Fraction(1, 2) - average)


def test_nothing_to_explain_without_both_windows():
    assert decompose(("team",), {}, {("a",): RatioTally(1, 1)}) is None
    assert decompose(("team",), {("a",): RatioTally(1, 1)}, {("a",): RatioTally(0, 0)}) is None


def test_a_sum_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(Decomposition, "total", lambda self, kind: Fraction(1, 3))
    with pytest.raises(PartsDoNotAddUp, match="sum to 1/3"):
        decompose(("team",), {("a",): RatioTally(1, 2)}, {("a",): RatioTally(2, 2)})


def test_the_window_before_is_the_longer_without_the_shorter():
    week = {("a",): RatioTally(80, 100), ("b",): RatioTally(9, 10)}
    day = {("a",): RatioTally(10, 20), ("b",): RatioTally(9, 10)}
    assert minus(week, day) == {("a",): RatioTally(70, 80)}
    with pytest.raises(PartsDoNotAddUp, match="longer window"):
        minus(day, week)


def test_what_no_part_names_is_not_lost():
    assert completed(RatioTally(9, 10), {("a",): RatioTally(5, 5)}) == {
        ("a",): RatioTally(5, 5),
        (NOT_GIVEN,): RatioTally(4, 5),
    }
    assert completed(RatioTally(5, 5), {("a",): RatioTally(5, 5)}) == {("a",): RatioTally(5, 5)}
    with pytest.raises(PartsDoNotAddUp, match="parts hold"):
        completed(RatioTally(4, 5), {("a",): RatioTally(5, 5)})
