"""Faults of the stream become incidents like others: told on their route, kept, acknowledged, ended; on the log."""

from __future__ import annotations

import pytest
from msgspec import structs

from alerts.health.facts import ChannelHealth, HealthFacts, StreamFault
from alerts.health.faults import faults_of
from alerts.health.incidents import place_of, stream_signals, worth_saying, worth_telling
from alerts.incident import Ack, Incident
from alerts.kinds.registry import phrase_of
from alerts.kinds.stream_health import STREAM_KINDS, rate_words
from alerts.message.compose import compose_members
from alerts.message.model import Reader
from alerts.message.texts import sms
from alerts.message.titles import Member
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from alerts.text import title_of
from tests.alerts.health.test_faults import LIMITS, MINUTE, ago, facts
from tests.alerts.incident_world import World, run
from tests.alerts.rows import NOW_MS

ROUTING = RoutingPolicy(
    routes={
        "default": RoutePolicy("default", ("channel:ops",), group_interval_ms=0),
        "health": RoutePolicy("health", ("channel:ops", "channel:mail"), group_interval_ms=0),
        "only": RoutePolicy("only", ("channel:chat",), group_interval_ms=0),
        "lead": RoutePolicy("lead", ("channel:phone",), group_interval_ms=0),
    },
    rule_routes={"receiver-failing": "health", "watermark-stalled": "only"},
    channels=("chat", "ops", "mail", "phone"),
)
FAILING = ChannelHealth("ops", failing_since_ms=ago(14), reason="webhook ops: the receiver answered 503", waiting=3)
STALLED = StreamFault("watermark_stalled", {}, ago(12), 12 * MINUTE, 10 * MINUTE, "Rules have not looked since 10:40.")


def failing(name: str = "ops") -> HealthFacts:
    return facts(channels=(structs.replace(FAILING, name=name), ChannelHealth("mail")))


async def look(world: World, of: HealthFacts) -> None:
    """One look of the watch, and a turn of the stage."""
    faults = faults_of(structs.replace(of, now_ms=world.now_ms), LIMITS) if not of.redis_fault else []
    signals = stream_signals(faults, world.stage.live(), world.now_ms)
    await world.put(*signals.values())
    await world.turn()


def test_a_channel_that_fails_is_told_on_the_others_of_its_route(redis_url: str) -> None:
    async def story(world: World) -> None:
        await look(world, failing())
        assert world.told == [("mail", "open")]
        (one,) = world.stage.live()
        assert (one.kind, one.scope, one.severity) == ("receiver_failing", {"channel": "ops"}, "page")
        await world.put(Ack(one.key, "mei", world.now_ms))
        world.now_ms += 15_000
        await look(world, facts(channels=(ChannelHealth("ops"),)))
        await look(world, facts(channels=(ChannelHealth("ops"),)))
        assert world.stage.live() == []
        assert world.told == [("mail", "open"), ("mail", "resolved-0")]
        assert (await world.shown(one.key))["state"] == "resolved"

    run(redis_url, story, how=ROUTING)


@pytest.mark.parametrize(
    ("broken", "route", "fallbacks", "told"),
    [
        ("chat", "only", {"chat": "phone"}, "phone"),  # its fallback
        ("chat", "only", {}, "ops"),  # the default route
        ("ops", "default", {}, "chat"),  # any other
    ],
)
def test_where_its_route_has_no_other_channel_another_way_is_taken(
    redis_url: str, broken: str, route: str, fallbacks: dict[str, str], told: str
) -> None:
    async def story(world: World) -> None:
        await look(world, failing(broken))
        assert world.told == [(told, "open")]

    how = structs.replace(ROUTING, rule_routes={"receiver-failing": route}, fallbacks=fallbacks)
    run(redis_url, story, how=how)


def test_numbers_that_stand_still_open_at_once_and_escalate(redis_url: str) -> None:
    """Event time stands still, so only the ticks of the log move it on."""

    async def story(world: World) -> None:
        await world.put(*stream_signals([STALLED], [], world.now_ms).values())
        await world.turn()
        assert world.told == [("chat", "open")]
        await world.wait(31)
        assert world.told == [("chat", "open"), ("phone", "escalated-0-1")]
        await world.restart()
        await world.turn()
        assert [one.kind for one in world.stage.live()] == ["watermark_stalled"]
        assert len(world.told) == 2

    run(redis_url, story, how=ROUTING)


