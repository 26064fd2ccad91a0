"""Links that comment and escalate: what the page says, what is on the log, what the incident shows."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from alerts.incident import incident_key
from alerts.links import Claim, read
from alerts.plain_text import MOST_COMMENT
from tests.alerts.incident_world import KEY, on
from tests.alerts.machine import move, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.web.pages import SETTINGS, Pages, run


def test_a_comment_is_written_once_and_another_by_the_same_link(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("comment")
        assert "Write a comment" in (await here.get(url))[1]
        status, said = await here.press(url, by="Mei", note=" one\r\ntwo ")
        assert (status, "Your comment is added" in said, "Mei (link of ops), Mon 23 Nov 18:02 UTC+8: one two" in said) == (
            200, True, True,
        )  # fmt: skip
        here.world.now_ms += 1
        assert (await here.press(url, by="Mei", note="one\ntwo"))[0] == 200
        assert [act.note for act in here.acts()] == ["one\ntwo"]
        await here.press(url, by="Mei", note="three")
        await here.world.turn()
        shown = await here.world.shown()
        assert [(act["what"], act["note"], act["via"]) for act in shown["acts"]] == [
            ("comment", "one\ntwo", "link"), ("comment", "three", "link"),
        ]  # fmt: skip
        assert "comment by Mei (link of ops): one two" in (await here.get(here.link("details")))[1]
        assert shown["state"] == "open"

    run(redis_url, story)


def test_a_comment_can_be_written_when_it_is_over_and_an_escalation_cannot(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.world.put(*(signal(False, NOW_MS + n * MINUTE_MS, rule="the-rule") for n in (1, 2)))
        await here.world.turn()
        status, said = await here.press(here.link("escalate"))
        assert (status, "This incident is over" in said, "nothing to escalate" in said) == (200, True, True)
        assert "Your comment is added" in (await here.press(here.link("comment"), note="it was the tool"))[1]
        assert [act.what for act in here.acts()] == ["comment"]
        await here.world.turn()
        assert (await here.world.shown())["acts"][-1]["note"] == "it was the tool"

    run(redis_url, story)


def test_a_comment_on_what_a_later_episode_replaced_is_refused_with_the_way_to_that_one(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.world.put(*(signal(False, NOW_MS + n * MINUTE_MS, rule="the-rule") for n in (1, 2)))
        await here.world.turn()
        old = await here.world.shown()
        url = here.link("comment")
        assert (await here.press(url, note="while it was the last"))[0] == 200
        later = incident_key(old["rule"], old["scope_key"], old["episode"] + 1)
        record = {**old, "key": later, "episode": old["episode"] + 1, "state": "open"}
        await here.world.redis.hset("f:incidents", later, msgspec.json.encode(record))
        before = len(here.acts())
        for status, said in (await here.get(url), await here.press(url, note="too late")):
            assert (status, "It has begun anew since" in said, f"floorwatch comment {later[:12]}" in said) == (
                409,
                True,
                True,
            )
        assert len(here.acts()) == before

    run(redis_url, story)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("", "the comment: it is empty, write some words."),
        (" \r\n ", "the comment: it is empty"),
        ("x" * (MOST_COMMENT + 1), "the comment: 1,001 characters are too many, write at most 1,000."),
        ("a\x1bb", "the comment: it holds U+001B (a control character) at character 2, leave that out."),
        ("a\u202eb", "the comment: it holds U+202E (right-to-left override) at character 2"),
    ],
)
def test_a_comment_has_words_and_a_length(redis_url: str, note: str, words: str) -> None:
    async def story(here: Pages) -> None:
        status, said = await here.press(here.link("comment"), note=note)
        assert (status, words in said) == (400, True), said
        status, said = await here.press(here.link("comment"), note="good", by="m\u202eei")
        assert (status, "your name: it holds U+202E (right-to-left override) at character 2" in said) == (400, True)
        assert here.acts() == []

    run(redis_url, story)


def test_the_longest_comment_in_any_script_is_taken(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        assert (await here.press(here.link("comment"), note="漢" * 500 + "🙂" * 500, by="名" * 80))[0] == 200
        assert len(here.acts()[0].note) == MOST_COMMENT

    run(redis_url, story)


def test_an_escalation_tells_the_next_tier_once(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("escalate")
        assert "Tell the next tier now?" in (await here.get(url))[1]
        answers = await asyncio.gather(*(here.press(url) for _ in range(6)))
        assert {(status, "Escalated" in said) for status, said in answers} == {(200, True)}
        await here.press(here.link("escalate", "person:lee"))
        await here.world.wait(0.2)
        assert [told for told in here.world.told if told[1].startswith("escalated")] == [("lead", "escalated-0-1")]
        assert "Escalated" in (await here.press(url))[1]  # within a minute it is the same press
        here.world.now_ms += 2 * MINUTE_MS
        assert "Tell the next tier now?" in (await here.get(url))[1]
        await here.press(url)
        await here.world.wait(0.2)
        assert ("manager", "escalated-0-2") in here.world.told
        here.world.now_ms += 2 * MINUTE_MS
        await here.press(url)
        await here.world.wait(0.2)
        assert "Nobody is left to tell" in (await here.get(url))[1]
        assert [act.what for act in here.acts()] == ["escalate"] * 3

    run(redis_url, story)


def test_who_had_it_is_named_and_what_is_merged_is_escalated_elsewhere(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.press(here.link("ack", "person:mei"))
        await here.world.turn()
        assert "mei has it, and gives it on by this." in (await here.get(here.link("escalate")))[1]
        other = {"scope": {"vendor": "b"}, "scope_key": "vendor=b", "rule": "the-rule"}
        await here.world.put(signal(True, NOW_MS, **other))
        await here.world.turn()
        key = next(name.decode() for name in await here.world.redis.hkeys("f:incidents") if name.decode() != KEY)
        await here.world.put(move("merge", here.world.now_ms, KEY, target=key))
        await here.world.turn()
        before = len(here.acts())
        status, said = await here.press(here.link("escalate"))
        assert (status, "It is merged into another" in said, key[:12] in said) == (200, True, True)
        assert len(here.acts()) == before

    run(redis_url, story)


def test_where_no_tier_is_left_an_escalation_changes_nothing(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        for minutes in (0, 16, 70):
            await here.world.put(on(minutes))
            await here.world.wait(minutes or 1)
        assert (await here.world.shown())["machine"]["tier"] == 2
        await here.press(here.link("ack", "person:mei"))
        await here.world.turn()
        for status, said in (await here.get(here.link("escalate")), await here.press(here.link("escalate"))):
            assert (status, "Nobody is left to tell" in said) == (200, True)
            assert "All tiers of its escalation were told, so nothing is done. mei has it." in said
        await here.world.turn()
        assert (await here.world.shown())["state"] == "acknowledged"
        assert [act.what for act in here.acts()] == ["ack"]

    run(redis_url, story)


def test_a_comment_keeps_the_joiners_of_its_spelling(redis_url: str) -> None:
    words = "\U0001f937\u200d\u2640\ufe0f \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"

    async def story(here: Pages) -> None:
        assert words in (await here.press(here.link("comment"), note=words))[1]
        await here.world.turn()
        assert words in (await here.get(here.link("details")))[1]

    run(redis_url, story)


def test_pages_lead_on_to_what_the_message_carried_and_to_the_same_incident(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        async def tokens(purpose: str) -> list[str]:
            async with here.http.get(here.link(purpose, "person:mei")) as answer:
                return re.findall(r'<a href="(v1\.[^"]+)">', await answer.text())

        for purpose in ("silence", "useful", "not_useful", "comment", "escalate"):
            assert await tokens(purpose) == []
        for purpose, leads in (
            ("ack", ("comment", "escalate", "details")),
            ("details", ("ack", "silence", "escalate", "comment", "useful", "not_useful", "tasks")),
        ):
            given = read(SETTINGS.keys, here.link(purpose, "person:mei").rpartition("/")[2], NOW_MS)
            found = [read(SETTINGS.keys, token, NOW_MS) for token in await tokens(purpose)]
            assert isinstance(given, Claim)
            assert found == [
                Claim(what, KEY, given.notice, "person:mei", given.expires_ms)  # type: ignore[arg-type]
                for what in leads
            ]
        here.world.now_ms = given.expires_ms
        status, said = await here.press(here.link("ack").rpartition("/")[0] + "/x")
        assert (status, "This link is not one of ours" in said) == (403, True)

    run(redis_url, story)


def test_an_expired_link_names_the_command(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        urls = {purpose: here.link(purpose) for purpose in ("comment", "escalate")}
        here.world.now_ms += 9 * 86_400_000
        for purpose, url in urls.items():
            status, said = await here.press(url, note="x")
            assert (status, f"floorwatch {purpose} {KEY[:12]}" in said) == (410, True)
        assert here.acts() == []

    run(redis_url, story)


@pytest.mark.parametrize("given", ["javascript:alert(1)", "https://wiki.example/?a=<b>&c=\"'"])
def test_links_that_people_gave_are_addresses_or_not_there(redis_url: str, given: str) -> None:
    async def story(here: Pages) -> None:
        await here.world.put(move("link", here.world.now_ms, KEY, target=given))
        await here.world.turn()
        async with here.http.get(here.link("details")) as answer:
            html = await answer.text()
        assert "javascript:" not in html
        assert "<b>" not in html
        assert ("wiki.example" in html) == given.startswith("https")

    run(redis_url, story)
