"""The one grammar of durations, and the names of windows made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.durations import LONGEST_S, BadDuration, format_duration, parse_duration
from streams.core.window_names import BadWindow, same_window, window_ms, window_name, window_words


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (300, 300),
        ("300", 300),
        (" 5m ", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5d", 129_600),
        ("2d4h", 187_200),
        ("1w", 604_800),
        ("1w2d", 777_600),
        (0, 0),
    ],
)
def test_what_is_a_duration(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("soon", "write seconds (300)"),
        ("5 minutes", "write 5m"),
        ("1 hour and 30 min", "write 1h30m"),
        ("2 fortnights", "use ms, s, m, h, d or w"),
        ("-5m", "cannot be negative"),
        (-1, "cannot be negative"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (True, "write seconds"),
        ("7h30", "write seconds"),
        ("36501d", "write for example 90s"),
        ("99999999w", "write for example 90s"),
        ("2 weeks", "write 2w"),
        pytest.param("9" * 400, "write for example 90s", id="nines"),
        pytest.param(10**400, "write for example 90s", id="googol4"),
    ],
)
def test_what_is_none_says_how_to_write_one(written: object, hint: str) -> None:
    with pytest.raises(BadDuration) as caught:
        parse_duration(written)
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 200


@given(st.one_of(st.integers(0, int(LONGEST_S)), st.integers(0, 10**7).map(lambda ms: ms / 1000)))
def test_what_is_written_is_read_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("written", "name", "length_ms"),
    [
        ("1h30m", "1h30m", 5_400_000),
        ("24h", "24h", 86_400_000),
        (300, "5m", 300_000),
        ("1.5h", "90m", 5_400_000),
        ("day", "day", 86_400_000),
        ("shift", "shift", 86_400_000),
    ],
)
def test_names_of_windows(written: object, name: str, length_ms: int) -> None:
    assert window_name(written) == name
    assert window_ms(name) == length_ms


@pytest.mark.parametrize("written", ["week", "0m", 0, "-1h", None, True])
def test_what_is_no_window(written: object) -> None:
    with pytest.raises(BadWindow, match="window"):
        window_name(written)


def test_a_window_may_be_asked_for_by_its_length() -> None:
    kept = ["1h", "24h", "day"]
    assert [same_window(asked, kept) for asked in ("1h", "60m", "1d", "day")] == ["1h", "1h", "24h", "day"]
    assert [same_window(asked, kept) for asked in ("2h", "shift", "soon", "")] == [None] * 4


def test_windows_in_a_sentence() -> None:
    assert [window_words(name) for name in ("1h30m", "day")] == ["the last 1h30m", "the day so far"]
