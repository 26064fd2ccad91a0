"""Who is told again that an incident is still open, when, and when no more."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from alerts.channels.pagerduty import action_of, event_of
from alerts.dues import MOST_TOLD, told_now
from alerts.incident import Maintenance
from alerts.lifecycle import EscalationTier
from alerts.message.compose import compose
from alerts.message.model import Reader
from alerts.notice import Notice
from alerts.oncall.policy import CalendarPolicy, RotaFacts, WeeklyTimes
from alerts.outgoing import Notification, notification
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from streams.agents.incident_state import message_of
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_telling import Floor, one, routed

HOUR = 60
ROUTE = RoutePolicy("default", ("channel:ops",), renotify_ms=2 * HOUR * MINUTE_MS)
A, B, C = (one({"queue": name}) for name in "abc")


def policy(**more: Any) -> RoutingPolicy:
    """Route ``default`` tells ``ops``, and again after 2 h; ``more`` are fields of the route."""
    return routed(default=structs.replace(ROUTE, **more), lead=("boss",))


def noted(floor: Floor, notice: Notice) -> Notification:
    made = message_of(notice, floor.now)
    assert made is not None
    return notification(made)


def members(floor: Floor, minutes: float) -> list[tuple[str, str]]:
    """What is told after so many minutes, as (queue, step)."""
    return [(key[6], step) for _, some in floor.look(minutes) for key, step in some]


def test_what_nobody_acknowledges_is_told_again_to_the_same_receivers() -> None:
    floor = Floor(policy(), A)
    assert members(floor, 0) == [("a", "open")]
    assert members(floor, 2 * HOUR - 1) == []
    assert floor.look(1) == [(("ops",), [(A.key, "reminder-0-1")])]
    assert members(floor, 2 * HOUR - 1) == []
    assert members(floor, 1) == [("a", "reminder-0-2")]
    assert len({notice.id for notice in floor.notices}) == 3, "each is a message of its own"
    note = noted(floor, floor.notices[-1])
    assert note.title.startswith("Still open: a: accuracy 88.1% (target 95%)")
    assert "Still open after 4 h, nobody has acknowledged." in note.body


def test_a_route_without_it_tells_once() -> None:
    floor = Floor(routed(), A)
    floor.look()
    assert floor.look(100 * HOUR) == []


@pytest.mark.parametrize("state", ["acknowledged", "resolved"])
def test_it_ends_with_an_acknowledgement_or_the_end(state: str) -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.change(A.key, state=state)
    assert not any(step.startswith("reminder") for _, step in members(floor, 3 * HOUR) + members(floor, 3 * HOUR))


def test_after_a_reopening_reminders_are_counted_anew() -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.look(2 * HOUR)
    floor.change(A.key, state="resolved")
    assert members(floor, 10) == [("a", "resolved-0")]
    floor.change(A.key, state="open", reopened=1, timer_ms=None)
    assert members(floor, 10) == [("a", "reopened-1")]
    assert members(floor, 2 * HOUR) == [("a", "reminder-1-1")]
    assert "Still open after 2 h, nobody" in noted(floor, floor.notices[-1]).body


NIGHTS = CalendarPolicy("nights", "UTC", (WeeklyTimes(tuple(range(7)), 12 * 60, 18 * 60),))  # NOW_MS is 10:02


@pytest.mark.parametrize("field", ["quiet", "mute"])
def test_in_quiet_hours_and_mute_times_nobody_is_reminded_and_behind_them_once(field: str) -> None:
    how = structs.replace(policy(**{field: ("nights",)}), calendars={"nights": NIGHTS})
    floor = Floor(how, A)
    floor.look()
    for _ in range(5):
        assert members(floor, HOUR + 10) == []
    assert floor.now[A.key].held == (), "who was told is not told of as not told"
    assert members(floor, 2 * HOUR + 8) == [("a", "reminder-0-1")]
    assert members(floor, 10) == []


def test_a_silence_and_maintenance_hold_reminders() -> None:
    floor = Floor(policy(), A, B)
    floor.look()
    floor.change(A.key, silenced_until_ms=NOW_MS + 10**9)
    window = Maintenance("m", ("queue=b",), NOW_MS, NOW_MS + 5 * HOUR * MINUTE_MS, "ann", NOW_MS)
    floor.scene.facts = RotaFacts(maintenance={"m": window})
    assert members(floor, 3 * HOUR) == []
    floor.change(A.key, silenced_until_ms=None)
    assert members(floor, 5) == [("a", "reminder-0-1")]
    assert members(floor, 60) == []
    assert sorted(members(floor, 60)) == [("a", "reminder-0-2"), ("b", "reminder-0-1")]


def test_a_tier_is_a_telling_too_and_who_was_told_by_it_is_reminded() -> None:
    tiers = {
        "accuracy_low-queue": (
            EscalationTier(HOUR * MINUTE_MS, "lead"),
            EscalationTier(2 * HOUR * MINUTE_MS, "default"),
        )
    }
    floor = Floor(policy(), A, tiers=tiers)
    floor.look()
    assert floor.look(HOUR) == [(("boss",), [(A.key, "escalated-0-1")])]
    assert floor.look(HOUR) == [(("ops",), [(A.key, "escalated-0-2")])], "one message to ops, not two"
    assert floor.look(HOUR) == [(("boss",), [(A.key, "reminder-0-1")])]
    assert floor.look(HOUR) == [(("ops",), [(A.key, "reminder-0-2")])]


def test_reminders_of_a_group_come_together() -> None:
    """B is told 5 minutes after A, by the group's interval; so it would be reminded apart from it, for ever."""
    floor = Floor(policy(), A)
    floor.look()
    floor.put(structs.replace(B, severity="warn"))
    assert members(floor, 1) == []
    assert members(floor, 4) == [("b", "open")]
    assert members(floor, 2 * HOUR - 5) == [("a", "reminder-0-1"), ("b", "reminder-0-1")]
    assert members(floor, 2 * HOUR - 1) == []
    assert members(floor, 1) == [("a", "reminder-0-2"), ("b", "reminder-0-2")]


