"""Who is told and what is held at a time: schedules, gaps, quiet hours over a change of the clock, mute times, maintenance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incident import Hold, Maintenance
from alerts.notice import Target
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy, WeeklyTimes
from alerts.routing.explain import explain, target_words
from alerts.routing.matchers import parse_matcher
from alerts.routing.policy import MaintenancePolicy, PersonPolicy, RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import holds, targets
from alerts.signals import Severity
from streams.models.timestamps import parse_rfc3339_ms as ms

LONDON = "Europe/London"
EVERY_DAY = tuple(range(7))
NIGHTS = CalendarPolicy("nights", LONDON, (WeeklyTimes(EVERY_DAY, 22 * 60, 7 * 60),))
WEEKENDS = CalendarPolicy("weekends", LONDON, (WeeklyTimes((5, 6)),))
DAYS = SchedulePolicy(
    "lead",
    LONDON,
    (RotaLayer(("mei", "arif", "new"), "2026-10-19T09:00", 168, (WeeklyTimes((0, 1, 2, 3, 4), 540, 1080),)),),
)
ROUTE = RoutePolicy(
    "lead",
    ("schedule:lead", "channel:ops"),
    mute=("weekends",),
    quiet=("nights",),
    quiet_except=("page",),
)
ONLY_ROTA = RoutePolicy("rota", ("schedule:lead",))
POLICY = RoutingPolicy(
    routes={"default": RoutePolicy("default", ("channel:desk",)), "lead": ROUTE, "rota": ONLY_ROTA},
    rule_routes={"r": "lead"},
    people={
        "mei": PersonPolicy("mei", LONDON, {"page": ("sms", "ops"), "warn": ("ops",)}),
        "arif": PersonPolicy("arif", LONDON, {"page": ("sms",)}),
    },
    schedules={"lead": DAYS},
    calendars={"nights": NIGHTS, "weekends": WEEKENDS, "gone": CalendarPolicy("gone", LONDON)},
    maintenance=(
        MaintenancePolicy("move", (parse_matcher("site=kul"),), ms("2026-10-27T01:00:00Z"), ms("2026-10-27T03:00:00Z")),
        MaintenancePolicy("weekly", (parse_matcher("queue=~test.*"),), calendar="nights"),
    ),
    channels=("ops", "sms", "desk"),
)
FACTS = RotaFacts()


def subject(severity: Severity = "warn", **scope: str) -> Subject:
    return Subject("k", "accuracy_low", "r", severity, scope)


@pytest.mark.parametrize(
    ("at", "severity", "receiver", "channels", "why"),
    [
        ("2026-10-21T10:00:00Z", "page", "person:mei", ("sms", "ops"), "schedule lead"),
        ("2026-10-21T10:00:00Z", "info", "person:mei", ("ops",), "schedule lead"),  # as warn
        (
            "2026-10-28T09:00:00Z",
            "page",
            "person:arif",
            ("sms",),
            "schedule lead",
        ),  # after the clock went back: 09:00 there
        ("2026-10-28T08:59:00Z", "page", "schedule:lead", ("ops",), "nobody on duty in lead"),
        (
            "2026-10-28T10:00:00Z",
            "warn",
            "schedule:lead",
            ("ops",),
            "nobody on duty in lead",
        ),  # arif has no channel for it
        (
            "2026-11-04T10:00:00Z",
            "page",
            "schedule:lead",
            ("ops",),
            "nobody on duty in lead",
        ),  # new is no person of ours
    ],
)
def test_a_schedule_is_the_person_on_duty_or_a_gap_that_is_told(
    at: str, severity: Severity, receiver: str, channels: tuple[str, ...], why: str
) -> None:
    first, second = targets(POLICY, ROUTE, severity, 0, FACTS, ms(at))
    assert (first.receiver, first.channels) == (receiver, channels)
    assert first.why.startswith(why)
    assert second == Target("channel:ops", ("ops",), "route lead")


def test_a_gap_of_a_route_without_channels_is_told_to_the_default_one() -> None:
    assert targets(POLICY, ONLY_ROTA, "page", 0, FACTS, ms("2026-10-24T10:00:00Z")) == (
        Target("schedule:lead", ("desk",), "nobody on duty in lead"),
    )


@pytest.mark.parametrize(
    ("at", "given_", "expected"),
    [
        ("2026-10-21T12:00:00Z", subject(), None),
        ("2026-10-21T22:00:00Z", subject(), Hold("quiet", "nights", ms("2026-10-22T06:00:00Z"))),  # 23:00 to 07:00 BST
        ("2026-10-21T22:00:00Z", subject("page"), None),
        ("2026-10-24T12:00:00Z", subject("page"), Hold("muted", "weekends", ms("2026-10-26T00:00:00Z"))),
        ("2026-10-25T23:00:00Z", subject(), Hold("muted", "weekends", ms("2026-10-26T00:00:00Z"))),  # mute before quiet
        ("2026-10-26T06:30:00Z", subject(), Hold("quiet", "nights", ms("2026-10-26T07:00:00Z"))),  # 06:30 GMT now
        ("2026-10-27T01:00:00Z", subject("page", site="kul"), Hold("maintenance", "move", ms("2026-10-27T03:00:00Z"))),
        ("2026-10-27T03:00:00Z", subject("page", site="kul"), None),
        ("2026-10-27T01:00:00Z", subject("page", site="pen"), None),
        (
            "2026-10-27T23:00:00Z",
            subject("page", queue="test-1"),
            Hold("maintenance", "weekly", ms("2026-10-28T07:00:00Z")),
        ),
    ],
)
def test_what_holds_is_maintenance_then_mute_then_quiet(at: str, given_: Subject, expected: Hold | None) -> None:
    found = holds(POLICY, ROUTE, given_, FACTS, ms(at))
    assert (found and (found.why, found.by, found.until_ms)) == (
        expected and (expected.why, expected.by, expected.until_ms)
    )


def test_maintenance_of_the_log_holds_until_it_is_removed() -> None:
    planned = Maintenance("m1", ("site=kul", "severity!=page"), 1_000, 2_000, "mei", 0)
    facts = RotaFacts(maintenance={"m1": planned})
    assert holds(POLICY, ONLY_ROTA, subject(site="kul"), facts, 1_999) == Hold("maintenance", "m1", 2_000)
    for other, at_ms in (
        (subject(site="kul"), 2_000),
        (subject(site="kul"), 999),
        (subject("page", site="kul"), 1_500),
    ):
        assert holds(POLICY, ONLY_ROTA, other, facts, at_ms) is None
    unread = RotaFacts(maintenance={"m": Maintenance("m", ("site kul",), 0, 2_000, "mei", 0)})
    assert holds(POLICY, ONLY_ROTA, subject(site="kul"), unread, 1_000) is None
    removed = RotaFacts(maintenance={"m": Maintenance("m", (), 0, 2_000, "mei", 0, removed=True)})
    assert holds(POLICY, ONLY_ROTA, subject(site="kul"), removed, 1_000) is None


@given(
    st.integers(ms("2026-10-20T00:00:00Z") // 60_000, ms("2026-11-10T00:00:00Z") // 60_000),
    st.sampled_from(["page", "warn", "info"]),
    st.sampled_from([{}, {"site": "kul"}, {"queue": "test-a"}]),
)
def test_what_is_explained_is_what_is_held_and_told_at_any_time(
    minute: int, severity: Severity, scope: dict[str, str]
) -> None:
    at_ms, asked = minute * 60_000, subject(severity, **scope)
    lines = explain(POLICY, asked, FACTS, at_ms, str)
    said = []
    while (hold := holds(POLICY, ROUTE, asked, FACTS, at_ms)) is not None:
        assert hold.until_ms is not None
        said.append(f"  held: {hold.why} {hold.by} until {hold.until_ms}")
        at_ms = hold.until_ms
    told = [f"  {target_words(one)}" for one in targets(POLICY, ROUTE, severity, 0, FACTS, at_ms)]
    assert lines == ["route lead: rule r names it", *said, *told]
