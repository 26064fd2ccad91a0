"""iCalendar files of others: what they say, what is wrong in them with its line, and that none of them keeps us busy."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import pairwise
from pathlib import Path

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.incident import Calendar
from alerts.oncall.duty import active, duties, on_duty
from alerts.oncall.export import to_ical
from alerts.oncall.ical import MOST_REPEATED, calendar_faults, occurrences
from alerts.oncall.ical_rules import rule_fault
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy, Span, WeeklyTimes
from streams.models.timestamps import DAY_MS
from tests.alerts.oncall.oracle import ms

DATA = Path(__file__).parent / "data"
KUL = "Asia/Kuala_Lumpur"


def at(text: str) -> int:
    return ms(datetime.fromisoformat(text))


def facts(text: str) -> RotaFacts:
    return RotaFacts(calendars={"rota": Calendar("rota", "00", text, 0)})


def who(text: str, when: str, zone: str = KUL, **more: object) -> list[str]:
    schedule = SchedulePolicy("lead", zone, ical="rota", **more)  # type: ignore[arg-type]
    return [one.person for one in on_duty(schedule, facts(text), at(when))]


def read(name: str) -> str:
    return (DATA / f"{name}.ics").read_bytes().decode()


ZONED = """BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1
DTSTART;TZID=Customized Time Zone:20261201T090000
DTEND;TZID=Customized Time Zone:20261201T170000
RRULE:FREQ=DAILY;COUNT=9
SUMMARY:{who}
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_a_zone_that_one_calendar_defines_is_not_that_of_the_next() -> None:
    for offset, who_is in [("+0500", "mei"), ("+0800", "arif"), ("-0300", "priya")] * 2:
        text = ZONED.format(offset=offset, who=who_is)
        for day in ("01", "09"):
            begin = f"2026-12-{day}T09:00{offset[:3]}:{offset[3:]}"
            before = f"2026-12-{day}T08:59{offset[:3]}:{offset[3:]}"
            assert who(text, begin, person_from="summary") == [who_is]
            assert who(text, before, person_from="summary") == []
    undefined = ZONED.format(offset="+0500", who="lee").partition("BEGIN:VEVENT")
    without = "BEGIN:VCALENDAR\r\n" + "".join(undefined[1:])
    (fault,) = calendar_faults(without, "summary")
    assert "no time zone that is known" in fault.reason


NAMES = {"Mei Tan": "mei", "Arif": "arif", "mei@floor.example": "mei", "priya": "priya"}


@pytest.mark.parametrize(
    ("name", "zone", "person_from", "when", "people"),
    [
        ("google", KUL, "summary", "2026-11-30T09:00+08:00", ["mei"]),
        ("google", KUL, "summary", "2026-11-30T08:59+08:00", []),
        ("google", KUL, "summary", "2026-12-02T10:00+08:00", ["arif"]),  # one event is changed
        ("google", KUL, "summary", "2026-12-07T10:00+08:00", []),  # one is left out
        ("google", KUL, "summary", "2026-12-09T10:00+08:00", ["mei"]),
        ("google", KUL, "summary", "2026-12-25T00:00+08:00", ["priya"]),  # a day of the schedule's zone
        ("google", KUL, "summary", "2026-12-26T00:00+08:00", []),
        ("google", KUL, "summary", "2026-12-26T09:30+08:00", []),  # cancelled
        ("outlook", "UTC", "summary", "2026-03-27T09:00+00:00", ["Sam Hill"]),
        ("outlook", "UTC", "summary", "2026-03-30T08:00+00:00", ["Sam Hill"]),  # summer time
        ("outlook", "UTC", "summary", "2026-03-30T17:00+00:00", []),
        ("outlook", "UTC", "summary", "2026-04-06T09:00+00:00", []),  # after the tenth
        ("pagerduty", KUL, "summary", "2026-12-01T00:00+00:00", ["mei"]),  # a known name in the text
        ("pagerduty", KUL, "attendee", "2026-12-01T00:00+00:00", ["mei"]),
        ("pagerduty", KUL, "attendee", "2026-12-08T00:00+00:00", ["arif"]),
        ("opsgenie", KUL, "summary", "2026-11-30T12:59+00:00", ["mei"]),
        ("opsgenie", KUL, "summary", "2026-11-30T14:00+00:00", ["priya", "arif"]),
    ],
)
def test_files_of_others(name: str, zone: str, person_from: str, when: str, people: list[str]) -> None:
    assert calendar_faults(read(name), person_from) == ()
    assert who(read(name), when, zone, person_from=person_from, known_as=NAMES) == people


