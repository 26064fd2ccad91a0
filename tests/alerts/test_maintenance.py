"""Maintenance windows: what may be planned, and that nobody is told while one is on."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import structs

from alerts.codec import incident_of
from alerts.incident import Maintenance, Tick, incident_key
from alerts.maintenance import (
    MOST_MS,
    MOST_WINDOWS,
    check_number,
    held_by,
    listed,
    planned,
    same,
    state_of,
    within,
)
from alerts.message.compose import compose_members
from alerts.message.model import Reader
from alerts.message.titles import Member
from alerts.oncall.policy import RotaFacts
from alerts.plan_fault import MOST_AHEAD_MS, PlanFault
from alerts.routing.matchers import MatcherFault, fits_value, planned_matcher
from alerts.routing.policy import Subject
from alerts.routing.routes import holds
from floorwatch.cli.incident_told import held_lines, who_words
from streams.models.timestamps import parse_rfc3339_ms
from tests.alerts import incident_world
from tests.alerts.incident_world import KEY, World, on, run
from tests.alerts.machine import ROUTING, routing
from tests.alerts.rows import MINUTE_MS, NOW_MS

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BAD_IDS = (".", "..", "a/..", "./a", "a//b", "/a", "a/", "a/b/c", "a%00", "a/%2e%2e")


def window(*match: str, minutes: float = 60, begin: float = 0, name: str = "move") -> Maintenance:
    """A window from some minute of the story on."""
    start = NOW_MS + round(begin * MINUTE_MS)
    return Maintenance(name, match or ("vendor=bpo-a",), start, start + round(minutes * MINUTE_MS), "ann", NOW_MS)


def asked(**more: Any) -> Maintenance:
    """A window as somebody asks for it."""
    fields: dict[str, Any] = {"match": ["vendor=bpo-a"], "from_ms": NOW_MS, "to_ms": NOW_MS + HOUR_MS, "by": "ann"}
    fields["known"] = {"kind": ["accuracy_low", "rushing"], "rule": ["vendor-sla"]}
    return planned(**{**fields, "now_ms": NOW_MS, **more})


def test_the_same_window_has_the_same_id_and_another_has_another() -> None:
    first = asked()
    assert first == Maintenance(first.id, ("vendor=bpo-a",), NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS)
    assert asked(now_ms=NOW_MS + 5, note="x").id == first.id
    assert (
        len({asked(**one).id for one in ({}, {"by": "mei"}, {"to_ms": NOW_MS + MINUTE_MS}, {"match": ["site=a"]})}) == 4
    )
    for name in ("deploy-42", "vendor%20a/m-1", "team/deploy.42", "迁移-1"):
        assert asked(name=name).id == name
    assert asked(by="Zo\u200cë", note="🤷\u200d♀️ \u200fسلام").note == "🤷\u200d♀️ \u200fسلام"
    assert asked(match=["vendor=می\u200cرود", "kind=rushing", "rule=vendor-sla", "kind=~nothing-yet|rushing"]).match
    assert asked(match=[' site =~ "kul|pen" ']).match == ("site=~kul|pen",)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"match": []}, "match: names nothing; write e.g. vendor=bpo-a; severity=~.* is every incident"),
        ({"match": ["vendor"]}, 'match: "vendor" is no matcher; write a name, one of'),
        ({"match": ["vender=x"]}, "match: no incident has a vender; did you mean vendor?"),
        ({"match": ["severity=paeg"]}, 'match: there is no severity "paeg"; did you mean page?'),
        ({"match": ["site=kul", "site=pen"]}, "match: no site fits site=kul, site=pen; all matchers must fit"),
        ({"match": ["site=~(a+)+"]}, 'match: "(a+)+" is more than a maintenance window may ask for; write words'),
        ({"match": ["site=a"] * 21}, "match: has 21 matchers; write at most 20"),
        ({"to_ms": NOW_MS}, "to: Mon 23 Nov 10:02 UTC is not after the begin, Mon 23 Nov 10:02 UTC; write a later end"),
        (
            {"from_ms": NOW_MS - 2 * HOUR_MS, "to_ms": NOW_MS - HOUR_MS},
            "to: Mon 23 Nov 09:02 UTC is over; it is Mon 23 Nov 10:02 UTC; write an end that is to come",
        ),
        ({"to_ms": NOW_MS + 59_999}, "to: the window is shorter than a minute; write a later end"),
        ({"to_ms": NOW_MS + MOST_MS + 1}, "to: the window is longer than 31 days; write an end at most 31 days after"),
        (
            {"from_ms": NOW_MS + MOST_AHEAD_MS + 1, "to_ms": NOW_MS + MOST_AHEAD_MS + HOUR_MS},
            "is more than a year ahead; plan it later",
        ),
        ({"by": " "}, "by: is no name; write who plans it"),
        ({"by": "a\nb"}, "by: it holds U+000A (the end of a line) at character 2; leave that out, and write one line"),
        ({"note": "a\x1bb"}, "note: it holds U+001B (a control character) at character 2"),
        ({"note": "a\u202eb"}, "note: it holds U+202E (right-to-left override) at character 2"),
        ({"note": "x" * 201}, "note: 201 characters are too many; write at most 200"),
        ({"match": ["vendor=bpo\u202e"]}, "holds U+202E (right-to-left override) at character 11; write the value as"),
        ({"match": ["kind=accuracy_lo"]}, 'match: there is no kind "accuracy_lo"; did you mean accuracy_low?'),
        ({"match": ["rule!=vendor-sal"]}, 'match: there is no rule "vendor-sal"; did you mean vendor-sla?'),
        ({"name": "a b"}, "id: is no id; write up to 100 characters without spaces"),
        ({"name": "x" * 101}, "id: is no id"),
        ({"name": "a\u202eb"}, "id: holds U+202E (right-to-left override) at character 2; write what people can see"),
        ({"name": "a\u200bb"}, "id: holds U+200B (zero width space) at character 2"),
        *(({"name": one}, "id: cannot stand in an address; write at most one /") for one in BAD_IDS),
        (
            {"to_ms": NOW_MS + 38 * DAY_MS, "from_ms": NOW_MS + 39 * DAY_MS},
            "to: Thu 31 Dec 2026 10:02 UTC is not after the begin, Fri 1 Jan 2027 10:02 UTC",
        ),
        ({"from_ms": 0, "to_ms": 9}, "Thu 1 Jan 1970 00:00 UTC is over; it is Mon 23 Nov 2026 10:02 UTC"),
        (
            {"from_ms": parse_rfc3339_ms("2120-12-03T14:00:00Z"), "to_ms": parse_rfc3339_ms("2120-12-03T15:00:00Z")},
            "from: Tue 3 Dec 2120 14:00 UTC is more than a year ahead",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(more: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanFault) as fault:
        asked(**more)
    assert said in str(fault.value)


def test_there_is_a_bound_on_windows_that_are_not_over() -> None:
    known = [window(name=f"m-{n}") for n in range(MOST_WINDOWS)]
    check_number(known[1:], asked())
    check_number(known, structs.replace(known[3], note="another"))  # it is one of them
    check_number([*known[1:], structs.replace(known[0], removed=True)], asked())
    with pytest.raises(PlanFault, match="there are 1,000 windows already; remove some"):
        check_number(known, asked())


def test_the_state_of_a_window_and_the_list() -> None:
    late, gone = window(begin=30, name="late"), structs.replace(window(name="gone"), removed=True)
    found = [late, window(name="now"), gone, window(begin=-90, name="past")]
    assert [state_of(one, NOW_MS) for one in found] == ["planned", "on", "removed", "over"]
    assert [state_of(window(), NOW_MS + HOUR_MS - 1), state_of(window(), NOW_MS + HOUR_MS)] == ["on", "over"]
    assert [one.id for one in listed(found, NOW_MS)] == ["now", "late"]
    assert [one.id for one in listed(found, NOW_MS, gone=True)] == ["past", "gone", "now", "late"]
    assert same(window(), structs.replace(window(), at_ms=7))
    assert not same(window(), structs.replace(window(), removed=True))
    assert not same(None, window())


def test_what_is_within_the_bounds_of_a_sender() -> None:
    bound = {"vendor": ("bpo-a", "bpo-b"), "site": ("kul",)}
    assert within(["vendor=bpo-a", "site=kul"], bound) is None
    assert within(["vendor=~bpo-a|bpo-b", "vendor!=bpo-b", "site=kul", "queue=~.*"], bound) is None
    assert within(["vendor=bpo-c", "site=kul"], bound) == "vendor"
    assert within(["vendor=~bpo-.*", "site=kul"], bound) == "vendor"  # also what comes tomorrow
    assert within(["vendor!=bpo-c", "site=kul"], bound) == "vendor"
    assert within(["vendor=", "site=kul"], bound) == "vendor"  # incidents of the whole floor
    assert within(["vendor=bpo-a"], bound) == "site"


def test_how_many_incidents_a_window_fits() -> None:
    records = [
        {"key": "k", "kind": "x", "rule": "r", "severity": "page", "scope": {"vendor": name}, "more": 1}
        for name in ("bpo-a", "bpo-b", "bpo-a")
    ]
    assert held_by(window("vendor=bpo-a", "severity=page"), records) == 2
    assert held_by(window("vendor=bpo-a", "severity=warn"), records) == 0


@pytest.mark.parametrize("text", ["site=~kul|pen", "site=~k.l", "site!~kul.*|.*pen.*", r"site=~a\.b", "site=(a+)+$"])
def test_plain_patterns_may_be_planned(text: str) -> None:
    planned_matcher(text)


@pytest.mark.parametrize("text", ["(a+)+", "a*", ".*a.*b.*", "[a-z]+", "a{1,9}", "a?", "(?=a)", r"(.)\1", r"\1", "^a$"])
def test_what_could_keep_a_worker_busy_may_not_be_planned(text: str) -> None:
    with pytest.raises(MatcherFault):
        planned_matcher(f"site=~{text}")


def test_the_worst_pattern_is_quick() -> None:
    worst = planned_matcher("site=~.*a.*b|" + "|".join([".*a.*c"] * 100))
    began = time.perf_counter()
    assert not fits_value(worst, "a" * 256)
    assert time.perf_counter() - began < 2


def test_a_window_on_the_log_that_may_not_be_planned_holds_nothing() -> None:
    subject = Subject("k", "x", "r", "page", {"vendor": "bpo-a"})
    for match, held in ((("vendor=bpo-a",), True), (("vendor=~(b|p|o|-|a)*",), False), (("vendor",), False)):
        facts = RotaFacts(maintenance={"m": window(*match)})
        assert (holds(ROUTING, ROUTING.routes["default"], subject, facts, NOW_MS) is not None) == held


def lines_of(record: dict[str, Any], step: str) -> tuple[str, ...]:
    """Return the lines of a message for a reader in Kuala Lumpur."""
    member = Member(incident_of(record), step)
    return compose_members([member], Reader("Asia/Kuala_Lumpur")).lines


def test_nobody_is_told_while_it_is_on_and_who_is_due_is_told_at_its_end(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(window(minutes=40))
        await world.put(on(0))
        await world.turn()
        await world.wait(20)  # a tier would be due by now
        assert world.told == []
        shown = await world.shown()
        assert shown["state"] == "open"
        assert held_lines(shown, {}) == ["default: held by maintenance move until Mon 23 Nov 10:42 UTC"]
        assert who_words(shown, [], {}) == "nobody yet: held by maintenance move until Mon 23 Nov 10:42 UTC"
        await world.wait(19)
        assert world.told == []
        await world.wait(1)
        assert world.told == [("default", "open")]
        (told,) = (await world.shown())["told"]
        assert (
            told["why"] == "route default, held by maintenance move from Mon 23 Nov 10:02 UTC to Mon 23 Nov 10:42 UTC"
        )
        assert lines_of(await world.shown(), "open")[3] == (
            "Was held by maintenance move from Mon 23 Nov 18:02 UTC+8 to Mon 23 Nov 18:42 UTC+8."
        )
        await world.wait(15)  # the tiers count from when people were told
        assert world.told == [("default", "open"), ("lead", "escalated-0-1")]

    run(redis_url, story)


def test_what_waits_for_its_group_after_maintenance_says_both(redis_url: str) -> None:
    other = {"scope": {"vendor": "bpo-b"}, "scope_key": "vendor=bpo-b"}

    async def story(world: World) -> None:
        await world.put(window("vendor=bpo-b", minutes=3))
        await world.put(on(0), on(0, **other))
        await world.turn()
        assert world.told == [("default", "open")]
        key = incident_key("the-rule", "vendor=bpo-b", 1)
        for minutes in (2, 2):
            await world.wait(minutes)
        (hold,) = (await world.shown(key))["held"]
        said = "held by maintenance move from Mon 23 Nov 10:02 UTC to Mon 23 Nov 10:05 UTC"
        assert (hold["why"], hold["after"]) == ("grouping", said)
        await world.restart()
        await world.wait(1)
        await world.wait(1)
        shown = await world.shown(key)
        assert [(told["step"], told["why"]) for told in shown["told"]] == [("open", f"route default, {said}")]
        assert "Was held by maintenance move from" in " ".join(lines_of(shown, "open"))
        members = [Member(incident_of(one), "open") for one in (await world.shown(), shown)]
        lines = compose_members(members, Reader("Asia/Kuala_Lumpur")).lines
        assert [line.endswith("held by maintenance move") for line in lines[:2]] == [False, True]

    warn = incident_world.VENDOR.model_copy(update={"severity": "warn"})  # a page would not wait
    run(redis_url, story, warn, how=routing(interval_ms=5 * MINUTE_MS))


def test_what_ended_meanwhile_is_told_of_to_nobody_and_who_knew_hears_of_the_end_after_it(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(window(begin=5))
        await world.put(on(0))
        await world.turn()
        assert world.told == [("default", "open")]
        world.now_ms += 10 * MINUTE_MS
        other = {"scope": {"vendor": "bpo-b"}, "scope_key": "vendor=bpo-b"}
        await world.put(on(10, **other))  # another vendor is told of
        await world.turn()
        assert world.told == [("default", "open")] * 2
        for minute in (11, 12):
            await world.put(incident_world.signal(False, NOW_MS + minute * MINUTE_MS, rule="the-rule"))
        await world.turn()
        assert (await world.shown())["state"] == "resolved"
        assert world.told == [("default", "open")] * 2
        await world.wait(55)
        assert ("default", "resolved-0") in world.told
        shown = await world.shown()
        assert "Was held by maintenance move from" in str(lines_of(shown, "resolved-0"))
        assert "Was held" not in str(lines_of(shown, "open")), "the opening was told before it"

    run(redis_url, story)


def test_a_window_that_is_removed_ends_at_once_and_one_of_another_scope_holds_nothing(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(window(), window("vendor=bpo-z", name="other"))
        await world.put(on(0))
        await world.turn()
        assert world.told == []
        await world.put(structs.replace(window(), removed=True), Tick(world.now_ms + 1))
        await world.turn()
        assert world.told == [("default", "open")]
        assert (await world.shown())["held"] == []

    run(redis_url, story)


def test_the_window_and_what_it_holds_survive_a_kill_and_an_emptied_redis(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(window(minutes=30))
        await world.put(on(0))
        await world.turn(commit=False)  # killed before the commit: all of it is folded again
        await world.redis.delete("f:plans")
        await world.restart()
        await world.turn()
        assert world.told == []
        assert set(await world.redis.hgetall("f:plans")) == {b"~", b"maintenance/move"}
        await world.redis.delete("f:plans")
        await world.wait(1)
        assert set(await world.redis.hgetall("f:plans")) == {b"~", b"maintenance/move"}
        await world.restart()
        await world.wait(28)
        assert world.told == []
        await world.wait(2)
        assert world.told == [("default", "open")]

    run(redis_url, story)


def test_what_is_over_for_long_is_removed_from_the_log_and_from_redis(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(window(minutes=30))
        await world.put(on(0))
        await world.turn()
        await world.wait(40 * 24 * 60)
        kept = [one.value for one in world.log.records["f.notices.v1"] if one.key == b"~maintenance/move"]
        assert [value is None for value in kept] == [False, True]
        assert set(await world.redis.hgetall("f:plans")) == {b"~"}
        assert KEY in {key.decode() for key in await world.redis.hkeys("f:incidents")}

    run(redis_url, story)
