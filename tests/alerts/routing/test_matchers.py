"""Matchers: what is written, what it fits, what is refused, and which entries nothing can take."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vendor=a\x00b", "U+0000 (a control character) at character 9"),
        ("vendor=a\nb", "U+000A (the end of a line) at character 9"),
        ("vendor=a\x7f", "U+007F (a control character) at character 9"),
        ("vendor=\u202ea", "U+202E (right-to-left override) at character 8"),
        ("vendor=a\u2028", "U+2028 (line separator) at character 9"),
    ],
)
def test_what_no_event_holds_is_no_part_of_a_matcher(text: str, said: str) -> None:
    with pytest.raises(MatcherFault) as fault:
        planned_matcher(text)
    assert f"holds {said}" in fault.value.reason
    assert text not in fault.value.reason  # it is shown, not obeyed


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


PATTERNS = st.lists(
    st.sampled_from(
        ["a", "b", ".", "[ab-]", "[^a]", "é", "|", "*", "+", "?", "(", ")", "{2}", "\\.", "\\-", "\\d", "\\w", "(?i)"]
    ),
    max_size=6,
).map("".join)


@given(PATTERNS, VALUES)
def test_a_regular_expression_fits_as_pythons_does(pattern: str, value: str) -> None:
    try:
        matcher = parse_matcher(matcher_text(Matcher("queue", "=~", pattern)))
        theirs = re.compile(pattern)
    except (MatcherFault, re.error):
        return  # a** and (?i) in the middle are read by one of them only
    if "*+" in pattern or "++" in pattern or "?+" in pattern or "}+" in pattern:
        return  # possessive in Python
    assert fits_value(matcher, value) is (theirs.fullmatch(value) is not None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a)|(b", '"a)|(b" is no regular expression: unopened group at character 2; write e.g. queue=~a|b'),
        (
            "(?!a).*",
            "look-around, including look-ahead and look-behind, is not supported at character 1; write what must not",
        ),
        (r"(a)\1", "backreferences are not supported at character 4; write out what may be repeated"),
        (r"(?:\w{100}){100}", "it is too large; write a shorter one"),
        ("(?x)a #", "unclosed group at character 3"),
    ],
)
def test_what_the_engine_does_not_have_is_refused_with_another_way(text: str, said: str) -> None:
    with pytest.raises(MatcherFault) as fault:
        parse_matcher(f"queue=~{text}")
    assert said in str(fault.value)


HOSTILE = ("(a+)+b", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)b", "a?" * 40 + "a" * 40 + "b")


def test_no_name_keeps_a_configured_matcher_busy(tmp_path: Path) -> None:
    name, file = "a" * 120, tmp_path / "floorwatch.yaml"
    windows = [f"    - {{name: w{n}, match: ['vendor=~{one}'], calendar: n}}" for n, one in enumerate(HOSTILE)]
    file.write_text(
        "alerts:\n  calendars: {n: {zone: UTC, times: [{from: '22:00', to: '07:00'}]}}\n  maintenance:\n"
        + "\n".join(windows)
        + f"\n  routing: [{{match: ['vendor!~{HOSTILE[0]}'], route: default}}]\n"
    )
    words = ("rules", "route", "--scope", f"vendor={name}", "--kind", "accuracy_low", "-c", str(file))
    # A process of its own: what is busy inside a regular expression hears of no timeout.
    found = subprocess.run(
        [sys.executable, "-m", "floorwatch", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "route default" in found.stdout