def event(*lines: str, uid: str = "1") -> list[str]:
    return ["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"]


def calendar(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *lines, "END:VCALENDAR", ""])


GOOD = event("DTSTART:20261130T090000Z", "DURATION:PT1H", "SUMMARY:good", uid="good")
START, SUMMARY = "DTSTART:20261130T010000Z", "SUMMARY:mei"
FAULTS = {  # lines of an event from line 5, line of the fault, reason, hint
    "no start": ((SUMMARY,), 3, "no DTSTART", "add DTSTART"),
    "time as people write it": (
        ("DTSTART:2026-11-30T09:00:00Z", SUMMARY),
        5,
        '"2026-11-30T09:00:00Z"',
        "20261130T090000Z",
    ),
    "no person": ((START, "DURATION:PT1H"), 3, "no SUMMARY", "person_from"),
    "zone": (("DTSTART;TZID=Mars/Olympus:20261130T010000", SUMMARY), 5, '"Mars/Olympus"', "IANA"),
    "zone of an exception": ((START, "EXDATE;TZID=Mars:20261130T010000", SUMMARY), 6, '"Mars"', "VTIMEZONE"),
    "end first": ((START, "DTEND:20261129T010000Z", SUMMARY), 6, "ends before it begins", "after DTSTART"),
    "date and time": ((START, "DTEND;VALUE=DATE:20261201", SUMMARY), 6, "is a date", "alike"),
    "too long": ((START, "DTEND:20281129T010000Z", SUMMARY), 6, "more than 366 days", "several"),
    "too long to repeat": ((START, "DURATION:P40D", "RRULE:FREQ=DAILY", SUMMARY), 6, "more than 31 days", "shorter"),
    "too early": (("DTSTART:19010101T000000Z", SUMMARY), 5, "before 1990", "later"),
    "frequency": ((START, SUMMARY, "RRULE:FREQ=SOMETIMES"), 7, "RRULE cannot be read", "FREQ=WEEKLY"),
    "each second": ((START, SUMMARY, "RRULE:FREQ=SECONDLY"), 7, "SECONDLY", "FREQ=DAILY"),
    "no interval": ((START, SUMMARY, "RRULE:FREQ=DAILY;INTERVAL=0"), 7, "INTERVAL=0", "from 1 to 1000"),
    "never": ((START, SUMMARY, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), 7, "no such month", "the month has"),
    "never either": ((START, SUMMARY, "RRULE:FREQ=DAILY;BYDAY=MO;BYSETPOS=9"), 7, "BYSETPOS", "first Monday"),
    "never in a leap year": (
        (START, SUMMARY, "RRULE:FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29"),
        7,
        "INTERVAL=4 with a day",
        "leave one",
    ),
    "never on a fifth": (
        (START, SUMMARY, "RRULE:FREQ=MONTHLY;INTERVAL=12;BYDAY=5MO"),
        7,
        "INTERVAL=12 with",
        "leave one",
    ),
    "a Monday the 13th each 28 years": (
        (START, SUMMARY, "RRULE:FREQ=YEARLY;INTERVAL=28;BYDAY=MO;BYMONTH=2;BYMONTHDAY=13"),
        7,
        "BYDAY and BYMONTHDAY",
        "leave one",
    ),
    "a count too large": (
        (START, SUMMARY, "RRULE:FREQ=DAILY;COUNT=99999999999"),
        7,
        "RRULE has a number that is too large",
        "smaller numbers for COUNT",
    ),
    "an interval too large": (
        (START, SUMMARY, f"RRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYMONTH=1,2,3,4;INTERVAL={'9' * 30}"),
        7,
        "RRULE has a number that is too large",
        "INTERVAL",
    ),
    "a length too large": (
        (START, SUMMARY, f"DURATION:P{'9' * 13}D"),
        7,
        "DURATION cannot be read",
        "PT8H, P1D or P1W",
    ),
    "a length in words": ((START, SUMMARY, "DURATION:8h"), 7, 'DURATION cannot be read: "8h"', "PT8H"),
    "until what": ((START, SUMMARY, "RRULE:FREQ=DAILY;UNTIL=soon"), 7, "RRULE cannot be read", "FREQ=WEEKLY"),
    "weekday": ((START, SUMMARY, "RRULE:FREQ=WEEKLY;BYDAY=XX"), 7, "RRULE cannot be read", "BYDAY=MO,TU"),
    "two rules": ((START, SUMMARY, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), 7, "several RRULE", "for each"),
    "two starts": ((START, START, SUMMARY), 5, "several DTSTART", "leave one"),
    "two ends": ((START, "DTEND:20261130T020000Z", "DTEND:20261130T030000Z", SUMMARY), 6, "several DTEND", "leave one"),
    "no line": ((START, SUMMARY, "what is this"), 7, '"what is this"', "NAME:value"),
    "folded": ((START, "SUMMARY:me", " i", "RRULE:FREQ=DAILY;BYEASTER=1"), 8, "RRULE", "write"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_line_reason_and_hint_and_the_other_events_count(name: str) -> None:
    lines, line, reason, hint = FAULTS[name]
    text = calendar(*event(*lines), *GOOD)
    (fault,) = calendar_faults(text, "summary")
    assert fault.line == line
    assert reason in fault.reason
    assert hint in fault.hint
    assert str(fault).startswith(f"line {line}: ")
    assert who(text, "2026-11-30T09:30Z") == ["good"]
    assert who(text, "2026-11-30T01:30Z") == []


@pytest.mark.parametrize(
    ("text", "line", "reason", "hint"),
    [
        ("", 1, "is empty", ".ics"),
        ("<html><body>Sign in</body></html>", 1, "a web page", "secret address"),
        ('{"error": 401}', 1, "JSON", "secret address"),
        ("\r\n".join(GOOD), 1, "begins with BEGIN:VCALENDAR", "whole file"),
        (calendar(*GOOD)[:-27], 3, "VEVENT has no END", "whole file"),
        (calendar(*GOOD) + calendar(*GOOD), 10, "a second calendar", "of its own"),
        (calendar(*GOOD, "END:VTODO"), 9, "END:VTODO ends what is not open", "whole file"),
        (calendar(*GOOD) + " " * 600_000, 1, "more than 512 KB", "shorter time"),
        (calendar(*GOOD, *GOOD), 10, "the UID of the one at line 3", "a UID of its own"),
    ],
)
def test_what_is_no_calendar(text: str, line: int, reason: str, hint: str) -> None:
    (fault,) = calendar_faults(text, "summary")
    assert (fault.line, reason in fault.reason, hint in fault.hint) == (line, True, True), fault
    assert who(text, "2027-11-30T09:30Z") == []


def test_more_repeated_events_than_are_worked_out_are_left_out() -> None:
    many = [line for n in range(MOST_REPEATED + 5) for line in event(START, "RRULE:FREQ=DAILY", SUMMARY, uid=str(n))]
    (fault,) = calendar_faults(calendar(*many))
    assert (fault.line, fault.reason.startswith("there are more than")) == (3 + 6 * MOST_REPEATED, True)


def test_a_calendar_of_others_is_on_with_weekly_times_of_its_own() -> None:
    text = calendar(*event("DTSTART;VALUE=DATE:20261207", "SUMMARY:holiday"))
    policy = CalendarPolicy("free", KUL, (WeeklyTimes((5, 6)),), "rota")
    weekend = Span(at("2026-12-05T00:00+08:00"), at("2026-12-08T00:00+08:00"))  # and Monday
    assert active(policy, facts(text), at("2026-12-06T12:00+08:00")) == weekend
    assert active(policy, facts(text), at("2026-12-07T12:00+08:00")) == weekend
    assert active(policy, RotaFacts(), at("2026-12-07T12:00+08:00")) is None
    assert active(policy, facts(text), at("2026-12-08T00:00+08:00")) is None


def test_layers_win_over_the_calendar_of_a_schedule() -> None:
    layer = RotaLayer(("sam",), "2026-11-30T00:00", 24, (WeeklyTimes((0,), 720, 780),))
    assert who(read("opsgenie"), "2026-11-30T12:30+08:00", layers=(layer,)) == ["sam"]
    assert who(read("opsgenie"), "2026-11-30T13:00+08:00", layers=(layer,)) == ["mei@floor.example"]


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", KUL])
@pytest.mark.parametrize("month", [3, 10])
def test_an_exported_schedule_names_the_same_people_when_it_is_read(zone: str, month: int) -> None:
    layers = (
        RotaLayer(
            ("mei", "arif", "x;y,\\z: \N{SNOWMAN}"),
            f"2026-{month:02}-02T01:30",
            24,
            (WeeklyTimes((0, 1, 2, 5, 6), 60, 1380),),
        ),
        RotaLayer(("sam",), f"2026-{month:02}-02T09:00", 12, (WeeklyTimes((6,), 90, 150),)),
    )
    schedule = SchedulePolicy("lead", zone, layers)
    begin, end = at(f"2026-{month:02}-01T00:00Z"), at(f"2026-{month + 1:02}-15T00:00Z")
    text = to_ical(schedule, RotaFacts(), begin, end).decode()
    assert text == to_ical(schedule, RotaFacts(), begin, end).decode()
    assert calendar_faults(text, "summary") == ()
    again = SchedulePolicy("lead", "UTC", ical="rota")

    def spans(one: SchedulePolicy, known: RotaFacts) -> list[tuple[int, int, list[str]]]:
        return [(x.from_ms, x.to_ms, [duty.person for duty in x.duties]) for x in duties(one, known, begin, end)]

    assert spans(again, facts(text)) == spans(schedule, RotaFacts())


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "America/Los_Angeles"])
def test_days_and_local_times_are_those_of_the_zone_and_none_is_lost(zone: str) -> None:
    days = event("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY", "SUMMARY:mei", uid="days")
    hours = event("DTSTART:20260101T233000", "DURATION:PT10M", "RRULE:FREQ=DAILY", "SUMMARY:sam", uid="hours")
    text, begin = calendar(*days, *hours), at("2026-02-01T00:00Z")
    all_days = occurrences(text, zone, begin, begin + 120 * DAY_MS, person_from="summary")
    assert len([one for one in all_days if one.people == ("sam",)]) == 120
    mei = [one for one in all_days if one.people == ("mei",)]
    assert all(earlier.to_ms == later.from_ms for earlier, later in pairwise(mei))
    assert (mei[0].from_ms <= begin, mei[-1].to_ms >= begin + 120 * DAY_MS) == (True, True)
    for one in all_days:
        assert one in occurrences(text, zone, one.from_ms, one.from_ms + 1, person_from="summary")
        assert one not in occurrences(text, zone, one.to_ms, one.to_ms + 1, person_from="summary")


