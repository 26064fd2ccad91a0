"""Links followed in a real browser, as wide as a phone and without scripts.

``FLOORWATCH_PICTURES=folder`` keeps pictures of the pages, to look at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.web.chromium import Tab, phone
from tests.web.pages import Pages, run, text_of

pytestmark = pytest.mark.servers


async def look(tab: Tab, name: str) -> None:
    if folder := os.environ.get("FLOORWATCH_PICTURES"):
        await tab.picture(Path(folder) / f"{name}.png")
    content, screen = await tab.width()
    assert content <= screen, f"{name} is wider than the phone"


def test_links_work_on_a_phone_without_scripts(redis_url: str, tmp_path: Path) -> None:
    async def story(here: Pages) -> None:
        async with phone(tmp_path) as tab:
            for purpose in ("ack", "silence", "useful", "not_useful", "details"):
                await tab.open(here.link(purpose))
                await look(tab, purpose)
            assert here.acts() == []
            await tab.open(here.link("ack"))
            await tab.type("input[name=by]", "Mei Lín")
            await tab.press("button")
            assert "Mei Lín (link of ops)" in text_of(await tab.html())
            await here.world.turn()
            await tab.call("Page.reload")
            await tab.open(here.link("ack"))
            await look(tab, "acknowledged")
            await tab.open(here.link("silence"))
            await tab.press("input[value='4h']", leads=False)
            await tab.press("button")
            assert "No messages about it until Mon 23 Nov 22:02 UTC+8." in text_of(await tab.html())
            await look(tab, "silenced")
            for purpose, words in (("useful", "Marked as useful"), ("not_useful", "Marked as not useful")):
                await tab.open(here.link(purpose))
                await tab.press("button")
                assert words in text_of(await tab.html())
            await tab.open(here.link("ack") + "x")
            await look(tab, "forged")
            elsewhere = [url for url in tab.fetched if not url.startswith((here.address, "data:"))]
            assert elsewhere == []
        assert [act.what for act in here.acts()] == ["ack", "silence", "useful", "not_useful"]
        assert here.acts()[0].by == "Mei Lín (link of ops)"

    run(redis_url, story)


def test_a_comment_and_an_escalation_are_a_touch_away_from_the_acknowledgement(redis_url: str, tmp_path: Path) -> None:
    async def story(here: Pages) -> None:
        async with phone(tmp_path) as tab:
            await tab.open(here.link("ack"))
            await tab.press("nav a:first-child")
            await look(tab, "comment")
            await tab.type("textarea", "tool down,\nvendor is told " + "x" * 60)
            await tab.type("input[name=by]", "Mei Lín")
            await tab.press("button")
            assert "Your comment is added" in text_of(await tab.html())
            await look(tab, "commented")
            await tab.open(here.link("ack"))
            await tab.press("nav a:nth-child(2)")
            await look(tab, "escalate")
            assert [act.what for act in here.acts()] == ["comment"]
            await tab.press("button")
            assert "Escalated" in text_of(await tab.html())
            await look(tab, "escalated")
            assert [url for url in tab.fetched if not url.startswith((here.address, "data:"))] == []
        comment, escalation = here.acts()
        assert (comment.what, comment.by, comment.note.splitlines()[0]) == (
            "comment",
            "Mei Lín (link of ops)",
            "tool down,",
        )
        assert (escalation.what, escalation.via) == ("escalate", "link")
        await here.world.wait(0.2)
        assert ("lead", "escalated-0-1") in here.world.told

    run(redis_url, story)
