"""An incident that comes and goes is told once as flapping, then nothing until it is steady, and its end once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import decode_incident, encode_incident
from alerts.dues import Scene, told_now
from alerts.flapping import FlapPolicy
from alerts.incident import Ack, Flapping, Incident, Stamp, Tick
from alerts.lifecycle import EscalationTier, IncidentPolicy, step
from alerts.message.compose import compose
from alerts.message.model import Reader
from alerts.notice import IncidentGroup, Notice
from alerts.oncall.policy import CalendarPolicy, WeeklyTimes
from alerts.outgoing import notification
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from alerts.telling import tell
from floorwatch.cli.incident_told import held_lines
from streams.agents.incident_state import message_of
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_telling import OPS, Floor, one, routed

HOUR = 60
FLAPS = FlapPolicy(reopened=3, within_ms=2 * HOUR * MINUTE_MS, steady_ms=HOUR * MINUTE_MS)
POLICY = IncidentPolicy(severity="page", flapping=FLAPS)


class Story:
    """One incident over minutes: each look is a signal and a tick."""

    def __init__(self, how: RoutingPolicy | None = None, policy: IncidentPolicy = POLICY) -> None:
        self.policy, self.at_ms, self.offset = policy, NOW_MS, 0
        self.scene = Scene(how or routed(), tiers={"accuracy-low-vendor": policy.tiers})
        self.incident: Incident | None = None
        self.groups: dict[str, IncidentGroup] = {}
        self.notices: list[Notice] = []

    def look(self, firing: bool | None, minutes: float = 10) -> list[str]:
        """Let time pass, then fold a signal (none: ``firing`` is None) and a tick; return the steps told."""
        self.at_ms += round(minutes * MINUTE_MS)
        if firing is not None:
            self._fold(signal(firing, self.at_ms))
        stamp = self._fold(Tick(self.at_ms, self.at_ms))
        told = tell(self.scene, [self.incident] if self.incident else [], self.groups, self.at_ms, stamp)
        assert not told.faults
        self.groups |= told.groups
        if self.incident is not None:
            self.incident = told.incidents.get(self.incident.key, self.incident)
        self.notices += told.notices
        return [its for notice in told.notices for _, its in notice.members]

    def _fold(self, given_: Any) -> Stamp:
        self.offset += 1
        stamp = Stamp(0, self.offset)
        self.incident = step(self.incident, given_, self.policy, stamp=stamp)
        return stamp

    @property
    def now(self) -> Incident:
        assert self.incident is not None
        return self.incident

    def flap(self, times: int) -> list[str]:
        """Resolve and reopen so many times, every 20 minutes."""
        return [its for _ in range(times) for firing in (False, True) for its in self.look(firing)]


def test_it_is_told_once_as_flapping_and_then_its_end_once() -> None:
    story = Story()
    assert story.look(True) == ["open"]
    assert story.flap(2) == ["resolved-0", "reopened-1", "resolved-1", "reopened-2"]
    assert story.flap(1) == ["resolved-2", "flapping-3"]
    made = message_of(story.notices[-1], {story.now.key: story.now})
    assert made is not None
    note = notification(made)
    assert note.title.startswith("Flapping: bpo-a: accuracy 88.1% (target 95%)")
    assert "Reopened 3 times within 40 min. No more messages until it is steady for 1 h." in note.body
    assert compose(note, Reader()).title == note.title
    assert story.flap(6) == []
    assert story.look(False) == []
    assert held_lines({"held": [structs.asdict(hold) for hold in story.now.held]}, {}) == [
        "ops: flapping, told when it is steady"
    ]
    assert decode_incident(encode_incident(story.now, "t")) == story.now
    assert story.look(None, HOUR - 1) == []
    assert story.look(None, 1) == ["resolved-9"]
    assert (story.now.flapping, story.now.announced, told_now(story.now)) == (None, False, {})
    assert story.look(None, 10 * HOUR) == []


def test_one_that_stays_open_is_told_when_it_is_steady_and_escalates_from_then() -> None:
    story = Story(policy=structs.replace(POLICY, tiers=(EscalationTier(30 * MINUTE_MS, "default"),)))
    story.look(True)
    story.flap(3)
    assert story.notices[-1].members[0][1] == "flapping-3"
    assert story.look(True, 59) == []
    assert story.look(True, 1) == ["reopened-3"]
    assert story.look(True, 29) == []
    assert story.look(True, 1) == ["escalated-3-1"]
    assert story.look(False) == ["resolved-3"]


def test_few_or_slow_reopenings_are_no_flapping_and_none_can_be_asked_for() -> None:
    story = Story()
    story.look(True)
    assert "flapping" not in "".join(
        [its for _ in range(5) for firing in (False, True) for its in story.look(firing, HOUR)]
    )
    story = Story(policy=structs.replace(POLICY, flapping=FlapPolicy(0)))
    story.look(True)
    assert "flapping" not in "".join(story.flap(8))
    assert story.now.reopened_at_ms == ()


def test_it_flaps_again_at_once_where_it_reopens_within_the_time_that_is_counted() -> None:
    story = Story()
    story.look(True)
    story.flap(3)
    story.look(False)
    assert story.look(None, HOUR) == ["resolved-3"]
    assert story.look(True) == ["flapping-4"]
    assert story.flap(2) == []
    story.look(False)
    assert story.look(None, 2 * HOUR) == ["resolved-6"]
    assert story.look(True) == ["reopened-7"]
    assert story.flap(2) == ["resolved-7", "reopened-8", "resolved-8", "flapping-9"]


def test_what_is_acknowledged_while_it_flaps_is_told_of_its_end() -> None:
    story = Story()
    story.look(True)
    story.flap(3)
    story._fold(Ack(story.now.key, "mei", story.at_ms))
    assert story.look(True, 2 * HOUR) == []
    assert story.look(False) == ["resolved-3"]


def test_flapping_in_quiet_hours_is_told_when_they_end() -> None:
    noon = CalendarPolicy("noon", "UTC", (WeeklyTimes(tuple(range(7)), 10 * 60, 14 * 60),))
    quiet = routed(default=RoutePolicy("default", (OPS,), quiet=("noon",)))
    story = Story(structs.replace(quiet, calendars={"noon": noon}))
    assert story.look(True) == []
    assert story.flap(11) == []
    assert story.flap(1) == ["flapping-3"]
    assert story.flap(3) == []


def test_reminders_wait_until_it_is_steady() -> None:
    story = Story(routed(default=RoutePolicy("default", (OPS,), renotify_ms=30 * MINUTE_MS)))
    story.look(True)
    story.flap(3)
    assert story.look(True, 50) == []
    assert story.look(True, 10) == ["reopened-3"]
    assert story.look(True, 30) == ["reminder-3-1"]


def test_one_that_reopens_before_its_end_was_told_escalates() -> None:
    """Its readers know that it is open. The time to acknowledge it counts from the tick after its reopening."""
    tiers = (EscalationTier(30 * MINUTE_MS, "default"),)
    story = Story(policy=structs.replace(POLICY, tiers=tiers))
    assert story.look(True) == ["open"]
    assert story.look(False, 1) == []
    assert story.look(True, 1) == []
    assert story.look(True, 29) == []
    assert story.look(True, 1) == ["escalated-1-1"]


def test_a_wider_one_that_flaps_speaks_for_nobody() -> None:
    wide, narrow = one({}), one({"vendor": "a"})
    floor = Floor(routed(), wide)
    floor.look()
    floor.change(wide.key, flapping=Flapping(3, 1))
    floor.put(narrow)
    assert (("ops",), [(narrow.key, "open"), (wide.key, "flapping-3")]) in [
        (channels, sorted(members, reverse=True)) for channels, members in floor.look(10)
    ]


def test_a_reopening_long_after_the_last_change_does_not_go_on_flapping_though_no_tick_was_between() -> None:
    story = Story()
    story.look(True)
    story.flap(3)
    story.look(False)
    late = step(story.now, signal(True, story.at_ms + 3 * HOUR * MINUTE_MS), POLICY)
    assert late is not None
    assert (late.reopened, late.flapping) == (4, None)


looks = st.lists(
    st.tuples(st.sampled_from([True, False, None, "ack"]), st.sampled_from([1, 4, 10, 40, 90])), max_size=60
)


@given(looks)
def test_every_beginning_has_one_end_and_flapping_bounds_what_is_told(script: list[tuple[Any, int]]) -> None:
    story = Story(policy=structs.replace(POLICY, tiers=(EscalationTier(15 * MINUTE_MS, "default"),)))
    steps: list[str] = []
    for firing, minutes in script:
        if firing == "ack" and story.incident is not None:
            story._fold(Ack(story.now.key, "mei", story.at_ms))
        steps += story.look(None if firing == "ack" else firing, minutes)
    steps += story.look(False) + story.look(None, 2 * HOUR) + story.look(None, 2 * HOUR)
    begun = False
    for its in steps:
        if its.startswith("resolved"):
            assert begun, f"an end without a beginning: {steps}"
            begun = False
        else:
            begun = True
    assert not begun, f"no end was told: {steps}"
    assert len(set(steps)) == len(steps), "nothing is told twice"
    if story.incident is not None:
        assert told_now(story.incident) == {}
    hours = sum(minutes for _, minutes in script) / HOUR + 5
    assert len(steps) <= 8 + 8 * hours
