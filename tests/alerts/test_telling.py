"""Who is told of which incidents, together with what, and who not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.dues import MOST_TOLD, Scene, told_now
from alerts.incident import Hold, Incident, Stamp, ToldReceiver
from alerts.lifecycle import EscalationTier
from alerts.notice import IncidentGroup, Notice
from alerts.oncall.policy import RotaFacts
from alerts.outgoing import Notification, notification
from alerts.routing.policy import EscalationPolicy, RoutePolicy, RoutingPolicy, TierPolicy
from alerts.signals import Contributor
from alerts.telling import MOST_MEMBERS, adopted, tell
from streams.agents.incident_state import message_of
from tests.alerts.machine import opened
from tests.alerts.rows import MINUTE_MS, NOW_MS

OPS = "channel:ops"
BASE = structs.replace(opened(), told_people=(), groups=(), announced=False, timer_ms=None, contributors=())


def routed(rule_routes: dict[str, str] | None = None, interval_ms: int = 5 * MINUTE_MS, **routes: Any) -> RoutingPolicy:
    """Route ``default`` tells channel ``ops``; others are given as channels or as policies."""
    named: dict[str, Any] = {"default": ("ops",)} | routes
    made = {
        name: one
        if isinstance(one, RoutePolicy)
        else RoutePolicy(name, tuple(f"channel:{channel}" for channel in one), group_interval_ms=interval_ms)
        for name, one in named.items()
    }
    channels = {to.removeprefix("channel:") for route in made.values() for to in route.notify} | {"boss", "ops"}
    return RoutingPolicy(made, rule_routes=rule_routes or {}, channels=tuple(sorted(channels)))


def one(scope: dict[str, str], **more: Any) -> Incident:
    """An open incident of accuracy that nobody was told of; its key is its scope."""
    key = ",".join(f"{name}={value}" for name, value in sorted(scope.items())) or "floor"
    kind = more.get("kind", "accuracy_low")
    fields = {"key": f"{key}/{kind}", "scope": scope, "scope_key": key, "rule": f"{kind}-{'-'.join(sorted(scope))}"}
    return structs.replace(BASE, **{**fields, **more})


def clear(dimension: str, value: str) -> Contributor:
    return Contributor(dimension, value, -5.0, 100, "", clear=True)


class Floor:
    """Incidents, groups and the log's clock; each ``look`` is a tick."""

    def __init__(self, policy: RoutingPolicy, *incidents: Incident, tiers: Any = None) -> None:
        self.scene = Scene(policy, tiers=tiers or {})
        self.now = {held.key: held for held in incidents}
        self.groups: dict[str, IncidentGroup] = {}
        self.offset, self.at_ms = 0, NOW_MS
        self.notices: list[Notice] = []

    def put(self, *incidents: Incident, **more: Any) -> None:
        """Add incidents, or replace them; ``more`` changes what is there."""
        for held in incidents:
            self.now[held.key] = structs.replace(self.now.get(held.key, held), **more) if more else held

    def change(self, key: str, **more: Any) -> None:
        self.now[key] = structs.replace(self.now[key], **more)

    def look(self, minutes: float = 0) -> list[tuple[tuple[str, ...], list[tuple[str, str]]]]:
        """Let time pass; return (channels, [(key, step)]) of what is told then."""
        self.at_ms += round(minutes * MINUTE_MS)
        self.offset += 1
        told = tell(self.scene, self.now.values(), self.groups, self.at_ms, Stamp(0, self.offset))
        assert not told.faults
        self.now |= told.incidents
        self.groups |= told.groups
        self.notices += told.notices
        return [
            (tuple(name for to in notice.targets for name in to.channels), list(notice.members))
            for notice in told.notices
        ]

    def held(self, key: str) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(hold.why, hold.by, hold.receivers) for hold in self.now[key].held]


# -- grouping ----------------------------------------------------------------------------------------------------------


def storm(queues: int = 20) -> list[Incident]:
    named = ["comments", "ads", "chat", *(f"q{number:02d}" for number in range(queues - 3))]
    late = [
        one(
            {"queue": name},
            kind="sla_attainment",
            value=0.629 if name == "comments" else 0.9 - 0.001 * place,
            target=0.95,
            evidence=f"SLA {62.9 if name == 'comments' else 90 - 0.1 * place:.1f}%",
        )
        for place, name in enumerate(named)
    ]
    site = one(
        {"site": "kul"}, kind="throughput_drop", severity="warn", value=0.0, target=1.0, evidence="no label since 10:40"
    )
    old = [one({"queue": name}, kind="backlog_age", severity="warn", value=3e5, target=86_400.0) for name in named]
    floor = one({}, kind="throughput_drop", severity="warn", value=0.4, target=0.7)
    return [*late, site, *old, floor]