def test_what_is_not_due_by_a_fourth_goes_with_no_message() -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.put(B)
    assert members(floor, 89) == [("b", "open")]
    floor.put(C)
    assert members(floor, 5) == [("c", "open"), ("a", "reminder-0-1")]


def test_a_reminder_is_not_urgent_and_waits_for_the_interval() -> None:
    floor = Floor(policy(renotify_ms=4 * MINUTE_MS), A)
    floor.look()
    assert members(floor, 4) == []
    assert members(floor, 1) == [("a", "reminder-0-1")]


def test_a_wider_one_that_they_know_of_speaks_for_it() -> None:
    floor = Floor(policy(), A)
    floor.look()
    wide = one({})
    floor.put(wide)
    assert floor.look(10) == [(("ops",), [(wide.key, "open")])]
    assert floor.look(2 * HOUR) == [(("ops",), [(wide.key, "reminder-0-1")])]
    floor.change(wide.key, state="resolved")
    assert floor.look(10) == [(("ops",), [(A.key, "reminder-0-1"), (wide.key, "resolved-0")])]


def test_a_hundred_reminders_leave_who_must_hear_the_end() -> None:
    chosen = tuple(f"channel:c{number}" for number in range(10))
    tiers = {"accuracy_low-queue": (EscalationTier(HOUR * MINUTE_MS, "lead"),)}
    floor = Floor(policy(notify=chosen), A, tiers=tiers)
    for _ in range(100):
        floor.look(2 * HOUR)
    held = floor.now[A.key]
    assert len(held.told_people) <= MOST_TOLD
    assert told_now(held).keys() == {*chosen, "channel:boss"}
    assert sum(step.startswith("escalated") for notice in floor.notices for _, step in notice.members) == 1
    assert len([notice for notice in floor.notices if ("channel:c0" in [to.receiver for to in notice.targets])]) == 100
    floor.change(A.key, state="resolved")
    ((channels, _),) = floor.look(HOUR)
    assert len(channels) == 11


def test_a_message_tells_what_is_new_and_counts_what_is_still_open() -> None:
    floor = Floor(policy(), *(one({"queue": f"q{n}"}) for n in range(12)))
    floor.look()
    floor.put(structs.replace(A, value=0.94))
    floor.change("queue=q3/accuracy_low", state="resolved")
    floor.look(2 * HOUR)
    note = noted(floor, floor.notices[-1])
    assert note.title.startswith("a: accuracy 94%"), "what is new comes first, though others are worse"
    assert note.counts == {"accuracy_low": 1, "accuracy_low/again": 11, "accuracy_low/over": 1}
    message = compose(note, Reader())
    assert message.lines[-2:] == ("Still open: 11, among them q0, q1, q10", "Over: 1")
    assert (message.more, note.incident["key"]) == (3, A.key)
    floor.look(2 * HOUR)
    note = noted(floor, floor.notices[-1])
    assert note.title.startswith("Still open: 12 queues, worst q")
    body = note.body.splitlines()
    assert body[0].endswith(", still open after 4 h")
    assert "Nobody has acknowledged them." in body


def test_pagerduty_is_told_of_the_same_alert() -> None:
    floor = Floor(policy(), A)
    floor.look()
    floor.look(2 * HOUR)
    keys = set()
    for notice in floor.notices:
        note = noted(floor, notice)
        assert action_of(note) == "trigger"
        event = event_of(note, compose(note, Reader()), "k" * 32, "trigger")
        keys.add(event.split(b'"dedup_key":"')[1].split(b'"')[0])
    assert keys == {A.key.encode()}
