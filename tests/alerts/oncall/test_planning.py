"""Overrides and iCalendar texts as people plan them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from alerts.incident import MOST_CALENDAR, Override
from alerts.oncall.planning import (
    MOST_OVERRIDES,
    calendar_of,
    check_overrides,
    counts,
    faults_of,
    override_of,
    unknown_people,
)
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy
from alerts.plan_fault import PlanFault
from tests.alerts.rows import NOW_MS
from tests.embedded.test_oncall import ICS

HOUR_MS = 3_600_000
KUL = SchedulePolicy("kul", "UTC", (RotaLayer(("mei",), "2026-01-01T00:00", 24),))
PEN = SchedulePolicy("pen", "UTC", ical="pen-rota", known_as={"Mei Tan": "mei"})


def asked(**more: Any) -> Override:
    fields: dict[str, Any] = {"schedule": "kul", "person": "arif", "from_ms": NOW_MS, "to_ms": NOW_MS + HOUR_MS}
    return override_of(**{**fields, "by": "ann", "now_ms": NOW_MS, **more})


def test_the_same_override_has_the_same_id_and_another_has_another() -> None:
    first = asked()
    assert first == Override(first.id, "kul", "arif", NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS)
    assert asked(now_ms=NOW_MS + 9).id == first.id
    assert len({asked(**one).id for one in ({}, {"person": "mei"}, {"schedule": "pen"}, {"by": "x"})}) == 4
    assert asked(name="swap").id == "swap"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to_ms": NOW_MS}, "to: Mon 23 Nov 10:02 UTC is not after the begin"),
        ({"from_ms": 0, "to_ms": 60_000}, "is over; it is Mon 23 Nov 2026 10:02 UTC"),
        ({"to_ms": NOW_MS + 1}, "to: the override is shorter than a minute"),
        ({"to_ms": NOW_MS + 367 * 24 * HOUR_MS}, "to: the override is longer than 366 days"),
        ({"by": ""}, "by: is no name"),
        ({"name": "a b"}, "id: is no id"),
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanFault) as fault:
        asked(**more)
    assert said in str(fault.value)


def test_there_is_a_bound_and_an_id_belongs_to_one_schedule() -> None:
    many = [structs.replace(asked(), id=f"o-{n}") for n in range(MOST_OVERRIDES)]
    check_overrides(many[1:], asked())
    check_overrides(many, many[0])
    with pytest.raises(PlanFault, match="there are 1,000 overrides already"):
        check_overrides(many, asked())
    with pytest.raises(PlanFault, match="o-0 is an override of schedule kul"):
        check_overrides(many[:1], asked(schedule="pen", name="o-0"))


def test_an_override_that_does_not_count_says_why() -> None:
    mine = asked(name="mine")
    later = structs.replace(asked(name="later", person="siti"), at_ms=NOW_MS + 1, by="bob")
    assert counts(KUL, RotaFacts({"mine": mine}), mine, NOW_MS) is None
    said = counts(KUL, RotaFacts({"mine": mine, "later": later}), mine, NOW_MS)
    assert said == "somebody has made a later one: on duty is siti (schedule kul, override later by bob)"
    ahead = structs.replace(mine, from_ms=NOW_MS + 600_000)
    assert counts(KUL, RotaFacts({"mine": ahead}), ahead, NOW_MS) is None


def test_a_text_that_is_no_calendar_is_refused_with_its_line() -> None:
    for text, said in (
        ("", "the calendar is empty"),
        ("<html>", "this is a web page, not a calendar"),
        ('{"a": 1}', "this is JSON, not a calendar"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "line 2: VEVENT has no END: the text is cut off"),
        ("hello", "a calendar begins with BEGIN:VCALENDAR"),
    ):
        with pytest.raises(PlanFault) as fault:
            calendar_of("pen-rota", text, NOW_MS)
        assert said in str(fault.value)
        assert fault.value.hint
    wide = ICS.replace("arif", "é" * (MOST_CALENDAR // 2))
    assert len(wide) < MOST_CALENDAR
    with pytest.raises(PlanFault, match="bytes, 524,288 at most"):
        calendar_of("pen-rota", wide, NOW_MS)


def test_the_same_text_has_the_same_digest_and_its_faults_are_told_once_by_line() -> None:
    first = calendar_of("pen-rota", ICS, NOW_MS)
    assert first.sha == calendar_of("pen-rota", ICS, NOW_MS + 1).sha != calendar_of("pen-rota", ICS + "\n", NOW_MS).sha
    readers = CalendarPolicy("closed", "UTC", ical="pen-rota")
    found = faults_of(ICS, "pen-rota", [PEN, KUL], [readers])
    assert [one.line for one in found] == [12]
    assert faults_of(ICS, "other", [PEN], [readers]) == []


def test_people_of_a_calendar_whom_nobody_knows_are_told() -> None:
    facts = RotaFacts(calendars={"pen-rota": calendar_of("pen-rota", ICS, NOW_MS)})
    span = (NOW_MS, NOW_MS + 48 * HOUR_MS)
    assert unknown_people(PEN, facts, ["mei"], *span) == []
    assert unknown_people(PEN, facts, ["arif"], *span) == ["mei"]
    assert unknown_people(structs.replace(PEN, known_as={}), facts, ["mei"], *span) == ["Mei Tan"]
