"""Shift-share and excess: the parts sum exactly to the whole."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.contributors import (
    MAX_CONTRIBUTORS,
    MAX_PER_DIMENSION,
    NOT_GIVEN,
    PartCounts,
    complete,
    earlier,
    excess,
    rank,
    share_contributors,
    shift_share,
)
from alerts.signals import Contributor
from alerts.text import contributors_heading, part_words
from alerts.view import Row
from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.significance import judged
from tests.alerts.rows import accuracy

cells = st.integers(0, 5000).flatmap(lambda total: st.integers(0, total).map(lambda good: PartCounts(good, total)))
windows = st.dictionaries(st.sampled_from("abcdefgh"), cells)


def _share(parts: dict[str, PartCounts]) -> Fraction | None:
    total = sum(cell.total for cell in parts.values())
    return Fraction(sum(cell.good for cell in parts.values()), total) if total else None


@pytest.mark.slow
@given(windows, windows)
def test_shift_share_sums_exactly_to_the_change(before: dict[str, PartCounts], after: dict[str, PartCounts]) -> None:
    old, new = _share(before), _share(after)
    found = shift_share(before, after)
    if old is None or new is None:
        assert found is None
    else:
        assert found is not None
        assert sum((part.effect for part in found.parts), Fraction(0)) == new - old


@given(windows, st.floats(0.001, 0.999))
def test_excess_sums_exactly_to_the_distance_from_target(parts: dict[str, PartCounts], target: float) -> None:
    whole = _share(parts)
    if whole is None:
        assert excess(parts, target) == {}
    else:
        assert sum(excess(parts, target).values()) == whole - Fraction(target)


def _weighted(total: int, good: int, light: int, heavy: int) -> PartCounts:
    """A cell whose good outcomes weigh ``light`` each and its others ``heavy``."""
    weighed = RatioTally(good, total, good * light, good * light + (total - good) * heavy)
    return PartCounts.of(weighed, 0)


weights = st.integers(1, 40)
weighted = st.integers(1, 60).flatmap(
    lambda total: st.builds(_weighted, st.just(total), st.integers(0, total), weights, weights)
)
weighted_windows = st.dictionaries(st.sampled_from("abc"), weighted)


@pytest.mark.slow
@given(weighted, weighted_windows, weighted, weighted_windows)
def test_rows_of_two_moments_never_fail(
    longer: PartCounts, longer_parts: dict[str, PartCounts], later: PartCounts, later_parts: dict[str, PartCounts]
) -> None:
    """Windows are published one after the other: the longer one may lack what the shorter one has, counts and weights."""
    now = complete(later, later_parts)
    before = earlier(complete(longer, longer_parts), now)
    for cell in (*now.values(), *before.values()):
        good, total = cell.tally.weights
        assert 0 <= cell.good <= cell.total
        assert 0 <= good <= total
    found = shift_share(before, now)
    if found is not None:
        judged([found])


def test_a_window_that_weighs_more_than_the_longer_one_is_not_taken_from_it() -> None:
    longer, later = {"a": _weighted(20, 10, 1, 1)}, {"a": _weighted(10, 5, 9, 9)}
    assert earlier(longer, later) == longer
    assert complete(longer["a"], later) == later


def test_mix_alone_moves_the_whole() -> None:
    before = {"good": PartCounts(90, 100), "bad": PartCounts(50, 100)}
    after = {"good": PartCounts(9, 10), "bad": PartCounts(95, 190)}
    found = shift_share(before, after)
    assert found is not None
    by_part = {part.key[0]: part for part in found.parts}
    assert by_part["bad"].rate == by_part["good"].rate == by_part["bad"].interaction == 0
    assert by_part["bad"].mix == Fraction(9, 20) * (Fraction(1, 2) - Fraction(7, 10))


def test_what_the_parts_do_not_cover_is_kept_apart() -> None:
    assert complete(PartCounts(8, 10, 100), {"a": PartCounts(4, 5, 60)}) == {
        "a": PartCounts(4, 5, 60),
        NOT_GIVEN: PartCounts(4, 5, 40),
    }
    assert complete(PartCounts(8, 10), {"a": PartCounts(9, 10)}) == {"a": PartCounts(9, 10)}


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.floats(-50, 50)), max_size=20))
def test_rank_takes_the_worst_and_never_a_helper(effects: list[tuple[str, float]]) -> None:
    found = [Contributor(dim, str(place), effect, 1, "") for place, (dim, effect) in enumerate(effects)]
    best = rank(found)
    assert len(best) <= MAX_CONTRIBUTORS
    assert all(part.effect_pp < 0 for part in best)
    assert list(best) == sorted(best, key=lambda part: part.effect_pp)
    for dimension in "xyz":
        mine = [part.effect_pp for part in best if part.dimension == dimension]
        assert len(mine) <= MAX_PER_DIMENSION
        if mine:
            assert min(mine) == min(part.effect_pp for part in found if part.dimension == dimension)


def test_the_window_itself_is_left_out_of_what_it_is_compared_with() -> None:
    week = {"a": PartCounts(80, 100, 1000), "b": PartCounts(9, 10, 50)}
    day = {"a": PartCounts(10, 20, 300), "b": PartCounts(9, 10, 50)}
    assert earlier(week, day) == {"a": PartCounts(70, 80, 700)}
    assert earlier(day, week) == day, "rows of two moments are compared as they are"


def _rows(window: str, counts: dict[str, tuple[int, int]], dimension: str = "team") -> dict[str, Row]:
    found = {}
    for value, (good, total) in counts.items():
        row = accuracy({dimension: value} if value else {}, good, total, window=window)
        found[row["scope_key"]] = row
    return found


def _contributors(later: dict[str, Row], longer: dict[str, Row]) -> dict[str, Contributor]:
    parts = share_contributors(
        {},
        later,
        reference=longer,
        read=lambda row: PartCounts(row["correct"], row["audited"], row["labels"]),
        target=0.95,
        words=lambda cell: f"{cell.good} of {cell.total}",
    )
    return {part.value: part for part in parts}


def test_beside_one_that_stands_out_nothing_else_is_named() -> None:
    later = _rows("24h", {"": (530, 600), "a": (340, 400), "b": (190, 200)})
    longer = _rows("7d", {"": (2910, 3100), "a": (1465, 1600), "b": (1445, 1500)})
    found = _contributors(later, longer)
    assert found["a"].detail.startswith("340 of 400; rate -4.2, mix -0.3, both -1.6 pp")
    assert found["a"].clear
    assert "b" not in found  # its part may be chance


def test_where_all_fall_together_none_is_told_as_the_cause() -> None:
    later = _rows("24h", {"": (1600, 2000), "a": (800, 1000), "b": (800, 1000)})
    longer = _rows("7d", {"": (7300, 8000), "a": (3650, 4000), "b": (3650, 4000)})
    found = _contributors(later, longer)
    assert [part.clear for part in found.values()] == [False, False]
    assert all(part.detail.endswith("not clearly more than elsewhere") for part in found.values())
    assert contributors_heading(list(found.values())) == "Nothing stands out clearly. Largest parts:"


def test_a_change_of_shift_is_no_team_s_fault() -> None:
    """The better team went home and the weaker one came, each as good as ever: mix, and nobody became worse."""
    later = _rows("24h", {"": (855, 1000), "day": (95, 100), "night": (760, 900)})
    longer = _rows("7d", {"": (4615, 5000), "day": (3895, 4100), "night": (720, 900)})
    arrived = _rows("7d", {"": (4750, 5000), "day": (4655, 4900), "night": (0, 0)})
    for reference in (longer, {key: row for key, row in arrived.items() if row["audited"]}):
        for part in _contributors(later, reference).values():
            assert not part.clear
    (night,) = [part for part in _contributors(later, arrived).values() if part.value == "night"]
    assert night.detail.endswith("its quality is not a cause")


def test_a_part_that_is_large_and_no_worse_is_not_named_for_its_size() -> None:
    """Without history there is the target alone, and most of the excess is where most of the work is."""
    later = _rows("24h", {"": (900, 1000), "normal": (810, 900), "priority": (90, 100)}, "queue")
    found = _contributors(later, {})
    assert not found["normal"].clear
    assert found["normal"].detail.endswith("90% of the excess; not clearly more than elsewhere")
    empty = _rows("7d", {"": (0, 0)})
    assert _contributors(later, empty)["normal"].detail.endswith("no history yet")
    worse = _rows("24h", {"": (850, 1000), "normal": (790, 800), "priority": (60, 200)}, "queue")
    assert [*_contributors(worse, {})] == ["priority"]


def test_an_age_has_no_percentage_points() -> None:
    part = Contributor("queue", "hate", -63.6, 700, "oldest 1 h", share_of="backlog")
    assert part_words(part) == "64% of the backlog  queue hate  (oldest 1 h)"
    assert part_words(Contributor("queue", "hate", -5.2, 700, "x")) == "-5.2 pp  queue hate  (x)"


def test_two_dimensions_deep_where_it_is_beyond_chance() -> None:
    def rows(window: str, counts: dict[tuple[str, str], tuple[int, int]]) -> dict[str, Row]:
        tallies: dict[tuple[tuple[str, str], ...], list[int]] = {}
        for (vendor, queue), (good, total) in counts.items():
            pair = (("vendor", vendor), ("queue", queue))
            for scope in ((), pair[:1], pair[1:], pair):
                tally = tallies.setdefault(scope, [0, 0])
                tally[0] += good
                tally[1] += total
        found = {}
        for scope, (good, total) in tallies.items():
            row = accuracy(dict(scope), good, total, window=window)
            found[row["scope_key"]] = row
        return found

    later = {("v1", "q1"): (120, 200), ("v1", "q2"): (190, 200), ("v2", "q1"): (190, 200), ("v2", "q2"): (190, 200)}
    longer = {place: (good + 950, total + 1000) for place, (good, total) in later.items()}
    parts = share_contributors(
        {},
        rows("24h", later),
        reference=rows("7d", longer),
        read=lambda row: PartCounts(row["correct"], row["audited"], row["labels"]),
        target=0.95,
        words=lambda cell: f"{cell.good} of {cell.total}",
    )
    crossed = [(part.dimension, part.value, part.effect_pp) for part in parts if "×" in part.dimension]
    assert crossed == [("vendor × queue", "v1 × q1", -8.75)]
    details = {part.value: part.detail for part in parts}
    assert details["v1 × q1"] == "120 of 200; rate -8.8, mix +0.0, both +0.0 pp"
    assert details["v1"] == "310 of 400; rate -8.8, mix +0.0, both +0.0 pp"