def test_what_is_not_known_ends_nothing(redis_url: str) -> None:
    async def story(world: World) -> None:
        await look(world, failing())
        unknown = facts(redis_fault="TimeoutError")
        assert faults_of(unknown, LIMITS) == []
        assert len(world.stage.live()) == 1  # the watch writes no signals then: tests/alerts/health/test_watch.py

    run(redis_url, story, how=ROUTING)


def test_a_look_says_each_fault_once_a_minute_and_each_end() -> None:
    signals = stream_signals([STALLED], [], NOW_MS)
    place = place_of(STALLED)
    assert list(signals) == [place] == [("watermark-stalled", "all")]
    live = [incident(STALLED)]
    assert worth_saying(signals, {}, []) == worth_saying(signals, {place: NOW_MS}, []) == list(signals.values())
    assert worth_saying(signals, {place: NOW_MS - 59_000}, live) == []
    assert worth_saying(signals, {place: NOW_MS - 60_000}, live) == list(signals.values())
    over = stream_signals([], live, NOW_MS)
    assert [(one.firing, one.value) for one in worth_saying(over, {place: NOW_MS}, live)] == [(False, None)]


def test_a_new_owner_gives_rules_time_to_look_and_goes_on_with_what_is_told() -> None:
    other = faults_of(failing(), LIMITS)[0]
    new, settled = facts(watched_ms=ago(9)), facts(watched_ms=ago(10))
    assert worth_telling([STALLED, other], [], new, LIMITS) == [other]
    assert worth_telling([STALLED, other], [], settled, LIMITS) == [STALLED, other]
    assert worth_telling([STALLED], [incident(STALLED)], new, LIMITS) == [STALLED]


def test_incidents_of_rules_are_left_alone() -> None:
    other = structs.replace(incident(STALLED), kind="accuracy_low", rule="a")
    assert stream_signals([], [other], NOW_MS) == {}


def incident(fault: StreamFault, *, over: bool = False) -> Incident:
    """The incident of a fault."""
    (signal,) = stream_signals([fault], [], NOW_MS).values()
    kind = next(one for one in STREAM_KINDS if one.name == fault.kind)
    return Incident(
        key="ab" * 16,
        rule=signal.rule,
        kind=signal.kind,
        severity=kind.severity,
        scope=signal.scope,
        scope_key=signal.scope_key,
        episode=1,
        state="resolved" if over else "open",
        evidence=signal.evidence,
        value=None if over else signal.value,
        target=signal.target,
        window=signal.window,
        since_ms=signal.since_ms,
        updated_ms=NOW_MS,
        opened_ms=signal.watermark_ms,
        resolved_ms=NOW_MS if over else None,
        figures=signal.figures,
        runbook_url=signal.runbook_path,
    )


FAULTS = {
    "stalled": STALLED,
    "no notifier": StreamFault("notifier_dead", {}, ago(3), 3 * MINUTE, MINUTE, "No notifier delivers anything."),
    "a notifier": StreamFault(
        "notifier_dead", {"worker": "floor-1:9464"}, ago(3), 3 * MINUTE, MINUTE, "Of the notifier …"
    ),
    "receiver": faults_of(failing(), LIMITS)[0],
}
TITLES = {
    "stalled": "whole floor: no new numbers for 12 min (at most 10 min), since ",
    "no notifier": "whole floor: nobody is told of anything for 3 min (at most 1 min), since ",
    "a notifier": "worker floor-1:9464: notifier stands still for 3 min (at most 1 min), since ",
    "receiver": "channel ops: delivers nothing for 14 min (at most 10 min), 3 waiting, since ",
}
ENDS = {
    "stalled": "Resolved: whole floor: numbers go on",
    "no notifier": "Resolved: whole floor: messages are delivered",
    "a notifier": "Resolved: worker floor-1:9464: messages are delivered",
    "receiver": "Resolved: channel ops: delivers again",
}


@pytest.mark.parametrize("name", FAULTS)
def test_messages_can_be_read(name: str) -> None:
    one = incident(FAULTS[name])
    message = compose_members([Member(one, "open")], Reader("Asia/Kuala_Lumpur"))
    assert message.title.startswith(TITLES[name])
    assert message.lines[1].startswith(FAULTS[name].evidence[:60])
    assert len(sms(message)) <= 160
    assert title_of(one)
    assert phrase_of(one).what
    end = compose_members([Member(incident(FAULTS[name], over=True), "resolved-0")], Reader())
    assert end.title.startswith(ENDS[name])


def test_rates_in_words() -> None:
    assert rate_words(2_400) == "40 events a minute"
    assert rate_words(30) == "30 events an hour"