def test_a_storm_is_a_few_messages_and_names_the_site_and_the_worst_queues() -> None:
    late = [held for held in storm() if held.kind == "sla_attainment"]
    (site,) = (held for held in storm() if held.scope == {"site": "kul"})
    others = [held for held in storm() if held.kind != "sla_attainment" and held.key != site.key]
    floor = Floor(routed(default=("ops", "phone")), *late, site)
    first = floor.look()
    for minute in range(1, 11):  # what follows, minute by minute
        if minute < 6:
            floor.put(*others[(minute - 1) * 5 : minute * 5])
        floor.look(1)
    sent = sum(len(to.channels) for notice in floor.notices for to in notice.targets)
    assert sent <= 6
    assert len(first) == 1
    assert len(first[0][1]) == 21
    note = _noted(floor, floor.notices[0])
    assert note.title.startswith("20 queues, worst comments: SLA 62.9% (target 95%); site kul: throughput 0%")
    assert note.counts == {"sla_attainment": 20, "throughput_drop": 1}
    assert "comments: SLA 62.9%" in note.body.splitlines()[0]
    told = {key for notice in floor.notices for key, _ in notice.members}
    assert told == {held.key for held in floor.now.values()} - {key for key in floor.now if floor.held(key)}
    floor.look(5)
    assert {key for notice in floor.notices for key, _ in notice.members} >= {held.key for held in (*late, site)}


def _noted(floor: Floor, notice: Notice) -> Notification:
    made = message_of(notice, floor.now)
    assert made is not None
    return notification(made)


def test_one_page_may_come_ahead_of_the_interval_and_the_rest_waits() -> None:
    floor = Floor(routed(), one({"queue": "a"}))
    assert len(floor.look()) == 1
    floor.put(one({"queue": "w"}, severity="warn"))
    assert floor.look(1) == []
    assert [(why, who) for why, _, who in floor.held("queue=w/accuracy_low")] == [("grouping", (OPS,))]
    floor.put(one({"queue": "b"}))
    assert [[key for key, _ in members] for _, members in floor.look(0.1)] == [
        ["queue=b/accuracy_low", "queue=w/accuracy_low"]
    ]
    floor.put(one({"queue": "c"}))
    assert floor.look(1) == []
    assert len(floor.look(4)) == 1


def test_a_first_message_waits_for_more_where_the_route_says_so() -> None:
    route = RoutePolicy("default", (OPS,), group_wait_ms=90_000)
    floor = Floor(routed(default=route), one({"queue": "a"}))
    assert floor.look() == []
    floor.put(one({"queue": "b"}))
    assert floor.look(1) == []
    ((_, members),) = floor.look(0.5)
    assert len(members) == 2


def test_groups_keep_apart_what_group_by_names() -> None:
    route = RoutePolicy("default", (OPS,), group_by=("queue",))
    floor = Floor(routed(default=route), one({"queue": "a"}), one({"queue": "b"}))
    assert len(floor.look()) == 2
    assert {group.labels["queue"] for group in floor.groups.values()} == {"a", "b"}


