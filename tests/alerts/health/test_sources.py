"""A source that usually sends is silent; nights, weekends, new sources and rare ones are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.health.facts import StreamFault
from alerts.health.sources import QUARTER_MS, SourceCounts, SourceLimits, quarters_wanted, silences, silent_so_far
from alerts.message.compose import compose_members
from alerts.message.model import Reader
from alerts.message.titles import Member
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS
from tests.alerts.health.test_stream_incidents import incident

MONDAY_MS = 1_764_547_200_000  # 2025-12-01, midnight UTC
Rate = Callable[[int], int]
"""From a minute to the events that come in it."""


def steady(per_minute: int) -> Rate:
    return lambda _at_ms: per_minute


def office(at_ms: int) -> int:
    """40 events a minute from 9 to 17, Monday to Friday."""
    hour, day = at_ms // HOUR_MS % 24, (at_ms - MONDAY_MS) // DAY_MS % 7
    return 40 if 9 <= hour < 17 and day < 5 else 0


def found(
    rates: dict[str, tuple[Rate, int]],
    now_ms: int,
    since_ms: int = MONDAY_MS,
    limits: SourceLimits = SourceLimits(),  # noqa: B008 - frozen
    told: tuple[str, ...] = (),
) -> list[StreamFault]:
    """What is silent now, of sources with a rate that end at a time; only the quarters that are asked for are known."""
    last_ms: dict[str, int] = {}
    counted: dict[int, Counter[str]] = defaultdict(Counter)
    for name, (rate, end_ms) in rates.items():
        for at_ms in range(since_ms, min(end_ms, now_ms), MINUTE_MS):
            if number := rate(at_ms):
                last_ms[name] = at_ms
                counted[at_ms // QUARTER_MS][name] += number
    known = SourceCounts(since_ms, last_ms)
    wanted = quarters_wanted(known, silent_so_far(known, limits, now_ms), now_ms)
    counts = {quarter: {name: counted[quarter][name] for name in names} for quarter, names in wanted.items()}
    assert sum(map(len, wanted.values())) <= 10 * len(rates)
    return silences(SourceCounts(since_ms, last_ms, counts), limits, now_ms, told)


def scopes(faults: list[StreamFault]) -> list[dict[str, str]]:
    return [fault.scope for fault in faults]


WEDNESDAY_11 = MONDAY_MS + 9 * DAY_MS + 11 * HOUR_MS
STOPS = WEDNESDAY_11 - 20 * MINUTE_MS


def test_a_source_that_stops_in_its_hours_is_told_with_what_is_usual() -> None:
    other = (steady(5), WEDNESDAY_11)
    (fault,) = found({"label-studio/kul": (office, STOPS), "audits": other}, WEDNESDAY_11)
    assert fault.scope == {"source": "label-studio/kul"}
    assert fault.since_ms == STOPS - MINUTE_MS
    assert fault.figures == {"usual_per_hour": 2_400}
    assert "at this time a week ago it sent 40 events a minute" in fault.evidence
    message = compose_members([Member(incident(fault), "open")], Reader("Asia/Kuala_Lumpur", place="KUL"))
    assert message.title.startswith("source label-studio/kul: silent (usually 40 events a minute), since ")
    assert message.title.endswith("KUL")
    over = compose_members([Member(incident(fault, over=True), "resolved-0")], Reader())
    assert over.title.startswith("Resolved: source label-studio/kul: sends again")


@pytest.mark.parametrize(
    ("when", "now_ms"),
    [
        ("at night", MONDAY_MS + 9 * DAY_MS + 3 * HOUR_MS),
        ("just after hours", MONDAY_MS + 9 * DAY_MS + 17 * HOUR_MS + 15 * MINUTE_MS),
        ("seven minutes after it ended as early", MONDAY_MS + 9 * DAY_MS + 17 * HOUR_MS + 7 * MINUTE_MS),
        ("on a Saturday at noon", MONDAY_MS + 12 * DAY_MS + 12 * HOUR_MS),
        ("on the second Monday before nine", MONDAY_MS + 14 * DAY_MS + 8 * HOUR_MS),
        ("in the first week, at night", MONDAY_MS + 2 * DAY_MS + 3 * HOUR_MS),
    ],
)
def test_hours_without_work_are_no_silence(when: str, now_ms: int) -> None:
    assert found({"kul": (office, now_ms), "audits": (steady(5), now_ms)}, now_ms) == [], when


def test_a_shift_that_ends_a_little_earlier_is_no_silence() -> None:
    ends_ms = MONDAY_MS + 9 * DAY_MS + 16 * HOUR_MS + 50 * MINUTE_MS
    for minute in range(10, 60):
        now_ms = ends_ms + minute * MINUTE_MS
        assert found({"kul": (office, ends_ms), "audits": (steady(5), now_ms)}, now_ms) == []


def test_in_its_first_week_the_day_before_counts_and_on_its_first_day_what_came_before() -> None:
    tuesday_11 = MONDAY_MS + DAY_MS + 13 * HOUR_MS
    rates = {"kul": (office, tuesday_11 - 20 * MINUTE_MS), "audits": (steady(5), tuesday_11)}
    (fault,) = found(rates, tuesday_11)
    assert "yesterday" in fault.evidence
    first = MONDAY_MS + 11 * HOUR_MS
    (fault,) = found(
        {"kul": (office, first - 20 * MINUTE_MS), "audits": (steady(5), first)}, first, MONDAY_MS + 9 * HOUR_MS
    )
    assert "before that it sent 39 events a minute" in fault.evidence


@pytest.mark.parametrize(
    ("rate", "silent_min", "told"),
    [(steady(40), 9, False), (steady(40), 10, True), (steady(1), 19, False), (steady(1), 20, True)],
)
def test_a_silence_is_told_when_it_is_long_enough_and_twenty_events_are_missing(
    rate: Rate, silent_min: int, told: bool
) -> None:
    now_ms = WEDNESDAY_11
    # The last event came at the beginning of the minute before it ended.
    rates = {"kul": (rate, now_ms - (silent_min - 1) * MINUTE_MS), "audits": (steady(5), now_ms)}
    assert bool(found(rates, now_ms)) is told


def test_a_source_heard_of_for_a_few_minutes_is_not_judged() -> None:
    now_ms = MONDAY_MS + 11 * HOUR_MS
    new = (lambda at_ms: 40 if at_ms >= now_ms - 40 * MINUTE_MS else 0, now_ms - 20 * MINUTE_MS)
    assert found({"new": new}, now_ms, since_ms=now_ms - 40 * MINUTE_MS) == []


def test_a_rare_source_has_a_threshold_of_its_own_or_none() -> None:
    now_ms = WEDNESDAY_11
    daily = (lambda at_ms: int(at_ms % DAY_MS == 2 * HOUR_MS), now_ms)
    rates = {"nightly/ads": daily, "nightly/hate": daily, "audits": (steady(5), now_ms)}
    assert found(rates, now_ms) == []
    own = SourceLimits(own_ms={"nightly/*": 26 * HOUR_MS, "nightly/ads": 8 * HOUR_MS})
    (fault,) = found(rates, now_ms, limits=own)
    assert (fault.scope, fault.limit_ms) == ({"source": "nightly/ads"}, 8 * HOUR_MS)
    message = compose_members([Member(incident(fault), "open")], Reader())
    assert message.title.startswith("source nightly/ads: silent for 9 h (at most 8 h)")


def test_a_quiet_source_is_never_told() -> None:
    rates = {"backfill/1": (steady(40), STOPS), "audits": (steady(5), WEDNESDAY_11)}
    assert scopes(found(rates, WEDNESDAY_11)) == [{"source": "backfill/1"}]
    assert found(rates, WEDNESDAY_11, limits=SourceLimits(quiet=("backfill/*",))) == []


def test_where_no_source_sends_the_whole_floor_speaks() -> None:
    rates: dict[str, tuple[Rate, int]] = {"a": (steady(40), STOPS), "b": (steady(20), STOPS)}
    faults = found(rates, WEDNESDAY_11)
    assert scopes(faults) == [{"source": "a"}, {"source": "b"}, {}]
    assert faults[-1].figures == {"usual_per_hour": 3_600}
    assert "No source sends anything since" in faults[-1].evidence
    assert scopes(found({**rates, "c": (steady(1), WEDNESDAY_11)}, WEDNESDAY_11)) == [{"source": "a"}, {"source": "b"}]


def test_what_was_told_lasts_until_the_source_sends() -> None:
    night = MONDAY_MS + 9 * DAY_MS + 20 * HOUR_MS
    rates = {"kul": (office, STOPS), "audits": (steady(5), night)}
    assert found(rates, night) == []
    assert scopes(found(rates, night, told=("kul",))) == [{"source": "kul"}]
    assert found({**rates, "kul": (steady(40), night)}, night, told=("kul",)) == []


@pytest.mark.slow
@given(st.integers(0, 13 * 24 * 60), st.integers(1, 60))
def test_a_source_that_keeps_its_hours_is_never_told(minute: int, per_minute: int) -> None:
    """Once a week is known, whenever one looks."""
    now_ms = MONDAY_MS + 7 * DAY_MS + 2 * HOUR_MS + minute * MINUTE_MS
    rate: Rate = lambda at_ms: per_minute * (office(at_ms) > 0)
    start_ms = now_ms - 7 * DAY_MS - 3 * HOUR_MS
    assert found({"kul": (rate, now_ms)}, now_ms, since_ms=start_ms) == []
