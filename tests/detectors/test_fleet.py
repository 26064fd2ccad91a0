"""Budget, watch list, where to audit more; evidence in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.detectors.evidence_text import evidence_words, two_digits
from streams.core.detectors.fleet import LEAST_BAR, bar_for, round_bar, wants_audits, watch_list


def test_the_bar_of_the_design_fleet() -> None:
    assert bar_for(21_000, 7) == 147_000.0
    assert bar_for(3, 7) == LEAST_BAR


@pytest.mark.parametrize(("per_day", "days"), [(-1, 7), (100, 0)])
def test_a_budget_out_of_range_is_refused(per_day, days) -> None:
    with pytest.raises(ValueError, match="bar_for"):
        bar_for(per_day, days)


@given(st.floats(1.0, 1e12))
def test_a_rounded_bar_is_never_lower_and_at_most_twice_as_high(bar) -> None:
    rounded = round_bar(bar)
    assert bar * (1 - 1e-9) <= rounded <= bar * 2
    assert round_bar(rounded) == rounded


def test_watch_list_takes_the_longest_list_that_holds() -> None:
    scores = {"a": 90.0, "b": 34.0, "c": 33.4, "d": 20.0, "e": 1.0}
    # k=2: 34 < 50 fails, k=3: 33.4 >= 33.3 holds, k=4: 20 < 25 fails.
    assert watch_list(scores, 100.0) == ("a", "b", "c")
    assert watch_list({"a": 99.0}, 100.0) == ()
    assert watch_list({}, 100.0) == ()


def test_audits_are_wanted_above_the_root_of_the_bar_but_not_where_it_fires_already() -> None:
    assert wants_audits({"a": 11.0, "b": 500.0, "c": 10.0, "d": 12.0}, 100.0, firing=["b"]) == ("d", "a")


@given(st.floats(0.0, 1e12), st.sampled_from((1_000.0, 150_000.0)))
def test_words_never_claim_what_is_not_reached(score, bar) -> None:
    shown = two_digits(score)
    assert shown <= score
    assert (shown >= bar) == (score >= bar)


def test_words() -> None:
    assert evidence_words(213_456.7, 150_000.0) == "evidence 210,000 : 1 (bar 150,000)"
    assert evidence_words(1e100, 150_000.0) == "evidence over 1,000,000,000 : 1 (bar 150,000)"
    assert evidence_words(0.4, 1_000.0) == "evidence 0 : 1 (bar 1,000)"
