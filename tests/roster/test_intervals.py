"""Sets of time against sets of integers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streams.core.roster import intervals as iv

SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6)


def points(times: iv.Times) -> set[int]:
    return {point for start, end in times for point in range(start, end)}


def raw_points(spans: list[tuple[int, int]]) -> set[int]:
    return {point for start, end in spans for point in range(start, end)}


def canonical(times: iv.Times) -> bool:
    ends = [edge for pair in times for edge in pair]
    return all(start < end for start, end in times) and all(a < b for a, b in itertools.pairwise(ends))


@given(SPANS, SPANS)
def test_algebra_is_that_of_sets(one, other):
    a, b = iv.union(one), iv.union(other)
    assert points(a) == raw_points(one)
    for found, expected in (
        (iv.intersect(a, b), points(a) & points(b)),
        (iv.subtract(a, b), points(a) - points(b)),
        (iv.union([*a, *b]), points(a) | points(b)),
    ):
        assert points(found) == expected
        assert canonical(found)
        assert iv.length_ms(found) == len(expected)


@given(SPANS, st.integers(0, 5))
def test_bridging_fills_gaps_up_to_a_length(spans, bridge):
    plain, bridged = iv.union(spans), iv.union(spans, bridge)
    filled = set(points(plain))
    for (_, end), (start, _) in itertools.pairwise(plain):
        if start - end <= bridge:
            filled |= set(range(end, start))
    assert points(bridged) == filled


@given(SPANS, st.integers(1, 17))
def test_panes_split_and_lose_nothing(spans, pane):
    times = iv.union(spans)
    found = dict(iv.by_pane(times, pane))
    expected: dict[int, int] = {}
    for point in points(times):
        expected[point - point % pane] = expected.get(point - point % pane, 0) + 1
    assert found == expected
    assert list(found) == sorted(found)


@given(SPANS, st.integers(0, 30))
def test_first_part_and_holding(spans, wanted):
    times = iv.union(spans)
    assert points(iv.first_ms_of(times, wanted)) == set(sorted(points(times))[:wanted])
    held = iv.holding(times, wanted)
    assert (held is not None) == (wanted in points(times))
    if held is not None:
        assert held in times
        assert held[0] <= wanted < held[1]
