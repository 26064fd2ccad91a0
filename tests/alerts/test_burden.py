"""What alerts asked of people: messages in a shift, pages outside hours, times; against counts made by hand."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from alerts.burden import Burden, World, burdens
from alerts.incident import Incident, ToldReceiver
from alerts.oncall.local_time import instant_ms
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy, WeeklyTimes
from alerts.routing.policy import PersonPolicy, RoutePolicy, RoutingPolicy
from floorwatch.cli.alerts import burden_lines
from streams.models.timestamps import DAY_MS, parse_local
from tests.alerts.machine import opened

KUL = "Asia/Kuala_Lumpur"
MIN = 60_000


def at(local: str, zone: str = KUL) -> int:
    return instant_ms(parse_local(local), zone)


MON = at("2026-11-23T09:00")
POLICY = RoutingPolicy(
    {
        "default": RoutePolicy("default", ("person:mei", "channel:ops")),
        "night": RoutePolicy("night", ("person:lee",), quiet=("lunch",), quiet_except=("page",), zone=KUL),
    },
    people={name: PersonPolicy(name, KUL, {"warn": ("sms",)}) for name in ("mei", "lee")},
    schedules={"lead": SchedulePolicy("lead", KUL, (RotaLayer(("mei", "bo"), "2026-11-23T09:00", 12),))},
    calendars={"lunch": CalendarPolicy("lunch", KUL, (WeeklyTimes((0, 1, 2, 3, 4), 720, 780),))},
)


def told(who: str, notice: str, step: str, local: str) -> ToldReceiver:
    return ToldReceiver(who, ("sms",), notice, step, at(local), "because")


def incident(key: str, *some: ToldReceiver, **more: Any) -> Incident:
    return structs.replace(opened(), key=key * 32, told_people=some, **more)


INCIDENTS = [
    incident(
        "a",
        told("person:mei", "g1:1", "open", "2026-11-23T10:00"),
        told("channel:ops", "g1:1", "open", "2026-11-23T10:00"),
        told("person:mei", "g1:3", "escalated-0-1", "2026-11-23T23:30"),
        told("person:mei", "g1:4", "resolved-0", "2026-11-24T00:00"),
    ),
    # In the same message; no page.
    incident("b", told("person:mei", "g1:1", "open", "2026-11-23T10:00"), severity="warn"),
    incident("c", told("person:lee", "g2.1:1", "open", "2026-11-24T12:30")),
    incident(
        "d",
        told("person:lee", "g2:2", "open", "2026-11-24T23:30"),
        told("person:lee", "g2:3", "resolved-0", "2026-11-24T23:40"),
    ),
]
WORLD = World(POLICY, RotaFacts(), {"g1": "default", "g2": "night"}, at("2026-11-25T08:59"))
TAKEN = {
    "a" * 32: [at("2026-11-23T09:00"), at("2026-11-23T10:05"), at("2026-11-23T11:00")],
    "d" * 32: [at("2026-11-24T23:31")],
}


def by(what: Any, since_ms: int | None = None) -> dict[str, Burden]:
    return {one.who: one for one in burdens(what, INCIDENTS, TAKEN, WORLD, since_ms)}


def test_messages_and_pages_of_each_person_are_counted_once() -> None:
    found = by("person")
    assert list(found) == ["person:lee", "person:mei", "channel:ops"]
    mei, lee = found["person:mei"], found["person:lee"]
    assert (mei.messages, mei.pages, mei.outside_hours, mei.incidents) == (3, 2, 1, 2)
    # Route night has quiet hours at noon, so that is outside hours there, and the night is not.
    assert (lee.messages, lee.pages, lee.outside_hours) == (3, 2, 1)


def test_a_shift_is_a_turn_on_duty_or_a_day_of_the_own_clock() -> None:
    found = by("person", at("2026-11-23T09:00"))
    mei, lee = found["person:mei"], found["person:lee"]
    # Turns of twelve hours with bo: mei has 09:00 to 21:00 on Monday and Tuesday. What came at night counts to its local days.
    assert (mei.shifts, mei.per_shift, mei.most_in_shift) == (2, 1.5, 1)
    assert (lee.shifts, lee.per_shift, lee.most_in_shift) == (3, 1.0, 3)
    assert found["channel:ops"].shifts == 3


def test_times_count_from_being_told() -> None:
    found = by("person")
    mei, lee = found["person:mei"], found["person:lee"]
    assert (mei.acknowledged, mei.acknowledge_s) == (1, 300.0)  # what was taken before mei was told does not count
    assert (mei.resolved, mei.resolve_s) == (1, 14 * 3600.0)
    assert (lee.acknowledged, lee.acknowledge_s, lee.resolve_s) == (1, 60.0, 600.0)
    assert found["channel:ops"].resolve_s is None


def test_a_time_of_nothing_told_is_none() -> None:
    early = structs.replace(opened(), told_people=(ToldReceiver("person:mei", ("sms",), "g1:1", "open", 0, "because"),))
    (one,) = burdens("person", [early], {}, WORLD)
    assert (one.acknowledge_s, one.resolved, one.resolve_s) == (None, 0, None)


def test_by_route_a_message_to_several_is_one() -> None:
    found = by("route")
    counts = {who: (one.messages, one.pages, one.outside_hours, one.shifts) for who, one in found.items()}
    # Days of the route's own clock, UTC for the default; hours of its readers' clocks.
    assert counts == {"default": (3, 2, 1, 3), "night": (3, 2, 1, 3)}
    unknown = structs.replace(WORLD, routes={})
    assert {one.who for one in burdens("route", INCIDENTS, TAKEN, unknown)} == {"unknown"}


def test_only_what_was_told_since_counts() -> None:
    found = by("person", at("2026-11-24T00:00"))
    assert (found["person:mei"].messages, found["person:mei"].pages) == (1, 0)
    assert "channel:ops" not in found
    assert burdens("person", [], {}, WORLD) == []
    assert by("person", at("2026-11-23T09:00") - 9 * DAY_MS)["channel:ops"].shifts == 12


def test_the_table_names_people_and_numbers() -> None:
    head, _, second, _ = burden_lines(burdens("person", INCIDENTS, TAKEN, WORLD), "person")
    assert head.split()[:3] == ["person", "messages", "pages"]
    assert second.split()[:4] == ["mei", "3", "2", "1"]
    assert "5 min" in second