rules = st.builds(
    lambda *parts: ";".join(part for part in parts if part),
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY"]),
    st.sampled_from(["", "INTERVAL=2", "INTERVAL=4", "INTERVAL=7", "INTERVAL=12"]),
    st.sampled_from(["", "BYDAY=MO", "BYDAY=MO,FR", "BYDAY=1MO", "BYDAY=-1SU", "BYDAY=5TU", "BYDAY=+5TU"]),
    st.sampled_from(["", "BYMONTH=2", "BYMONTH=2,4", "BYMONTH=12"]),
    st.sampled_from(
        ["", "BYMONTHDAY=1", "BYMONTHDAY=13", "BYMONTHDAY=29", "BYMONTHDAY=30", "BYMONTHDAY=31", "BYMONTHDAY=-1"]
    ),
    st.sampled_from(["", "BYSETPOS=1", "BYSETPOS=-1", "BYSETPOS=4", "BYSETPOS=5", "BYSETPOS=9"]),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(rules, st.sampled_from([date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 3), date(2028, 2, 29)]))
def test_a_rule_that_is_accepted_happens_again_within_the_years(rule: str, start: date) -> None:
    if rule_fault(rule, start) is None:
        first, from_ = datetime.combine(start, time()), datetime.fromisoformat("2028-03-01")
        found = rrulestr(rule, dtstart=first).xafter(from_, count=2)
        years = [start.year, *(one.year for one in found)]
        assert len(years) == 3
        assert max(b - a for a, b in pairwise(years)) <= 40


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_file_never_raises(data: st.DataObject) -> None:
    lines = read(data.draw(st.sampled_from(["google", "outlook", "pagerduty", "opsgenie"]))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 3))):
        n = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "twice", "cut", "swap", "digit"]))
        if change == "drop":
            lines[n : n + 1] = []
        elif change == "twice":
            lines[n:n] = [lines[n]]
        elif change == "cut":
            lines[n] = lines[n][: len(lines[n]) // 2]
        elif change == "digit":
            lines[n] = lines[n].replace("2", data.draw(st.sampled_from(["9", "x", "-", ""])))
        else:
            lines[n], lines[0] = lines[0], lines[n]
        lines = lines or [""]
    text = "\r\n".join(lines)
    for person_from in (None, "summary"):
        calendar_faults(text, person_from)
        occurrences(text, KUL, at("2026-11-20T00:00Z"), at("2027-01-20T00:00Z"), person_from=person_from)
