"""What people do about incidents besides acknowledging and silencing: who is told then, and what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.acts import ACTIONS_KEPT, LINKS_KEPT, as_act, on_act
from alerts.dues import NO_TIER
from alerts.incident import Act, Incident, Tick, incident_key
from tests.alerts.incident_world import FLOOR, KEY, VENDOR, World, on, run
from tests.alerts.machine import move, opened, signal, steps
from tests.alerts.machine import run as told
from tests.alerts.rows import MINUTE_MS, NOW_MS

OTHER = incident_key("the-rule", "vendor=bpo-b", 1)
THIRD = incident_key("the-rule", "vendor=bpo-c", 1)


def acted(incident: Incident, *whats: str, **more: Any) -> Incident:
    for what in whats:
        act = move(what, NOW_MS, incident.key, **more)
        incident = on_act(incident, act if isinstance(act, Act) else as_act(act))  # type: ignore[arg-type]
    return incident


def at(minutes: float) -> Tick:
    """A tick so many minutes after people were told, which is at wall time 0; no staleness."""
    return Tick(round(minutes * MINUTE_MS))


# -- kept with the incident ---------------------------------------------------------------------------------------------


def test_comments_owner_and_links_are_kept_with_who_and_how() -> None:
    incident = acted(opened(), "comment", note="one\ntwo", via="link", id="a1")
    assert (incident.acts[-1].what, incident.acts[-1].note, incident.acts[-1].via) == ("comment", "one\ntwo", "link")
    assert acted(incident, "comment", note="again", id="a1") is incident
    assert acted(incident, "owner").owner == "lee"
    assert acted(incident, "owner", target="").owner is None
    urls = [f"https://wiki.example/{n}" for n in range(LINKS_KEPT + 2)]
    for url in [*urls, urls[4]]:
        incident = acted(incident, "link", target=url)
    assert incident.links == (*urls[2:4], *urls[5:], urls[4])
    assert len(acted(incident, *["comment"] * 30).acts) == ACTIONS_KEPT


def test_what_is_over_takes_notes_and_nothing_that_tells() -> None:
    over, _ = told([signal(False)] * 2, opened())
    assert over is not None
    assert over.state == "resolved"
    for what in ("ack", "snooze", "escalate", "merge", "unmerge"):
        assert acted(over, what) is over
    for what in ("comment", "owner", "link", "useful", "not_useful"):
        assert len(acted(over, what).acts) == 1


def test_who_takes_it_answers_who_asked_for_the_next_tier() -> None:
    asked = acted(opened(), "escalate")
    assert asked.asked_tier == 1
    taken = acted(asked, "ack")
    assert (taken.state, taken.asked_tier) == ("acknowledged", 0)


# -- snooze -------------------------------------------------------------------------------------------------------------


def test_a_snooze_holds_all_and_at_its_end_its_readers_are_told_again() -> None:
    key = opened().key
    script = [signal(True)] * 2 + [at(0), move("snooze", 0, key), at(12), at(29)]
    incident, messages = told(script)
    assert steps(messages) == ["open"]
    assert incident is not None
    assert incident.held[0].why == "snoozed"
    assert incident.held[0].until_ms == 30 * MINUTE_MS
    incident, messages = told([*script, at(30), at(31)])
    assert incident is not None
    assert (steps(messages)[0], sorted(steps(messages)[1:])) == ("open", ["escalated-0-2", "reminder-0-1"])
    assert incident.held == ()


def test_who_acknowledges_and_snoozes_is_told_again_at_its_end() -> None:
    key = opened().key
    script = [signal(True)] * 2 + [at(0), move("ack", 0, key), move("snooze", 0, key), at(29), at(30), at(31)]
    assert steps(told(script)[1]) == ["open", "reminder-0-1"]


@pytest.mark.parametrize(
    ("value", "ends"), [(0.881, False), (0.85, False), (0.84, True), (1.0, False), (1.2, False), (None, False)]
)
def test_a_snooze_ends_where_the_number_is_half_again_as_far_from_its_target(value: float | None, ends: bool) -> None:
    key = opened().key
    incident, messages = told([signal(True)] * 2 + [at(0), move("snooze", 0, key), signal(True, value=value), at(1)])
    assert incident is not None
    assert (incident.snooze is None) == ends
    assert steps(messages) == (["open", "reminder-0-1"] if ends else ["open"])


def test_the_end_of_an_incident_ends_its_snooze_and_is_told() -> None:
    key = opened().key
    incident, messages = told([signal(True)] * 2 + [at(0), move("snooze", 0, key), *[signal(False)] * 2, at(1)])
    assert incident is not None
    assert incident.snooze is None
    assert steps(messages) == ["open", "resolved-0"]


# -- escalate -----------------------------------------------------------------------------------------------------------


def test_who_escalates_has_the_next_tier_told_at_the_next_tick_once() -> None:
    key = opened().key
    push = move("escalate", 0, key, id="e1")
    assert acted(acted(opened(), "escalate"), "escalate").asked_tier == 1
    script = [signal(True)] * 2 + [at(0), push, push, at(0.1), push, at(0.2)]
    incident, messages = told(script)
    assert steps(messages) == ["open", "escalated-0-1"]
    assert messages[1].channels == ("second-line",)
    assert incident is not None
    assert (incident.state, incident.tier) == ("escalated", 1)
    assert steps(told([*script, move("escalate", 0, key, id="e2"), at(0.3), at(9.9)])[1]) == [
        "open",
        "escalated-0-1",
        "escalated-0-2",
    ]
    assert steps(told([*script, at(10), at(30)])[1]) == ["open", "escalated-0-1", "escalated-0-2"]


def test_an_escalation_gives_on_what_somebody_had_and_ends_a_silence() -> None:
    key = opened().key
    begin = [signal(True)] * 2 + [at(0), move("ack", 0, key), move("silence", 0, key), move("snooze", 0, key), at(20)]
    incident, messages = told([*begin, move("escalate", 0, key), at(21), at(22)])
    assert steps(messages) == ["open", "escalated-0-1"]
    assert incident is not None
    assert (incident.acknowledged_by, incident.silenced_until_ms, incident.snooze) == (None, None, None)
    assert incident.state == "escalated"


def test_where_no_tier_is_left_the_incident_says_so() -> None:
    key = opened().key
    push = move("escalate", 0, key)
    incident, messages = told([signal(True)] * 2 + [at(0), push, at(1), push, at(2), push, at(3)])
    assert steps(messages) == ["open", "escalated-0-1", "escalated-0-2"]
    assert incident is not None
    assert [(hold.why, hold.by) for hold in incident.held] == [("nobody", NO_TIER)]


# -- merge --------------------------------------------------------------------------------------------------------------


def vendor(letter: str, firing: bool = True) -> Any:
    place = {"scope": {"vendor": f"bpo-{letter}"}, "scope_key": f"vendor=bpo-{letter}", "rule": "the-rule"}
    return signal(firing, NOW_MS, contributors=(), **place)


def act(world: World, what: str, key: str, **more: Any) -> Any:
    return move(what, world.now_ms, key, **more)


def test_a_merged_incident_is_silent_and_its_end_comes_with_that_of_the_other(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(vendor("a"), vendor("b"))
        await world.turn()
        assert world.told == [("default", "open")]
        await world.put(act(world, "merge", KEY, target=OTHER))
        await world.wait(20)
        assert world.told.count(("lead", "escalated-0-1")) == 1  # of the other alone
        held = (await world.shown())["held"]
        assert (held[0]["why"], held[0]["by"]) == ("merged", OTHER)
        assert (await world.shown())["merged_into"] == OTHER
        await world.put(*[vendor("a", firing=False)] * 2)
        await world.wait(1)
        assert not [step for _, step in world.told if step.startswith("resolved")]
        await world.restart()
        before = len(world.told)
        await world.put(*[vendor("b", firing=False)] * 2)
        await world.wait(1)
        # One message to each who was told, of both ends for who was told of both.
        assert sorted(world.told[before:]) == [("default", "resolved-0"), ("lead", "resolved-0")]
        told_of = [one["step"] for one in (await world.shown())["told"]]
        assert told_of == ["open", "resolved-0"]

    run(redis_url, story)


def test_where_the_other_ends_first_or_they_are_unmerged_it_speaks_for_itself(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(vendor("a"), vendor("b"))
        await world.turn()
        await world.put(act(world, "merge", KEY, target=OTHER))
        await world.put(*[vendor("b", firing=False)] * 2)
        await world.wait(0.2)
        await world.wait(20)
        assert [one["step"] for one in (await world.shown())["told"]] == ["open", "escalated-0-1"]
        await world.put(vendor("b"))
        await world.wait(0.2)
        await world.put(act(world, "unmerge", KEY))
        await world.wait(60)
        assert [one["step"] for one in (await world.shown())["told"]][-1] == "escalated-0-2"

    run(redis_url, story)


def test_what_is_merged_before_anybody_was_told_of_it_is_told_when_the_other_is_over(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(vendor("b"))
        await world.turn()
        await world.put(vendor("a"), act(world, "merge", KEY, target=OTHER))
        await world.turn()

        def mine(record: dict[str, Any]) -> list[str]:
            return [one["step"] for one in record["told"]]

        first = mine(await world.shown())
        await world.put(*[vendor("b", firing=False)] * 2)
        await world.wait(0.2)
        await world.wait(1)
        assert (first, mine(await world.shown())) == ([], ["open"])

    run(redis_url, story)


def test_incidents_are_not_merged_in_a_circle_nor_into_what_is_over_or_unknown(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(vendor("a"), vendor("b"), vendor("c"))
        await world.turn()
        await world.put(act(world, "merge", KEY, target=OTHER), act(world, "merge", OTHER, target=THIRD))
        await world.put(act(world, "merge", THIRD, target=KEY), act(world, "merge", THIRD, target="0" * 32))
        await world.wait(20)
        assert "merged_into" not in await world.shown(THIRD)
        # The last one on the way speaks for both.
        assert {(await world.shown(key))["held"][0]["by"] for key in (KEY, OTHER)} == {THIRD}
        await world.put(*[vendor("c", firing=False)] * 2)
        await world.wait(0.2)
        await world.put(act(world, "merge", KEY, target=THIRD))
        await world.wait(0.2)
        assert (await world.shown())["merged_into"] == OTHER
        assert (await world.shown())["held"][0]["by"] == OTHER

    run(redis_url, story)


def test_a_merge_is_the_same_after_a_replay(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(vendor("a"), vendor("b"))
        await world.turn()
        await world.put(act(world, "merge", KEY, target=OTHER, id="m1"), act(world, "escalate", OTHER, id="e1"))
        await world.put(act(world, "comment", KEY, id="c1"))
        await world.put(*[vendor(letter, firing=False) for letter in ("a", "b") for _ in range(2)])
        await world.wait(0.2)
        before, now = [await world.shown(), await world.shown(OTHER)], list(world.told)
        world.log.committed = 0
        await world.restart()
        await world.turn()
        await world.turn()
        assert [await world.shown(), await world.shown(OTHER)] == before
        assert world.told == now

    run(redis_url, story)


def test_what_was_done_is_read_back_by_the_next_owner(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.turn()
        given = [act(world, what, KEY) for what in ("comment", "owner", "link", "snooze")]
        await world.put(*given)
        await world.turn()
        await world.restart()
        shown = await world.shown()
        assert [one["what"] for one in shown["acts"]] == ["comment", "owner", "link", "snooze"]
        assert (shown["owner"], shown["links"]) == ("lee", ["https://wiki.example/a"])
        assert shown["machine"]["snooze"]["until_ms"] == world.now_ms + 30 * MINUTE_MS
        await world.wait(29)
        assert world.told == [("default", "open")]
        await world.wait(1.5)
        assert ("default", "reminder-0-1") in world.told

    run(redis_url, story)


def test_an_incident_that_is_merged_speaks_for_no_other(redis_url: str) -> None:
    async def story(world: World) -> None:
        floor = incident_key("floor", "all", 1)
        await world.put(signal(True, NOW_MS, rule="floor", scope={}, scope_key="all", contributors=()), vendor("a"))
        await world.turn()
        assert [hold["by"] for hold in (await world.shown())["held"]] == [floor]
        await world.put(vendor("b"))
        await world.turn()
        await world.put(act(world, "merge", floor, target=OTHER))
        await world.wait(0.2)
        assert (await world.shown())["held"] == []
        assert [one["step"] for one in (await world.shown())["told"]] == ["open"]

    run(redis_url, story, VENDOR, FLOOR)
