"""The page of details: who was told, who was not and why, who is told next, what people did, and what can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import structs

from alerts.incident import Receipt
from alerts.links import read
from alerts.routing.policy import RuleTier
from floorwatch.web.behind import read_behind
from tests.alerts.incident_world import KEY
from tests.alerts.machine import ROUTING, move, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.web.chromium import phone
from tests.web.pages import SETTINGS, Pages, run, text_of
from tests.web.test_browser import look

TIERS = (RuleTier(15 * MINUTE_MS, "lead"), RuleTier(60 * MINUTE_MS, "manager"))
HOW = structs.replace(ROUTING, rule_tiers={"the-rule": TIERS})


def part(said: str, title: str) -> list[str]:
    """Return the lines below a title of the page."""
    lines = said.splitlines()
    begin = lines.index(title) + 1
    titles = (
        "Who was told",
        "Who was not told",
        "Who is told next",
        "What people did",
        "What contributes most:",
        "State",
    )
    end = next((n for n in range(begin, len(lines)) if lines[n] in titles), len(lines))
    return lines[begin:end]


def test_it_says_who_was_told_when_and_who_is_next(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        here.world.now_ms += 3 * MINUTE_MS
        said = (await here.get(here.link("details")))[1]
        assert said.splitlines()[1:4] == [
            "bpo-a: accuracy 88.1% (target 95%), 61 of 512 wrong, since 17:03 UTC+8",
            "page",
            "Nobody has it yet, 3 min after the first message",
        ]
        assert part(said, "Who was told") == [
            "Mon 23 Nov 18:02 UTC+8: default that it opened; default delivered Mon 23 Nov 18:02 UTC+8 (route default)"
        ]
        assert "Who was not told" not in said
        assert part(said, "Who is told next") == [
            "Mon 23 Nov 18:17 UTC+8, unless somebody takes it: tier 1: lead (route lead)"
        ]
        await here.world.wait(12)
        said = (await here.get(here.link("details")))[1]
        assert part(said, "Who was told")[0].startswith("Mon 23 Nov 18:17 UTC+8: lead tier 1 of its escalation; lead")
        assert part(said, "Who is told next")[0].startswith("Mon 23 Nov 19:02 UTC+8, unless")

    run(redis_url, story, how=HOW)


def test_it_says_what_people_did_and_that_nobody_follows_who_has_it(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.press(here.link("ack"), by="Mei")
        await here.press(here.link("comment"), by="Mei", note="tool down")
        await here.world.turn()
        said = (await here.get(here.link("details")))[1]
        assert "Mei (link of ops) has it" in said
        assert part(said, "Who is told next") == [
            "Nobody: Mei (link of ops) has it. Whoever was told hears when it is over."
        ]
        assert [line.partition(": ")[2] for line in part(said, "What people did")[:2]] == [
            "comment by Mei (link of ops): tool down",
            "acknowledged by Mei (link of ops)",
        ]
        for words in ("Example tasks", "t-1001, t-1002", "queue hate", "episode 1"):
            assert words in said
        assert "Your name" not in said
        before = len(here.acts())
        assert (await here.press(here.link("details")))[0] == 200
        assert len(here.acts()) == before

    run(redis_url, story, how=HOW)


def test_it_says_who_was_not_told_and_why(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.press(here.link("silence"), **{"for": "1h"})
        await here.world.turn()
        await here.world.wait(16)
        said = (await here.get(here.link("details")))[1]
        assert part(said, "Who was not told") == ["lead: silenced until Mon 23 Nov 19:02 UTC+8"]
        assert part(said, "Who is told next") == [
            "Mon 23 Nov 19:02 UTC+8, unless somebody takes it: tier 1: lead (route lead)"
        ]

    run(redis_url, story, how=HOW)


def test_a_message_that_does_not_arrive_is_said_without_its_reason(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        told = (await here.world.shown())["told"][0]
        gone = Receipt(told["notice"], "g", "default", "given_up", NOW_MS, "10.0.0.7 refused")
        await here.world.redis.hset(
            "f:{outbox}:item:" + told["notice"], mapping={"s|default": "dead", "r|default": gone.reason}
        )
        said = (await here.get(here.link("details")))[1]
        assert "default given up (route default)" in said
        assert "10.0.0.7" not in said

    run(redis_url, story, how=HOW)


def test_what_is_merged_names_the_other_and_what_is_over_only_what_can_still_be_done(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        other = {"scope": {"vendor": "b"}, "scope_key": "vendor=b", "rule": "the-rule"}
        await here.world.put(signal(True, NOW_MS, **other))
        await here.world.turn()
        key = next(name.decode() for name in await here.world.redis.hkeys("f:incidents") if name.decode() != KEY)
        await here.world.put(move("merge", here.world.now_ms, KEY, target=key))
        await here.world.turn()
        said = (await here.get(here.link("details")))[1]
        assert part(said, "Who is told next") == [
            f"Nobody: Accuracy below target: vendor b ({key[:12]}) speaks for it."
        ]
        await here.world.put(*(signal(False, NOW_MS + n * MINUTE_MS, rule="the-rule") for n in (1, 2)))
        await here.world.turn()
        async with here.http.get(here.link("details")) as answer:
            html = await answer.text()
        assert "It is over, since Mon 23 Nov 18:04 UTC+8" in text_of(html)
        assert "Who is told next" not in html
        tokens = [read(SETTINGS.keys, token, NOW_MS) for token in re.findall(r'<a href="(v1\.[^"]+)">', html)]
        assert [getattr(one, "purpose", None) for one in tokens] == ["comment", "useful", "not_useful", "tasks"]

    run(redis_url, story, how=HOW)


@pytest.mark.parametrize("broken", [{b"~": b"1", b"x": b"no json"}, "text"])
def test_what_cannot_be_read_leaves_the_rest_of_the_page(redis_url: str, broken: dict[bytes, bytes] | str) -> None:
    async def story(here: Pages) -> None:
        await here.world.redis.delete("f:plans")
        if isinstance(broken, str):
            await here.world.redis.set("f:plans", broken)
        else:
            await here.world.redis.hset("f:plans", mapping=broken)  # type: ignore[arg-type]
        record = await here.world.shown()
        assert not (await read_behind(here.world.redis, "f:", record)).known
        said = (await here.get(here.link("details")))[1]
        assert "Whether it was delivered cannot be read now." in said
        assert "that it opened; default decided" in said

    run(redis_url, story, how=HOW)


@pytest.mark.servers
def test_on_a_phone_it_is_a_touch_to_each_action(redis_url: str, tmp_path: Path) -> None:
    async def story(here: Pages) -> None:
        async with phone(tmp_path) as tab:
            await tab.open(here.link("details"))
            await look(tab, "details")
            await tab.press("nav a:first-child")
            await tab.type("input[name=by]", "Mei")
            await tab.press("button")
            assert "Acknowledged" in text_of(await tab.html())
            await tab.press("nav a:last-child")
            await here.world.turn()
            await tab.call("Page.reload")
            assert [url for url in tab.fetched if not url.startswith((here.address, "data:"))] == []
        assert [(act.what, act.by) for act in here.acts()] == [("ack", "Mei (link of ops)")]

    run(redis_url, story, how=HOW)
