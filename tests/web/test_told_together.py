"""A link of a message about several incidents: it acts on its own incident, or by another button on all that the message told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alerts.codec import decode_incident
from alerts.incident import incident_key
from floorwatch.web.links_store import RedisLinksStore
from tests.alerts.incident_world import KEY, on
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.web.chromium import phone
from tests.web.pages import Pages, run, text_of
from tests.web.test_browser import look

VENDORS = ("bpo-a", "bpo-b", "bpo-c")
KEYS = tuple(incident_key("the-rule", f"vendor={vendor}", 1) for vendor in VENDORS)


async def notice(here: Pages, key: str = KEY) -> str:
    found: str = (await here.world.shown(key))["told"][0]["notice"]
    return found


async def link(here: Pages, purpose: str, receiver: str = "default", key: str = KEY) -> str:
    return here.link(purpose, receiver, notice=await notice(here), key=key)


def test_one_press_acknowledges_all_that_the_message_told_of(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        assert len({await notice(here, key) for key in KEYS}) == 1
        url = await link(here, "ack")
        said = (await here.get(url))[1]
        assert "Yes, I have it\nI have all 3\n" in said
        others = said.partition("The same message told of\n")[2].splitlines()[:2]
        assert [line.partition(":")[0] for line in others] == ["bpo-b", "bpo-c"]
        assert here.acts() == []
        said = (await here.press(url, all="yes", by="Mei"))[1]
        assert "Acknowledged\nMei (link of default), Mon 23 Nov 18:02 UTC+8." in said
        assert "Acknowledged with it: 2 more of the same message." in said
        assert "I have" not in said
        assert sorted((act.what, act.key, act.by) for act in here.acts()) == sorted(
            ("ack", key, "Mei (link of default)") for key in KEYS
        )
        await here.press(url, all="yes", by="Mei")
        assert len(here.acts()) == 3
        await here.world.turn()
        assert {(await here.world.shown(key))["state"] for key in KEYS} == {"acknowledged"}

    run(redis_url, story, vendors=VENDORS)


def test_what_another_has_or_is_over_is_left_alone(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = await link(here, "ack")
        await here.press(await link(here, "ack", "person:lee", KEYS[0]))
        await here.world.put(
            *(signal(False, NOW_MS + n * MINUTE_MS, rule="the-rule", scope={"vendor": "bpo-b"}, scope_key="vendor=bpo-b")
              for n in (1, 2))
        )  # fmt: skip
        await here.world.turn()
        said = (await here.get(url))[1]
        assert "lee has it already" in said
        assert "I have the other 1\n" in said
        await here.press(url, all="yes")
        await here.world.turn()
        held = [(await here.world.shown(key))["machine"]["acknowledged_by"] for key in KEYS]
        assert held == ["lee", None, "link of default"]

    run(redis_url, story, vendors=VENDORS)


def test_silences_and_marks_go_to_all_and_the_last_mark_counts(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = await link(here, "silence")
        assert "Silence all 3" in (await here.get(url))[1]
        assert "Silenced with it: 2 more" in (await here.press(url, all="yes", **{"for": "4h"}))[1]
        assert (await here.press(url, all="yes", **{"for": "end"}))[0] == 400
        await here.world.turn()
        untils = {(await here.world.shown(key))["machine"]["silenced_until_ms"] for key in KEYS}
        assert untils == {here.world.now_ms + 4 * 60 * MINUTE_MS}
        assert "All 3 were not useful" in (await here.get(await link(here, "not_useful")))[1]
        assert (
            "Marked as not useful with it: 2 more" in (await here.press(await link(here, "not_useful"), all="yes"))[1]
        )
        await here.press(await link(here, "useful", key=KEYS[1]))
        assert "The other 1 was not useful" in (await here.get(await link(here, "not_useful")))[1]
        marks = [(act.what, act.key) for act in here.acts() if act.what != "silence"]
        assert sorted(marks[:3]) == sorted(("not_useful", key) for key in KEYS)
        assert marks[3:] == [("useful", KEYS[1])]

    run(redis_url, story, vendors=VENDORS)


@pytest.mark.parametrize("purpose", ["ack", "silence", "useful"])
def test_a_link_acts_only_on_what_its_message_told_its_receiver(redis_url: str, purpose: str) -> None:
    async def story(here: Pages) -> None:
        await here.world.put(on(scope={"vendor": "late"}, scope_key="vendor=late"))
        await here.world.turn()
        for url in (
            await link(here, purpose, "ops"),
            await link(here, purpose, "person:mei"),
            here.link(purpose, "default", notice="another"),
            here.link(purpose, "default", notice='x","notice":"' + await notice(here)),
        ):
            assert "The same message" not in (await here.get(url))[1]
            await here.press(url, all="yes", **{"for": "1h"})
        late = incident_key("the-rule", "vendor=late", 1)
        for other in (await notice(here), await notice(here, late)):
            own = here.link(purpose, "default", notice=other, key=late)
            assert "The same message" not in (await here.get(own))[1]
        assert here.acts() == []

    run(redis_url, story, vendors=VENDORS)


def test_comments_and_escalations_are_for_one(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        for purpose in ("comment", "escalate", "details", "tasks"):
            assert "The same message" not in (await here.get(await link(here, purpose)))[1]
        await here.press(await link(here, "escalate"), all="yes")
        assert [act.key for act in here.acts()] == [KEY]

    run(redis_url, story, vendors=VENDORS)


def test_a_short_link_is_of_the_last_message_about_its_incident(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        assert "I have all 3" in (await here.get(here.link("ack", "default", notice="")))[1]
        assert "I have all" not in (await here.get(here.link("ack", "ops", notice="")))[1]

    run(redis_url, story, vendors=VENDORS)


def test_where_the_others_cannot_be_read_the_link_still_does_its_own(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Pages) -> None:
        url = await link(here, "ack")
        await here.world.redis.hset("f:incidents", "bad", f'{{"key": 1, "notice":"{await notice(here)}"'.encode())
        assert (await here.get(url))[0] == 200
        status, said = await here.press(url, all="yes")
        assert (status, "Nothing was done." in said, here.acts()) == (503, True, [])
        assert "Acknowledged" in (await here.press(url))[1]

    run(redis_url, story, vendors=VENDORS)


def test_a_message_of_many_is_read_in_parts_and_up_to_a_limit(redis_url: str) -> None:
    vendors = tuple(f"bpo-{n:03}" for n in range(450))

    async def story(here: Pages) -> None:
        store: Any = RedisLinksStore(here.world.redis, "f:")
        first = incident_key("the-rule", "vendor=bpo-000", 1)
        found = await store.told_of(await notice(here, first), 1_000)
        assert len({one["key"] for one in found}) == len(found) == 450
        assert len(await store.told_of(await notice(here, first), 300)) == 300
        url = here.link("ack", "default", notice=await notice(here, first), key=first)
        said = (await here.get(url))[1]
        assert "I have all 450" in said
        assert "and 439 more" in said
        await here.press(url, all="yes")
        assert len({act.key for act in here.acts()}) == 450
        await here.world.turn()
        records = [decode_incident(value) for value in (await here.world.redis.hgetall("f:incidents")).values()]
        assert {one.state for one in records} == {"acknowledged"}

    run(redis_url, story, vendors=vendors)


@pytest.mark.servers
def test_both_buttons_on_a_phone(redis_url: str, tmp_path: Path) -> None:
    async def story(here: Pages) -> None:
        async with phone(tmp_path) as tab:
            for purpose in ("ack", "silence", "not_useful"):
                await tab.open(await link(here, purpose))
                await look(tab, f"{purpose}-together")
            await tab.open(await link(here, "ack"))
            await tab.press("button[name=all]")
            assert "2 more of the same message" in text_of(await tab.html())
            await look(tab, "acknowledged-together")
        assert {act.key for act in here.acts()} == set(KEYS)

    run(redis_url, story, vendors=VENDORS)
