"""The one parser of times: agrees with the decoder of events, and is exact."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.simulate.oracle_read import instant_us
from streams.core.time_text import FIRST_MS, LAST_MS, rfc3339
from streams.models.timestamps import BadTimestamp, parse_rfc3339, parse_rfc3339_ms, to_ms

FIRST, LAST = (datetime.fromisoformat(f"{day}T00:00:00") for day in ("2000-01-01", "2099-12-31"))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01.5Z", 1500),
        ("2026-11-22t18:00:00z", 1_795_370_400_000),
        ("2026-11-22 18:00:00+00:00", 1_795_370_400_000),
        (" 2026-11-23T02:00:00+0800 ", 1_795_370_400_000),
        ("2026-11-22T18:00:00.0019Z", 1_795_370_400_001),
        ("1969-12-31T23:59:59.9995Z", -1),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999),
    ],
)
def test_what_is_a_time(text: str, ms: int) -> None:
    assert parse_rfc3339_ms(text) == ms
    assert instant_us(text.strip()) // 1000 == ms  # the oracle reads by itself


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "is not a time"),
        ("", "is not a time"),
        ("2026-11-22T18:00:00", "has no zone"),
        ("2026-11-22", "has no zone"),
    ],
)
def test_what_is_none_says_how_to_write_one(text: str, said: str) -> None:
    with pytest.raises(BadTimestamp, match=said):
        parse_rfc3339(text)


@given(st.integers(FIRST_MS, LAST_MS))
def test_what_is_written_is_read_back_to_the_millisecond(time_ms: int) -> None:
    assert parse_rfc3339_ms(rfc3339(time_ms)) == time_ms


@given(
    st.datetimes(FIRST, LAST, timezones=st.just(timezone.utc)),
    st.integers(-14 * 60, 14 * 60),
)
def test_it_agrees_with_the_decoder_of_events(at: datetime, minutes: int) -> None:
    there = at.astimezone(timezone(timedelta(minutes=minutes)))
    text = there.isoformat()
    decoded = msgspec.json.decode(f'"{text}"', type=datetime)
    assert (
        to_ms(decoded)
        == parse_rfc3339_ms(text)
        == (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    )
