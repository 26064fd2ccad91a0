"""Matchers: what is written, what it fits, what is refused, and which entries nothing can take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.routing.matchers import (
    MOST_TEXT,
    NAMES,
    MatcherFault,
    fits,
    fits_value,
    implied,
    matcher_text,
    parse_matcher,
    planned_matcher,
    possible,
)
from alerts.routing.policy import Matcher, Subject

SUBJECT = Subject("k", "accuracy_low", "quality", "page", {"vendor": "bpo-a", "queue": "hate"})
VALUES = st.text(st.sampled_from('ab-."\\ |é\n'), max_size=6)


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("vendor=bpo-a", True),
        ("vendor = bpo-a ", True),
        ('vendor="bpo-a"', True),
        ("vendor=bpo", False),
        ("vendor!=bpo-b", True),
        ("vendor=~bpo-.", True),
        ("vendor=~bpo", False),
        ("vendor=~(?i)BPO-A", True),
        ("vendor!~bpo", True),
        ("vendor!~bpo-.", False),
        ("site=", True),
        ('site=""', True),
        ("site!=kul", True),
        ("site=~.+", False),
        ("severity=~page|warn", True),
        ("kind=accuracy_low", True),
        ("rule!=quality", False),
    ],
)
def test_a_matcher_fits_as_alertmanagers_do(text: str, fitting: bool) -> None:
    assert fits(parse_matcher(text), SUBJECT) is fitting


@given(st.sampled_from(NAMES), st.sampled_from(["=", "!="]), VALUES)
def test_what_is_written_is_read_back(name: str, op: str, value: str) -> None:
    matcher = Matcher(name, "=" if op == "=" else "!=", value)
    assert parse_matcher(matcher_text(matcher)) == matcher


@given(st.sampled_from(["=~", "!~"]), VALUES.map(re.escape))
def test_so_is_a_regular_expression(op: str, value: str) -> None:
    matcher = Matcher("queue", "=~" if op == "=~" else "!~", value)
    assert parse_matcher(matcher_text(matcher)) == matcher


@given(st.text(max_size=20))
def test_any_text_is_a_matcher_or_a_fault_with_a_hint(text: str) -> None:
    try:
        assert parse_matcher(text).name
    except MatcherFault as fault:
        assert fault.reason
        assert fault.hint


@pytest.mark.parametrize("text", ["vendor=a\x00b", "vendor=a\nb", "vendor=a\x7f"])
def test_a_control_character_is_no_part_of_a_planned_window(text: str) -> None:
    with pytest.raises(MatcherFault, match="holds a control character"):
        planned_matcher(text)


def test_a_very_long_matcher_is_refused() -> None:
    with pytest.raises(MatcherFault, match="1,000 at most"):
        parse_matcher("queue=" + "x" * MOST_TEXT)


MATCHERS = st.builds(
    lambda op, text: parse_matcher(f"queue{op}{text}"),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", "a", "b", "a|b", "a|c", "b|c", "a.*", "[ab]"]),
)


@given(st.lists(MATCHERS, max_size=4), MATCHERS, st.sampled_from(["", "a", "b", "c", "ab", "a|b", "[ab]"]))
def test_what_is_said_to_be_impossible_or_implied_is(given_: list[Matcher], other: Matcher, value: str) -> None:
    if not all(fits_value(one, value) for one in given_):
        return
    values = possible(given_, "queue")
    assert values is None or value in values
    if implied(other, tuple(given_)):
        assert fits_value(other, value)