def test_ten_thousand_at_once_are_told_part_by_part_and_none_is_lost() -> None:
    floor = Floor(
        routed(), *(one({"labeler": f"l{number}"}, severity="info") for number in range(3 * MOST_MEMBERS // 2))
    )
    ((_, members),) = floor.look()
    assert len(members) == MOST_MEMBERS
    ((_, rest),) = floor.look(5)
    assert len({*members, *rest}) == len(floor.now)
    assert floor.look(5) == []


# -- who speaks for whom -----------------------------------------------------------------------------------------------

VENDOR = one({"vendor": "a"})


def test_a_narrower_one_is_held_only_for_who_was_told_of_the_wider() -> None:
    policy = routed({"accuracy_low-vendor": "vendor"}, vendor=("bpo-a", "ops"))
    floor = Floor(policy, one({}), VENDOR)
    assert sorted(floor.look()) == [(("bpo-a",), [(VENDOR.key, "open")]), (("ops",), [("floor/accuracy_low", "open")])]
    assert floor.held(VENDOR.key) == [("inhibited", "floor/accuracy_low", (OPS,))]
    assert floor.look(5) == []
    floor.change("floor/accuracy_low", state="resolved")
    told = floor.look(5)
    assert (("ops",), [(VENDOR.key, "open")]) in told or any((VENDOR.key, "open") in members for _, members in told)
    assert floor.held(VENDOR.key) == []


@pytest.mark.parametrize("state", ["open", "acknowledged", "silenced"])
def test_a_vendor_is_told_to_its_own_route_at_once_whatever_becomes_of_the_floors_incident(state: str) -> None:
    floor = Floor(routed({"accuracy_low-vendor": "vendor"}, vendor=("bpo-a",)), one({}))
    floor.look()
    if state == "silenced":
        floor.change("floor/accuracy_low", silenced_until_ms=NOW_MS + 10**9)
    else:
        floor.change("floor/accuracy_low", state=state)
    floor.put(VENDOR)
    assert floor.look(1) == [(("bpo-a",), [(VENDOR.key, "open")])]


def test_a_silenced_wider_one_speaks_for_nobody() -> None:
    floor = Floor(routed(), one({}, silenced_until_ms=NOW_MS + 10**9), VENDOR)
    assert floor.look() == [(("ops",), [(VENDOR.key, "open")])]
    assert floor.held("floor/accuracy_low") == [("silenced", "", (OPS,))]


def test_a_clear_contributor_speaks_and_the_wider_one_is_held() -> None:
    floor = Floor(routed(), one({}, contributors=(clear("vendor", "a"),)), VENDOR, one({"vendor": "b"}))
    ((_, members),) = floor.look()
    assert members == [(VENDOR.key, "open"), ("vendor=b/accuracy_low", "open")]
    assert floor.held("floor/accuracy_low") == [("inhibited", VENDOR.key, (OPS,))]


def test_a_part_that_is_not_clear_is_held() -> None:
    doubtful = structs.replace(clear("vendor", "a"), clear=False)
    floor = Floor(routed(), one({}, contributors=(doubtful,)), VENDOR)
    assert floor.look() == [(("ops",), [("floor/accuracy_low", "open")])]


def test_the_sharpest_of_a_chain_speaks() -> None:
    cell = one({"vendor": "a", "queue": "q"})
    vendor = structs.replace(VENDOR, contributors=(clear("queue", "q"),))
    floor = Floor(routed(), one({}, contributors=(clear("vendor", "a"),)), vendor, cell)
    assert floor.look() == [(("ops",), [(cell.key, "open")])]
    assert {floor.held(key)[0][:2] for key in ("floor/accuracy_low", vendor.key)} == {("inhibited", cell.key)}


def test_another_kind_speaks_for_nobody() -> None:
    floor = Floor(routed(), one({}, kind="critical_errors"), VENDOR)
    ((_, members),) = floor.look()
    assert len(members) == 2


scopes = st.dictionaries(st.sampled_from(["vendor", "queue", "policy"]), st.sampled_from(["a", "b"]))
causes = st.lists(st.tuples(st.sampled_from(["vendor", "queue", "policy"]), st.sampled_from(["a", "b"])), max_size=2)
floors = st.lists(
    st.tuples(
        scopes, causes, st.sampled_from(["open", "open", "acknowledged", "silenced"]), st.sampled_from(["r1", "r2"])
    ),
    max_size=8,
    unique_by=lambda made: tuple(sorted(made[0].items())),
)


def _drawn(made: Sequence[Any]) -> list[Incident]:
    incidents = []
    for scope, parts, state, route in made:
        silenced = NOW_MS + 10**9 if state == "silenced" else None
        incidents.append(
            one(
                scope,
                rule=route,
                contributors=tuple(clear(*part) for part in parts),
                state="open" if silenced else state,
                silenced_until_ms=silenced,
            )
        )
    return incidents


@given(floors)
def test_whoever_is_held_knows_of_the_incident_that_speaks_for_it(made: list[Any]) -> None:
    """The property that nobody is hidden: what speaks is live, not silent, of the kind, and its receiver was told of it."""
    incidents = _drawn(made)
    floor = Floor(routed({"r1": "r1", "r2": "r2"}, interval_ms=0, r1=("ops", "x"), r2=("ops", "y")), *incidents)
    for _ in range(2):
        floor.look(1)
        for held in floor.now.values():
            known = told_now(held).keys()
            if held.state == "open" and held.silenced_until_ms is None:
                named = {"channel:ops", "channel:x" if held.rule == "r1" else "channel:y"}
                explained = {name for hold in held.held for name in hold.receivers}
                assert known | explained >= named
            for hold in held.held:
                if hold.why == "inhibited":
                    speaker = floor.now[hold.by]
                    assert set(hold.receivers) <= told_now(speaker).keys()
                    assert speaker.live
                    assert speaker.silenced_until_ms is None
                    assert not set(hold.receivers) & known


# -- tiers, ends -------------------------------------------------------------------------------------------------------


def test_tiers_of_many_incidents_are_one_message_and_ends_reach_all_who_were_told() -> None:
    tiers = {"accuracy_low-queue": (EscalationTier(15 * MINUTE_MS, "lead"),)}
    queues = [one({"queue": name}) for name in "abc"]
    floor = Floor(routed(lead=("boss",)), *queues, tiers=tiers)
    floor.look()
    floor.change("queue=a/accuracy_low", state="acknowledged")
    assert floor.look(14) == []
    ((channels, members),) = floor.look(1)
    assert (channels, [step for _, step in members]) == (("boss",), ["escalated-0-1"] * 2)
    assert {floor.now[key].state for key, _ in members} == {"escalated"}
    for held in queues:
        floor.change(held.key, state="resolved")
    told = floor.look(5)
    assert sorted((channels, len(members)) for channels, members in told) == [(("boss",), 2), (("ops",), 3)]
    assert floor.look(5) == []
    assert not any(held.announced or held.groups for held in floor.now.values())


def test_a_route_has_an_escalation_of_its_own() -> None:
    chain = EscalationPolicy(
        "kul", (TierPolicy(("channel:ops",), 10 * MINUTE_MS), TierPolicy(("channel:boss",), 20 * MINUTE_MS)), repeat=1
    )
    route = RoutePolicy("default", ("channel:wall",), escalation="kul")
    policy = structs.replace(routed(default=route), escalations={"kul": chain})
    floor = Floor(policy, one({"queue": "a"}))
    assert floor.look()[0][0] == ("wall", "ops")
    assert floor.look(9) == []
    assert floor.look(1) == [(("boss",), [("queue=a/accuracy_low", "escalated-0-2")])]
    assert floor.look(20)[0][0] == ("ops",)
    assert floor.look(10)[0][0] == ("boss",)
    assert floor.look(600) == []


def test_nobody_is_told_of_the_end_who_was_not_told_of_the_beginning() -> None:
    floor = Floor(routed(), one({"queue": "a"}, state="resolved"))
    assert floor.look() == []


def test_a_route_without_receivers_is_shown_as_nobody() -> None:
    floor = Floor(routed(default=RoutePolicy("default", ("channel:gone",))), one({"queue": "a"}))
    policy = structs.replace(floor.scene.policy, channels=("ops",))
    floor.scene = Scene(policy)
    assert floor.look() == []
    assert floor.now["queue=a/accuracy_low"].held == (Hold("nobody"),)


def test_who_comes_on_duty_later_is_not_told_of_what_others_were_told() -> None:
    floor = Floor(routed(), one({"queue": "a"}))
    floor.look()
    floor.scene = Scene(routed(default=("next",)))
    assert floor.look(60) == []


def test_the_trail_of_who_was_told_is_bounded_and_keeps_who_must_hear_the_end() -> None:
    floor = Floor(routed(interval_ms=0), one({"queue": "a"}))
    for number in range(60):
        floor.look(1)
        floor.change("queue=a/accuracy_low", state="resolved")
        floor.look(1)
        floor.change("queue=a/accuracy_low", state="open", reopened=number + 1)
    floor.look(1)
    held = floor.now["queue=a/accuracy_low"]
    assert len(held.told_people) == MOST_TOLD
    assert told_now(held).keys() == {OPS}


def test_an_incident_of_format_2_is_not_told_again_and_its_end_is() -> None:
    old = one({"queue": "a"}, announced=True, timer_ms=NOW_MS - MINUTE_MS, told=("lead",), tier=1, state="escalated")
    policy = routed(lead=("boss",))
    tiers = {"accuracy_low-queue": (EscalationTier(15 * MINUTE_MS, "lead"),)}
    held = adopted(Scene(policy, tiers=tiers), old, NOW_MS)
    assert (held.state, held.tier, held.timer_ms) == ("escalated", 1, NOW_MS - MINUTE_MS)
    floor = Floor(policy, held, tiers=tiers)
    assert floor.look(60) == []
    floor.change(held.key, state="resolved")
    ((channels, members),) = floor.look(1)
    assert (sorted(channels), members) == (["boss", "ops"], [(held.key, "resolved-0")])
    assert isinstance(held.told_people[0], ToldReceiver)
    assert floor.scene.facts == RotaFacts()


def test_an_incident_that_was_written_later_is_passed_over_by_a_replay_and_speaks() -> None:
    """At a replay an incident may be read back as it became later: its inputs since are not to be applied twice."""
    later = one({}, stamp=Stamp(0, 10), told_people=(ToldReceiver(OPS, ("ops",), "g:1", "open", NOW_MS, ""),))
    waiting = structs.replace(one({"queue": "z"}, kind="critical_errors"), stamp=Stamp(0, 10))
    floor = Floor(routed(), later, waiting, VENDOR)
    assert floor.look() == []
    assert floor.now[waiting.key] == waiting
    assert floor.held(VENDOR.key) == [("inhibited", later.key, (OPS,))]
    floor.offset = 10
    assert floor.look() == [(("ops",), [(waiting.key, "open")])]
