"""What `rules route` says of a beginning is what the telling machine does with it at that time."""

from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.dues import Scene
from alerts.incident import Incident, Stamp
from alerts.oncall.policy import CalendarPolicy, RotaFacts, RotaLayer, SchedulePolicy, WeeklyTimes
from alerts.routing.explain import explain
from alerts.routing.matchers import parse_matcher
from alerts.routing.openings import depends_on_time, openings, steps_of
from alerts.routing.policy import (
    EscalationPolicy,
    MaintenancePolicy,
    PersonPolicy,
    RoutePolicy,
    RoutingEntry,
    RoutingPolicy,
    RuleTier,
    Subject,
    TierPolicy,
)
from alerts.telling import tell
from streams.models.timestamps import parse_rfc3339_ms as ms
from tests.alerts.machine import opened

KUL = "Asia/Kuala_Lumpur"
EVERY_DAY = tuple(range(7))
MINUTE = 60_000
RECEIVERS = ("channel:ops", "channel:sms", "person:mei", "person:arif", "schedule:lead", "schedule:empty")
NOBODY = RotaFacts()


def policy_of(draw: random.Random) -> RoutingPolicy:
    """Return three routes that one incident takes all, with receivers, escalations and times at random."""
    routes = {"default": RoutePolicy("default", ("channel:ops",))}
    for name in ("a", "b", "c"):
        routes[name] = RoutePolicy(
            name,
            tuple(draw.sample(RECEIVERS, draw.randint(1, 4))),
            escalation=draw.choice((None, None, "up")),
            mute=draw.choice(((), (), ("weekends",))),
            quiet=draw.choice(((), ("nights",))),
            quiet_except=draw.choice(((), ("page",))),
        )
    entries = tuple(RoutingEntry((), name, go_on=True) for name in draw.sample(("a", "b", "c"), draw.randint(1, 3)))
    turns = SchedulePolicy("lead", KUL, (RotaLayer(("mei", "arif"), "2026-11-30T09:00", 12),))
    tiers = (TierPolicy(("schedule:lead",), 10 * MINUTE), TierPolicy(("channel:sms",), 10 * MINUTE))
    return RoutingPolicy(
        routes,
        entries,
        rule_tiers={"accuracy-low-vendor": (RuleTier(5 * MINUTE, "default"),)},
        people={
            "mei": PersonPolicy("mei", KUL, {"page": ("sms", "ops"), "warn": ("ops",)}),
            "arif": PersonPolicy("arif", KUL, {"page": ("sms",)}),
        },
        schedules={"lead": turns, "empty": SchedulePolicy("empty", KUL)},
        calendars={
            "nights": CalendarPolicy("nights", KUL, (WeeklyTimes(EVERY_DAY, 22 * 60, 7 * 60),)),
            "weekends": CalendarPolicy("weekends", KUL, (WeeklyTimes((5, 6)),)),
        },
        escalations={"up": EscalationPolicy("up", tiers, 1)},
        maintenance=draw.choice(
            ((), (MaintenancePolicy("move", (parse_matcher("vendor=bpo-a"),), calendar="nights"),))
        ),
        channels=("ops", "sms"),
    )


def fresh(severity: str) -> Incident:
    """Return an open incident of which nobody was told."""
    return structs.replace(opened(), severity=severity, told_people=(), announced=False, groups=(), timer_ms=None)


