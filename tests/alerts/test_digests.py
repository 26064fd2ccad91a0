"""What is told together once a day, what is held till quiet hours end, and what one route holds while another tells."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from alerts.incident import Hold, Stamp
from alerts.message.compose import compose
from alerts.message.model import Reader
from alerts.oncall.local_time import next_daily_ms
from alerts.oncall.policy import CalendarPolicy, WeeklyTimes
from alerts.outgoing import notification
from alerts.routing.matchers import parse_matcher
from alerts.routing.policy import RoutePolicy, RoutingEntry, RoutingPolicy
from alerts.telling import MOST_MEMBERS, tell
from floorwatch.cli.incident_told import held_lines
from streams.agents.incident_state import message_of
from streams.models.timestamps import parse_rfc3339_ms as ms
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_telling import Floor, one, routed

HOUR = 60
EVERY_DAY = tuple(range(7))
NINE = RoutePolicy(
    "default", ("channel:ops",), digest_at_min=9 * HOUR, digest_severities=("info",), zone="Asia/Kuala_Lumpur"
)
"""09:00 in Kuala Lumpur is 01:00 UTC, 14 h 58 min after NOW_MS (10:02)."""
UNTIL_DIGEST = 15 * HOUR - 2
A, B, C, D = (one({"queue": name}, severity="info") for name in "abcd")
PAGE = one({"queue": "p"})


def policy(**more: Any) -> RoutingPolicy:
    return routed(default=structs.replace(NINE, **more))


def members(floor: Floor, minutes: float) -> list[tuple[str, str]]:
    """What is told after so many minutes, as (queue, step)."""
    return [(key[6], step) for _, some in floor.look(minutes) for key, step in some]


def test_what_waits_for_a_digest_is_told_together_at_its_minute_and_a_page_at_once() -> None:
    floor = Floor(policy(), A, PAGE)
    assert members(floor, 0) == [("p", "open")]
    floor.put(B)
    assert members(floor, HOUR) == []
    (held,) = floor.now[A.key].held
    assert held == Hold("digest", until_ms=ms("2026-11-24T01:00:00Z"), receivers=("channel:ops",))
    record = {"held": [structs.asdict(held)]}
    assert held_lines(record, {}) == ["ops: waits for the digest until Tue 24 Nov 01:00 UTC"]
    assert members(floor, UNTIL_DIGEST - HOUR - 1) == []
    assert members(floor, 1) == [("a", "open"), ("b", "open")]
    assert floor.now[A.key].held == ()
    made = message_of(floor.notices[-1], floor.now)
    assert made is not None
    note = notification(made)
    assert note.title == "Digest: 2 queues, worst a: accuracy 88.1% (target 95%)"
    assert compose(note, Reader("Asia/Kuala_Lumpur")).title == note.title
    floor.put(C)
    assert members(floor, 1) == [], "for the next one"
    assert members(floor, 24 * HOUR - 1) == [("c", "open")]
    made = message_of(floor.notices[-1], floor.now)
    assert made is not None
    assert notification(made).title.startswith("Digest: c: accuracy 88.1% (target 95%), 61 of 512 wrong, since ")


def test_what_ends_before_its_digest_is_not_in_it_and_leaves_no_trace() -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.change(A.key, state="resolved")
    assert members(floor, UNTIL_DIGEST) == []
    floor.put(B)
    assert members(floor, 10) == [], "it does not take the place of the one that ended"
    assert members(floor, 24 * HOUR - 10) == [("b", "open")]


def test_ends_and_reminders_wait_for_the_next_digest() -> None:
    floor = Floor(policy(renotify_ms=4 * HOUR * MINUTE_MS), A, B)
    floor.look()
    floor.look(UNTIL_DIGEST)
    floor.change(A.key, state="resolved")
    floor.put(C)
    for _ in range(23):
        assert members(floor, HOUR) == []
    assert [hold.why for hold in floor.now[A.key].held] == ["digest"]
    assert members(floor, HOUR) == [("c", "open"), ("b", "reminder-0-1"), ("a", "resolved-0")]
    assert not floor.now[A.key].announced
    made = message_of(floor.notices[-1], floor.now)
    assert made is not None
    note = notification(made)
    assert note.title.startswith("Digest: c: accuracy")
    assert note.body.splitlines()[1:3] == ["Still open: b", "Over: a"]


def test_quiet_hours_over_its_time_delay_a_digest_and_do_not_swallow_it() -> None:
    nights = CalendarPolicy("nights", "Asia/Kuala_Lumpur", (WeeklyTimes(EVERY_DAY, 22 * 60, 10 * 60),))
    floor = Floor(structs.replace(policy(quiet=("nights",)), calendars={"nights": nights}), A)
    assert members(floor, 5 * HOUR) == []
    assert members(floor, UNTIL_DIGEST - 5 * HOUR) == []
    assert [hold.why for hold in floor.now[A.key].held] == ["quiet"]
    assert members(floor, HOUR - 1) == []
    assert members(floor, 1) == [("a", "open")]
    assert members(floor, 30 * HOUR) == []


def test_a_digest_of_thousands_is_told_in_parts_that_follow_each_other() -> None:
    many = [one({"labeler": f"l{number}"}, severity="info") for number in range(MOST_MEMBERS + 5)]
    floor = Floor(policy(), *many)
    floor.look()
    assert len(members(floor, UNTIL_DIGEST)) == MOST_MEMBERS
    assert len(members(floor, 0.1)) == 5
    assert members(floor, 48 * HOUR) == []


def test_a_digest_that_is_configured_no_more_is_told_at_once() -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.scene = type(floor.scene)(routed())
    assert members(floor, 1) == [("a", "open")]


def test_a_replay_of_a_tick_finds_the_digest_and_begins_none_anew() -> None:
    floor = Floor(policy(), A)
    floor.look()
    before = dict(floor.now)
    floor.look(UNTIL_DIGEST)
    again = tell(floor.scene, before.values(), floor.groups, floor.at_ms, Stamp(0, floor.offset))
    assert again.notices == floor.notices
    assert again.groups == {}
    assert again.incidents[A.key].told_people == floor.now[A.key].told_people


def test_a_replay_leaves_groups_as_they_were_later() -> None:
    floor = Floor(policy(), A)
    floor.look()
    (group,) = floor.groups.values()
    assert group.waiting_since_ms == NOW_MS
    assert tell(floor.scene, [], floor.groups, floor.at_ms, Stamp(0, floor.offset)).groups == {}
    ended = tell(floor.scene, [], floor.groups, floor.at_ms, Stamp(0, floor.offset + 1)).groups
    assert [one.waiting_since_ms for one in ended.values()] == [None]


def two_routes(first: RoutePolicy, **more: Any) -> RoutingPolicy:
    """Every incident takes ``first`` and then ``now``, and both tell ops."""
    entries = (RoutingEntry((parse_matcher("kind=~.*"),), "first", go_on=True), RoutingEntry((), "now"))
    routes = {"first": structs.replace(first, name="first"), "now": RoutePolicy("now", ("channel:ops",))}
    return structs.replace(routed(**routes), entries=entries, **more)


def test_who_waits_for_one_routes_digest_is_told_at_once_by_another_and_once() -> None:
    floor = Floor(two_routes(structs.replace(NINE, notify=("channel:ops", "channel:boss"))), A)
    assert floor.look() == [(("ops",), [(A.key, "open")])]
    assert floor.look(UNTIL_DIGEST) == [(("boss",), [(A.key, "open")])]
    floor.change(A.key, state="resolved")
    assert floor.look(10) == [(("ops",), [(A.key, "resolved-0")])]
    assert floor.look(24 * HOUR - 10) == [(("boss",), [(A.key, "resolved-0")])]
    assert not floor.now[A.key].announced


# -- the minute of the day ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "minute", "zone", "found"),
    [
        ("2026-03-28T12:00:00Z", 90, "Europe/London", "2026-03-29T01:30:00Z"),  # 01:30 does not happen: 02:30
        ("2026-03-29T01:30:00Z", 90, "Europe/London", "2026-03-30T00:30:00Z"),
        ("2026-10-24T12:00:00Z", 90, "Europe/London", "2026-10-25T00:30:00Z"),  # the first of two
        ("2026-10-25T00:30:00Z", 90, "Europe/London", "2026-10-26T01:30:00Z"),  # not the second
        ("2026-10-25T01:10:00Z", 90, "Europe/London", "2026-10-26T01:30:00Z"),
        ("2026-11-23T10:02:00Z", 540, "Asia/Kuala_Lumpur", "2026-11-24T01:00:00Z"),
        ("2026-11-23T23:59:59Z", 0, "UTC", "2026-11-24T00:00:00Z"),
        ("2026-11-24T00:00:00Z", 0, "UTC", "2026-11-25T00:00:00Z"),
        ("2026-11-23T12:30:00Z", 30, "Pacific/Kiritimati", "2026-11-24T10:30:00Z"),
    ],
)
def test_a_minute_of_the_local_day_comes_once_a_day(at: str, minute: int, zone: str, found: str) -> None:
    assert next_daily_ms(ms(at), minute, zone) == ms(found)


@pytest.mark.parametrize("zone", ["Europe/London", "Australia/Lord_Howe", "America/New_York"])
def test_digests_of_a_year_are_one_a_day_over_changes_of_the_clock(zone: str) -> None:
    at_ms, count = ms("2026-01-01T12:00:00Z"), 0
    while (after := next_daily_ms(at_ms, 2 * HOUR + 10, zone)) < ms("2027-01-01T12:00:00Z"):
        assert 22 * HOUR <= (after - at_ms) / MINUTE_MS <= 26 * HOUR or count == 0
        at_ms, count = after, count + 1
    assert count == 365


# -- quiet hours and mute times end ------------------------------------------------------------------------------------

NOON = CalendarPolicy("noon", "UTC", (WeeklyTimes(EVERY_DAY, 10 * 60, 18 * 60),))


@pytest.mark.parametrize("field", ["quiet", "mute"])
def test_what_is_still_open_when_they_end_is_told_then_and_once(field: str) -> None:
    how = structs.replace(
        routed(default=RoutePolicy("default", ("channel:ops",), **{field: ("noon",)})), calendars={"noon": NOON}
    )  # type: ignore[arg-type]
    floor = Floor(how, PAGE, A, B)
    assert members(floor, 0) == []
    until_ms = ms("2026-11-23T18:00:00Z")
    assert floor.now[A.key].held == (
        Hold("quiet" if field == "quiet" else "muted", "noon", until_ms, ("channel:ops",)),
    )
    floor.change(A.key, state="resolved")
    floor.change(B.key, state="acknowledged")
    floor.put(D)
    assert members(floor, HOUR) == []
    assert members(floor, (until_ms - NOW_MS) / MINUTE_MS - HOUR) == [("p", "open"), ("d", "open")]
    assert members(floor, HOUR) == []
    assert floor.now[A.key].held == ()


def test_an_end_in_quiet_hours_is_told_when_they_end_and_a_reopening_before_that_tells_nothing() -> None:
    how = structs.replace(
        routed(default=RoutePolicy("default", ("channel:ops",), quiet=("noon",))), calendars={"noon": NOON}
    )
    floor = Floor(how, A, B)
    floor.at_ms = ms("2026-11-23T09:00:00Z")
    assert members(floor, 0) == [("a", "open"), ("b", "open")]
    floor.look(HOUR)
    floor.change(A.key, state="resolved")
    floor.change(B.key, state="resolved")
    assert members(floor, HOUR) == []
    floor.change(B.key, state="open", reopened=1)
    assert members(floor, HOUR) == []
    assert members(floor, 6 * HOUR) == [("a", "resolved-0")]
    floor.change(B.key, state="resolved")
    assert members(floor, HOUR) == [("b", "resolved-1")]


def test_quiet_hours_of_one_route_keep_no_other_from_telling() -> None:
    quiet = RoutePolicy("first", ("channel:ops", "channel:boss"), quiet=("noon",))
    floor = Floor(two_routes(quiet, calendars={"noon": NOON}), A)
    assert floor.look() == [(("ops",), [(A.key, "open")])]
    assert floor.held(A.key) == [("quiet", "noon", ("channel:boss",))]
    assert floor.look(8 * HOUR) == [(("boss",), [(A.key, "open")])]
    assert floor.look(HOUR) == []
