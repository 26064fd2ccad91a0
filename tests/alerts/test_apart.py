"""Channels whose receivers keep an alert for each incident hear of each incident of a group; the others get one message."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest
from msgspec import structs

from alerts.channels.message import message_of
from alerts.channels.pagerduty import action_of, event_of
from alerts.channels.parts import one_each
from alerts.codec import encode_group
from alerts.outgoing import Notification, notification
from alerts.routing.policy import PersonPolicy, RoutingPolicy
from alerts.telling import MOST_MEMBERS
from floorwatch.settings.load import load
from floorwatch.settings.policies import routing_policy
from streams.agents.incident_state import message_of as note_of
from tests.alerts.channels.recorder import Answer, built, recording
from tests.alerts.durable_world import Dead, DurableWorld, run
from tests.alerts.incident_world import on
from tests.alerts.machine import routing
from tests.alerts.test_telling import Floor, one, routed

QUEUES = [one({"queue": f"q{number:02d}"}) for number in range(20)]


def policy() -> RoutingPolicy:
    return structs.replace(routed(default=("ops", "pd")), channels=("ops", "pd"), apart=frozenset({"pd"}))


def told(floor: Floor, minutes: float = 0) -> tuple[list[int], list[str]]:
    """Return of what is told then how many incidents each message to ops has, and the keys that PagerDuty hears of."""
    found = floor.look(minutes)
    ops = [len(members) for channels, members in found if "ops" in channels]
    pd = [members for channels, members in found if "pd" in channels]
    assert all(len(members) == 1 for members in pd)
    return ops, [members[0][0] for members in pd]


def test_each_incident_of_a_group_reaches_pagerduty_by_its_own_key() -> None:
    floor = Floor(policy(), *QUEUES)
    ops, pd = told(floor)
    assert (ops, sorted(pd)) == ([20], sorted(held.key for held in QUEUES))
    assert len({notice.id for notice in floor.notices}) == 21
    keys = []
    for notice in floor.notices:
        made = note_of(notice, floor.now)
        assert made is not None
        if "pd" in made.channels:
            keys.append(dedup_key(notification(made)))
    assert sorted(keys) == sorted(held.key for held in QUEUES)
    assert told(floor, 10) == ([], []), "once"
    for held in QUEUES[:3]:
        floor.change(held.key, state="resolved", resolved_ms=floor.at_ms)
    ops, pd = told(floor, 10)
    assert (ops, sorted(pd)) == ([3], [held.key for held in QUEUES[:3]])


def dedup_key(note: Notification) -> str:
    event: dict[str, Any] = msgspec.json.decode(event_of(note, message_of(note), "k" * 32, action_of(note)))
    return str(event["dedup_key"])


def test_one_incident_is_one_message_with_the_id_that_it_always_had() -> None:
    apart, together = Floor(policy(), QUEUES[0]), Floor(structs.replace(policy(), apart=frozenset()), QUEUES[0])
    assert apart.look() == together.look() == [(("ops", "pd"), [(QUEUES[0].key, "open")])]
    assert [notice.id for notice in apart.notices] == [notice.id for notice in together.notices]
    mei = PersonPolicy("mei", "UTC", {"warn": ("ops", "pd")})
    route = structs.replace(policy().routes["default"], notify=("person:mei",))
    person = Floor(structs.replace(policy(), routes={"default": route}, people={"mei": mei}), QUEUES[0])
    assert person.look() == [(("ops", "pd"), [(QUEUES[0].key, "open")])]


def test_a_person_with_both_hears_by_each_channel_as_it_is_and_is_told_once() -> None:
    mei = PersonPolicy("mei", "UTC", {"warn": ("ops", "pd")})
    route = structs.replace(policy().routes["default"], notify=("person:mei",))
    floor = Floor(structs.replace(policy(), routes={"default": route}, people={"mei": mei}), *QUEUES[:3])
    ops, pd = told(floor)
    assert (ops, len(pd)) == ([3], 3)
    assert told(floor, 10) == ([], [])
    assert {entry.receiver for held in floor.now.values() for entry in held.told_people} == {"person:mei"}
    assert {name for entry in floor.now[QUEUES[0].key].told_people for name in entry.channels} == {"ops", "pd"}


def test_what_a_group_tells_at_most_fits_into_a_record_of_the_log() -> None:
    many = [one({"queue": f"queue-{number:05d}"}) for number in range(MOST_MEMBERS + 5)]
    floor = Floor(policy(), *many)
    while len({key for notice in floor.notices for key, _ in notice.members}) < len(many):
        before = len(floor.notices)
        floor.look(5)
        assert len(floor.notices) > before
        assert all(len(encode_group(group)) < 900_000 for group in floor.groups.values())
    pd = Counter(notice.members[0][0] for notice in floor.notices if "pd" in notice.targets[0].channels)
    assert pd == dict.fromkeys((held.key for held in many), 1)


def test_what_was_decided_before_is_an_event_of_each_that_it_names() -> None:
    floor = Floor(structs.replace(policy(), apart=frozenset()), *QUEUES[:4])
    floor.look()
    made = note_of(floor.notices[0], floor.now)
    assert made is not None
    note = notification(made)
    assert sorted(dedup_key(each) for each in one_each(note)) == [held.key for held in QUEUES[:4]]

    async def sent() -> list[str]:
        async with recording(usual=Answer(202)) as recorder:
            channel = built({"type": "pagerduty", "routing_key": "k" * 32, "url": f"{recorder.url}/v2/enqueue"})
            await channel.send(note, "x")
            await channel.close()
            return [str(one.json["dedup_key"]) for one in recorder.seen]

    assert sorted(asyncio.run(sent())) == [held.key for held in QUEUES[:4]]


def test_pagerduty_is_the_channel_that_is_told_apart() -> None:
    channels = {
        "pd": {"type": "pagerduty", "routing_key": "k" * 32},
        "am": {"type": "alertmanager", "url": "http://127.0.0.1:9093"},
        "console": {"type": "console"},
    }
    settings = load(None, {"FLOORWATCH_ALERTS__CHANNELS": msgspec.json.encode(channels).decode()})
    assert routing_policy(settings).apart == frozenset({"pd"})


VENDORS = [{"scope": {"vendor": name}, "scope_key": f"vendor={name}"} for name in "abcdefghijkl"]


@pytest.mark.parametrize("dies", [False, True])
def test_more_incidents_than_a_message_names_reach_pagerduty_once_each_also_through_deaths(
    redis_url: str, dies: bool
) -> None:
    """Twelve incidents: a message names ten. The notifier dies and Redis is emptied in the middle."""

    async def story(world: DurableWorld) -> None:
        pd = world.ears["pd"]
        if dies:
            pd.faults = [Dead()]
        await world.put(*(on(**scope) for scope in VENDORS))
        await world.turn()
        if dies:
            await world.redis.flushall()
            await world.restart()
        await world.settle(120)
        keys = Counter(key.rpartition(":")[0] for key, _ in pd.heard)
        assert len(keys) == 12
        assert set(keys.values()) == {1}
        assert sorted(title.removeprefix("(possible repeat) ")[0] for title in pd.titles) == list("abcdefghijkl")
        assert len({key for key, _ in world.ears["ops"].heard}) == 1

    how = structs.replace(routing(default=("ops", "pd")), apart=frozenset({"pd"}))
    run(redis_url, story, how=how)