@given(st.integers(0, 2**32), st.sampled_from(["page", "warn"]), st.integers(0, 7 * 24 * 4 - 1))
def test_what_is_explained_is_what_the_machine_tells(seed: int, severity: str, quarter: int) -> None:
    policy = policy_of(random.Random(seed))
    now_ms = ms("2026-12-07T00:00:00Z") + quarter * 15 * MINUTE
    incident = fresh(severity)
    subject = Subject.of(incident)
    told = tell(Scene(policy), [incident], {}, now_ms, Stamp(0, 1))
    by_route: dict[str, set[str]] = defaultdict(set)
    for notice in told.notices:
        by_route[notice.route].update(one.receiver for one in notice.targets)
    found = openings(policy, subject, NOBODY, now_ms)
    wanted = {
        one.match.route.name: {target.receiver for target in one.told.targets}
        for one in found
        if not one.told.holds and one.told.targets
    }
    assert by_route == wanted
    everybody = [target.receiver for one in found for target in one.told.targets]
    assert len(everybody) == len({*everybody})
    held = told.incidents[incident.key].held
    assert {(hold.why, hold.by) for hold in held if hold.why in ("maintenance", "muted", "quiet")} <= {
        (one.told.holds[0].why, one.told.holds[0].by) for one in found if one.told.holds
    }
    # What was held is told when its hold ends, to those who were named, unless another route has told them.
    for one in found:
        if one.told.holds and one.told.at_ms is not None and one.told.targets:
            later = tell(Scene(policy), [told.incidents[incident.key]], told.groups, one.told.at_ms, Stamp(0, 2))
            receivers = {target.receiver for notice in later.notices for target in notice.targets}
            assert {target.receiver for target in one.told.targets} <= receivers
    if not depends_on_time(policy, subject):
        assert [one.told.targets for one in found] == [
            one.told.targets for one in openings(policy, subject, NOBODY, now_ms + 12 * 60 * MINUTE)
        ]


def test_what_one_route_holds_back_another_tells() -> None:
    night = CalendarPolicy("nights", KUL, (WeeklyTimes(EVERY_DAY, 22 * 60, 7 * 60),))
    policy = RoutingPolicy(
        {
            "default": RoutePolicy("default", ("channel:ops",)),
            "calm": RoutePolicy("calm", ("person:mei", "channel:ops"), quiet=("nights",)),
            "urgent": RoutePolicy("urgent", ("person:mei",)),
        },
        (RoutingEntry((), "calm", go_on=True), RoutingEntry((), "urgent")),
        people={"mei": PersonPolicy("mei", KUL, {"warn": ("sms",)})},
        calendars={"nights": night},
        channels=("ops", "sms"),
    )
    at_ms = ms("2026-12-07T15:00:00Z")  # 23:00 there
    incident = fresh("page")
    assert explain(policy, Subject.of(incident), NOBODY, at_ms, str)[2:] == [
        "route calm: routing[0]: everything",
        f"  held: quiet nights until {ms('2026-12-07T23:00:00Z')}",
        "  tells channel ops",
        "route urgent: routing[1]: everything",
        "  tells person mei by sms (route urgent)",
    ]
    told = tell(Scene(policy), [incident], {}, at_ms, Stamp(0, 1))
    assert [(one.route, [to.receiver for to in one.targets]) for one in told.notices] == [("urgent", ["person:mei"])]
    after = told.incidents[incident.key]
    assert [(hold.why, hold.by, hold.receivers) for hold in after.held] == [("quiet", "nights", ("channel:ops",))]
    later = tell(Scene(policy), [after], told.groups, ms("2026-12-07T23:00:00Z"), Stamp(0, 2))
    assert [(one.route, [to.receiver for to in one.targets]) for one in later.notices] == [("calm", ["channel:ops"])]


def test_steps_resolve_at_their_own_time() -> None:
    """The hand-over is at 09:00: who opens at 08:55 is told of the step at 09:05 as the next one on duty."""
    policy = structs.replace(policy_of(random.Random(1)), maintenance=())
    route = RoutePolicy("r", ("schedule:lead",), escalation="hand")
    tiers = (TierPolicy(("schedule:lead",), 10 * MINUTE), TierPolicy(("schedule:lead",), 30 * MINUTE))
    policy = structs.replace(
        policy,
        routes={"default": route, "r": route},
        entries=(),
        rule_routes={"x": "r"},
        escalations={"hand": EscalationPolicy("hand", tiers, 2)},
    )
    at_ms = ms("2026-12-08T00:55:00Z")
    lines = explain(policy, Subject("k", "accuracy_low", "x", "page", {}), NOBODY, at_ms, str)
    assert lines == [
        "route r: rule x names it",
        "  tells person arif by sms (schedule lead, layer 1)",
        "  if nobody acknowledges within 10m: step 2 of escalation hand",
        "    tells person mei by sms, ops (schedule lead, layer 1)",
        "  and again from step 1, 2 times, each after 40m",
    ]
    steps = steps_of(policy, route, ())
    assert [(one.number, one.after_ms // MINUTE, one.tier) for one in steps] == [
        (2, 10, 2),
        (3, 40, 1),
        (4, 50, 2),
        (5, 80, 1),
        (6, 90, 2),
    ]
