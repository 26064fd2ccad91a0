"""Budget, watch list, where to audit more; evidence in words; what throughput to expect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.detectors.bets import NANO, PaneCount
from streams.core.detectors.evidence_text import evidence_words, two_digits
from streams.core.detectors.expected import PaneWork, expected_nano, hour_of_week, phi_nano, rates
from streams.core.detectors.fleet import LEAST_BAR, bar_for, round_bar, wants_audits, watch_list

HOUR_MS = 3_600_000
MONDAY_MS = 4 * 24 * HOUR_MS  # 5 January 1970


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


def test_expected_counts_come_from_the_same_hour_of_the_week() -> None:
    history = [
        PaneWork(MONDAY_MS + 9 * HOUR_MS, 100, 3_600),
        PaneWork(MONDAY_MS + (168 + 9) * HOUR_MS, 140, 3_600),
        PaneWork(MONDAY_MS + 10 * HOUR_MS, 900, 3_600),
    ]
    by_hour = rates(history)
    assert hour_of_week(MONDAY_MS + 9 * HOUR_MS) == 9
    assert expected_nano(by_hour, MONDAY_MS + (336 + 9) * HOUR_MS, 900) == 30 * NANO
    assert expected_nano(by_hour, MONDAY_MS + (336 + 9) * HOUR_MS, 450) == 15 * NANO
    assert expected_nano(by_hour, MONDAY_MS + 8 * HOUR_MS, 900) == 0
    assert rates(reversed(history)) == by_hour


def test_scatter_is_estimated_and_never_below_poisson() -> None:
    assert phi_nano([PaneCount(6, 10 * NANO), PaneCount(14, 10 * NANO)]) == round(1.6 * NANO)
    assert phi_nano([PaneCount(10, 10 * NANO)] * 5) == NANO
    assert phi_nano([]) == NANO
    assert phi_nano([PaneCount(4, 0)]) == NANO
