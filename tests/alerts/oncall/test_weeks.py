"""Weeks on call minute by minute, those included in which the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.incident import Maintenance, Override
from alerts.oncall.duty import active, duties, gaps, maintenance_on, on_duty
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy, Span, WeeklyTimes
from streams.models.timestamps import BadTimestamp, parse_local
from tests.alerts.oncall.oracle import MINUTE, clock, ms, people

NOBODY = RotaFacts()
ALL = (0, 1, 2, 3, 4, 5, 6)
WEEKS = {  # zone, Monday of the week
    "London forward": ("Europe/London", datetime(2026, 3, 23, tzinfo=UTC)),
    "London back": ("Europe/London", datetime(2026, 10, 19, tzinfo=UTC)),
    "New York forward": ("America/New_York", datetime(2026, 3, 2, tzinfo=UTC)),
    "New York back": ("America/New_York", datetime(2026, 10, 26, tzinfo=UTC)),
    "Kuala Lumpur": ("Asia/Kuala_Lumpur", datetime(2026, 3, 23, tzinfo=UTC)),
}
NIGHTS = WeeklyTimes((0, 1, 2, 3, 4), 22 * 60, 7 * 60)
WEEKEND = WeeklyTimes((5, 6))
CHANGED = WeeklyTimes(
    (5, 6), 90, 150
)  # 01:30 to 02:30, on the Sunday around each change in London, and near that in New York


def at_utc(text: str) -> int:
    return ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def clock_of(week: str):
    zone, monday = WEEKS[week]
    return clock(zone, monday - timedelta(days=8), 26), monday  # turns that begin within 8 days end within 15


def rota(zone: str, monday: datetime, overrides: tuple[Override, ...] = ()) -> SchedulePolicy:
    start = (monday - timedelta(days=5)).strftime("%Y-%m-%d")
    layers = (
        RotaLayer(("mei", "arif", "priya"), f"{start}T09:00", 24),
        RotaLayer(("sam", "ann"), f"{start}T01:30", 12, (WEEKEND, WeeklyTimes((2,), 600, 660))),
        RotaLayer(("kim",), f"{start}T00:00", 168, (CHANGED,)),
    )
    return SchedulePolicy("lead", zone, layers, overrides)


@pytest.mark.slow
@pytest.mark.parametrize("week", WEEKS)
def test_a_week_minute_by_minute(week: str) -> None:
    of, monday = clock_of(week)
    at = ms(monday)
    schedule = rota(WEEKS[week][0], monday, (Override("o", "lead", "zoe", at + 90_000_000, at + 99_000_000, "ann", 1),))
    want = people(schedule, of)
    week_of = [monday + n * MINUTE for n in range(8 * 1440)]
    got = {at: [duty.person for duty in on_duty(schedule, NOBODY, ms(at))] for at in week_of}
    assert got == {at: [want[at]] if at in want else [] for at in week_of}


@pytest.mark.slow
@pytest.mark.parametrize("week", WEEKS)
def test_quiet_hours_of_a_week_minute_by_minute(week: str) -> None:
    of, monday = clock_of(week)
    calendar = CalendarPolicy("nights", WEEKS[week][0], (NIGHTS, CHANGED, WeeklyTimes((6,), 0, 60)))
    want = of.on(calendar.times)
    ends = next(monday + n * MINUTE for n in range(8 * 1440, 20 * 1440) if monday + n * MINUTE not in want)
    after = active(calendar, NOBODY, ms(monday + 8 * 1440 * MINUTE))
    for at in (
        monday + n * MINUTE for n in reversed(range(8 * 1440))
    ):  # from the end, so that each minute knows the end of its span
        span = active(calendar, NOBODY, ms(at))
        assert (span is not None) == (at in want), at
        if span is None:
            ends = at
        elif span.to_ms is not None:
            assert span.from_ms <= ms(at) < span.to_ms == ms(ends), at
            assert span.to_ms - ms(at) <= 60_000 or after == span, at
        after = span


TABLE = [  # by hand: zone, instant in UTC, who. Turns of a day from 09:00, the first of mei.
    ("Europe/London", "2026-03-28T08:59Z", "priya"), ("Europe/London", "2026-03-28T09:00Z", "mei"),
    ("Europe/London", "2026-03-29T07:59Z", "mei"), ("Europe/London", "2026-03-29T08:00Z", "arif"),  # 09:00 is 08:00Z now
    ("Europe/London", "2026-10-24T08:00Z", "mei"), ("Europe/London", "2026-10-25T08:59Z", "mei"),
    ("Europe/London", "2026-10-25T09:00Z", "arif"),
    ("America/New_York", "2026-03-07T14:00Z", "mei"), ("America/New_York", "2026-03-08T12:59Z", "mei"),
    ("America/New_York", "2026-03-08T13:00Z", "arif"), ("America/New_York", "2026-11-01T13:59Z", "mei"),
    ("America/New_York", "2026-11-01T14:00Z", "arif"), ("Asia/Kuala_Lumpur", "2026-03-29T00:59Z", "mei"),
    ("Asia/Kuala_Lumpur", "2026-03-29T01:00Z", "arif"),
]  # fmt: skip
STARTS = {"2026-03-0": "2026-03-04", "2026-03-2": "2026-03-25", "2026-10": "2026-10-21", "2026-11": "2026-10-28"}


@pytest.mark.parametrize(("zone", "at", "who"), TABLE)
def test_a_turn_is_handed_over_at_nine_whatever_the_clock(zone: str, at: str, who: str) -> None:
    start = next(day for begin, day in STARTS.items() if at.startswith(begin))
    schedule = SchedulePolicy("lead", zone, (RotaLayer(("mei", "arif", "priya"), f"{start}T09:00", 24),))
    found = on_duty(schedule, NOBODY, ms(datetime.fromisoformat(at)))
    assert [duty.person for duty in found] == [who]


def test_a_time_that_is_left_out_is_later_and_one_that_happens_twice_is_the_first() -> None:
    calendar = CalendarPolicy("c", "Europe/London", (WeeklyTimes((6,), 90, 180),))
    forward = active(calendar, NOBODY, ms(datetime(2026, 3, 29, 1, 45, tzinfo=UTC)))
    assert forward == Span(ms(datetime(2026, 3, 29, 1, 30, tzinfo=UTC)), ms(datetime(2026, 3, 29, 2, 0, tzinfo=UTC)))
    back = active(calendar, NOBODY, ms(datetime(2026, 10, 25, 2, 0, tzinfo=UTC)))
    assert back == Span(ms(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)), ms(datetime(2026, 10, 25, 3, 0, tzinfo=UTC)))


def test_days_that_touch_are_one_span_and_what_never_ends_has_no_end() -> None:
    at = ms(datetime(2026, 12, 6, 12, tzinfo=UTC))
    weekend = active(CalendarPolicy("w", "Asia/Kuala_Lumpur", (WEEKEND,)), NOBODY, at)
    assert weekend == Span(ms(datetime(2026, 12, 4, 16, tzinfo=UTC)), ms(datetime(2026, 12, 6, 16, tzinfo=UTC)))
    always = active(CalendarPolicy("a", "Asia/Kuala_Lumpur", (WeeklyTimes(ALL),)), NOBODY, at)
    assert always is not None
    assert always.to_ms is None
    assert active(CalendarPolicy("n", "Asia/Kuala_Lumpur"), NOBODY, at) is None


weekly = st.builds(
    WeeklyTimes, st.sets(st.integers(0, 6), min_size=1).map(tuple), st.integers(0, 1439), st.integers(0, 1440)
)
DAY = datetime(2026, 3, 16, tzinfo=UTC)


@st.composite
def schedules(draw: st.DrawFn) -> SchedulePolicy:
    week = draw(st.sampled_from(sorted(WEEKS)))
    zone, monday = WEEKS[week]
    start = st.integers(0, 3 * 1440).map(lambda n: (monday - timedelta(days=6) + n * MINUTE).strftime("%Y-%m-%dT%H:%M"))
    names = st.lists(st.sampled_from(("mei", "arif", "sam")), min_size=1, max_size=3).map(tuple)
    only = st.lists(weekly, max_size=2).map(tuple)
    layer = st.builds(RotaLayer, names, start, st.sampled_from((2, 8, 12, 24, 48, 168)), only)
    minute = st.integers(-1440, 8 * 1440).map(lambda n: ms(monday) + n * 60_000)
    overrides = [
        Override(f"o{n}", "lead", f"over{n}", *sorted(draw(st.tuples(minute, minute))), by="ann", at_ms=n)
        for n in range(draw(st.integers(0, 2)))
    ]
    return SchedulePolicy("lead", zone, tuple(draw(st.lists(layer, max_size=3))), tuple(overrides))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(schedules(), st.sampled_from(sorted(WEEKS)))
def test_any_rota_is_as_the_oracle_says(schedule: SchedulePolicy, week: str) -> None:
    of, monday = clock_of(week)
    schedule = SchedulePolicy(schedule.name, WEEKS[week][0], schedule.layers, schedule.overrides)
    start = (monday - timedelta(days=6)).strftime("%Y-%m-%d")
    layers = tuple(RotaLayer(one.people, start + one.start[10:], one.turn_hours, one.only) for one in schedule.layers)
    schedule = SchedulePolicy(schedule.name, schedule.zone, layers, schedule.overrides)
    want = people(schedule, of)
    begin, end = ms(monday), ms(monday + timedelta(days=8))
    spans = duties(schedule, NOBODY, begin, end)
    assert [one.to_ms for one in spans[:-1]] == [one.from_ms for one in spans[1:]]
    assert (spans[0].from_ms, spans[-1].to_ms) == (begin, end)
    for span in spans:
        assert len(span.duties) <= 1  # no calendar: at most one person
        for at in range(span.from_ms, span.to_ms, 60_000):
            minute = datetime.fromtimestamp(at // 1000, UTC)
            assert [one.person for one in span.duties] == ([want[minute]] if minute in want else []), minute
    for at in range(begin, end, 47 * 60_000):
        assert on_duty(schedule, NOBODY, at) == next(one.duties for one in spans if one.from_ms <= at < one.to_ms)
    empty = {at for one in gaps(schedule, NOBODY, begin, end) for at in range(one.from_ms, one.to_ms or 0, 60_000)}
    assert empty == {at for at in range(begin, end, 60_000) if datetime.fromtimestamp(at // 1000, UTC) not in want}
    for override in schedule.overrides:
        if begin <= override.from_ms < min(end, override.to_ms):
            assert on_duty(schedule, NOBODY, override.from_ms)[0].person.startswith("over")


def test_what_the_log_says_of_overrides_wins_and_can_be_taken_back() -> None:
    monday = ms(WEEKS["Kuala Lumpur"][1])
    mine = Override("o", "lead", "zoe", monday, monday + 10, "ann", 1)
    schedule = rota("Asia/Kuala_Lumpur", WEEKS["Kuala Lumpur"][1], (mine,))
    assert on_duty(schedule, NOBODY, monday)[0].why == "schedule lead, override o by ann"
    removed = RotaFacts(overrides={"o": Override("o", "lead", "zoe", monday, monday + 10, "ann", 2, removed=True)})
    assert on_duty(schedule, removed, monday)[0].why == "schedule lead, layer 1"
    later = Override("p", "lead", "bo", monday, monday + 10, "ann", 3)
    other = Override("q", "other", "xi", monday, monday + 10, "ann", 4)
    assert on_duty(schedule, RotaFacts(overrides={"p": later, "q": other}), monday)[0].person == "bo"
    assert on_duty(schedule, RotaFacts(overrides={"p": later}), monday + 10)[0].why == "schedule lead, layer 1"


def test_a_turn_that_begins_in_an_hour_that_happens_twice_begins_once() -> None:
    layer = RotaLayer(("mei", "arif"), "2026-10-24T01:30", 24)
    schedule = SchedulePolicy("lead", "Europe/London", (layer,))
    found = {
        at: on_duty(schedule, NOBODY, at_utc(f"2026-10-25T{at}"))[0].person
        for at in ("00:29", "00:30", "01:10", "01:40")
    }
    assert found == {"00:29": "mei", "00:30": "arif", "01:10": "arif", "01:40": "arif"}


def test_of_two_layers_that_name_somebody_the_later_one_counts() -> None:
    start = "2026-11-30T09:00"
    layers = (RotaLayer(("mei",), start, 24), RotaLayer(("sam",), start, 24, (WeeklyTimes((5,)),)))
    schedule = SchedulePolicy("lead", "Asia/Kuala_Lumpur", layers)
    (friday,), (saturday,) = (on_duty(schedule, NOBODY, at_utc(f"2026-12-0{day}T04:00")) for day in (4, 5))
    assert (friday.person, friday.why) == ("mei", "schedule lead, layer 1")
    assert (saturday.person, saturday.why) == ("sam", "schedule lead, layer 2")


def test_maintenance_of_the_log_holds_from_its_begin_until_before_its_end() -> None:
    one = Maintenance("b", ("site=kul",), 10, 20, "ann", 1)
    two = Maintenance("a", ("site=pen",), 15, 30, "ann", 1)
    gone = Maintenance("c", (), 0, 99, "ann", 1, removed=True)
    facts = RotaFacts(maintenance={each.id: each for each in (one, two, gone)})
    found = {at: [each.id for each in maintenance_on(facts, at)] for at in (9, 10, 19, 20, 29, 30)}
    assert found == {9: [], 10: ["b"], 19: ["a", "b"], 20: ["a"], 29: ["a"], 30: []}


def test_a_layer_names_nobody_before_its_start_and_one_without_people_never() -> None:
    start = at_utc("2026-11-30T01:00")
    schedule = SchedulePolicy(
        "lead",
        "Asia/Kuala_Lumpur",
        (RotaLayer(("mei",), "2026-11-30T09:00", 24), RotaLayer((), "2026-11-30T09:00", 24)),
    )
    assert on_duty(schedule, NOBODY, start - 1) == ()
    assert [one.person for one in on_duty(schedule, NOBODY, start)] == ["mei"]
    assert gaps(schedule, NOBODY, start - 50, start + 50) == [Span(start - 50, start)]


@pytest.mark.parametrize("text", ["2026-11-30T09:00Z", "2026-11-30T09:00+08:00", "9 o'clock", ""])
def test_the_start_of_a_layer_is_a_local_time(text: str) -> None:
    with pytest.raises(BadTimestamp, match="2026-11-30T09:00"):
        parse_local(text)
