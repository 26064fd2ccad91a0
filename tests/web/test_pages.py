"""Links followed: what the page says, what is on the log, what the incident shows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alerts.links import PURPOSES
from floorwatch.web.link_actions import NotWritten
from floorwatch.web.settings import WebSettings
from tests.alerts.incident_world import KEY, SIGNALS
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.web.pages import SETTINGS, SIGNER, Pages, run, text_of

WRITING = ("ack", "silence", "useful", "not_useful", "comment", "escalate")


def test_an_incident_is_taken_by_one_press(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("ack")
        status, said = await here.get(url)
        assert status == 200
        assert "Do you take this incident?" in said
        assert said.splitlines()[1:3] == [
            "bpo-a: accuracy 88.1% (target 95%), 61 of 512 wrong, since 17:03 UTC+8",
            "page",
        ]
        assert "UTC+8" in said  # the reader's zone
        status, said = await here.press(url, by=" Mei ")
        assert (status, "Acknowledged" in said) == (200, True)
        assert "It is written down, and counts within seconds." in said
        (act,) = here.acts()
        assert (act.what, act.key, act.by, act.via, act.notice) == (
            "ack", KEY, "Mei (link of ops)", "link", f"{KEY}:open",
        )  # fmt: skip
        await here.world.turn()
        shown = await here.world.shown()
        assert shown["state"] == "acknowledged"
        assert [(one["what"], one["by"]) for one in shown["acts"]] == [("ack", "Mei (link of ops)")]
        for _ in range(2):  # a page that is reloaded, a button that is pressed twice
            assert "Mei (link of ops), Mon 23 Nov 18:02 UTC+8." in (await here.press(url, by="Ana"))[1]
        said = (await here.get(url))[1]
        assert "written down" not in said
        assert len(here.acts()) == 1

    run(redis_url, story)


def test_pressing_twice_at_once_writes_once(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        for purpose, fields in (("ack", {}), ("silence", {"for": "1h"}), ("useful", {})):
            before = len(here.acts())
            url = here.link(purpose)
            answers = await asyncio.gather(*(here.press(url, **fields) for _ in range(8)))
            assert {status for status, _ in answers} == {200}
            assert len(here.acts()) == before + 1

    run(redis_url, story)


def test_a_scanner_that_opens_every_link_changes_nothing(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        before = (list(here.world.log.records[SIGNALS]), await here.world.redis.keys("*"), await here.world.shown())
        for purpose in PURPOSES:
            for method in 3 * ["GET", "HEAD"]:
                assert (await here.get(here.link(purpose), method))[0] == 200
            for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
                assert (await here.get(here.link(purpose), method))[0] == 405
        now = (list(here.world.log.records[SIGNALS]), await here.world.redis.keys("*"), await here.world.shown())
        assert now == before

    many = WebSettings.model_validate(SETTINGS.model_dump() | {"burst_requests": 1000})
    run(redis_url, story, many)


def test_a_silence_is_chosen_changed_and_ended(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("silence")
        assert "30 min" in (await here.get(url))[1]
        status, said = await here.press(url, **{"for": "4h"})
        assert (status, "No messages about it until Mon 23 Nov 22:02 UTC+8." in said) == (200, True)
        await here.world.turn()
        assert (await here.world.shown())["machine"]["silenced_until_ms"] == NOW_MS + 240 * MINUTE_MS
        here.world.now_ms += MINUTE_MS
        said = (await here.press(here.link("silence", "other"), **{"for": "30m"}))[1]
        assert "No messages about it until Mon 23 Nov 18:33 UTC+8." in said
        here.world.now_ms += MINUTE_MS
        said = (await here.press(url, **{"for": "end"}))[1]
        assert "The silence is over." in said
        await here.world.wait(0.2)
        assert (await here.world.shown())["machine"]["silenced_until_ms"] is None
        assert [act.until_ms - act.at_ms for act in here.acts() if act.until_ms is not None] == [
            240 * MINUTE_MS, 30 * MINUTE_MS, 0,
        ]  # fmt: skip
        assert (await here.press(url, **{"for": "9y"}))[0] == 400
        assert len(here.acts()) == 3

    run(redis_url, story)


def test_the_last_mark_of_a_receiver_counts_also_when_it_is_over(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.world.put(*(signal(False, NOW_MS + n * MINUTE_MS, rule="the-rule") for n in (1, 2)))
        await here.world.turn()
        assert (await here.world.shown())["state"] == "resolved"
        assert "Marked as useful" in (await here.press(here.link("useful")))[1]
        assert "So far it is marked useful" in (await here.get(here.link("not_useful")))[1]
        assert "Marked as not useful" in (await here.press(here.link("not_useful")))[1]
        assert "Marked as not useful" in (await here.press(here.link("not_useful", notice="another")))[1]
        assert [act.what for act in here.acts()] == ["useful", "not_useful"]
        for purpose in ("ack", "silence"):
            status, said = await here.press(here.link(purpose), **{"for": "1h"})
            assert (status, "This incident is over" in said) == (200, True)
            assert "resolved Mon 23 Nov 18:04 UTC+8" in said
        assert len(here.acts()) == 2

    run(redis_url, story)


def test_what_somebody_else_has_is_taken_over_only_by_a_press(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.press(here.link("ack", "person:mei"))
        await here.world.turn()
        assert "mei has it already" in (await here.get(here.link("ack", "person:lee")))[1]
        here.world.now_ms += 1
        await here.press(here.link("ack", "person:lee"))
        await here.world.turn()
        assert (await here.world.shown())["machine"]["acknowledged_by"] == "lee"
        assert "lee has it" in (await here.get(here.link("ack", "person:mei")))[1]
        assert "Your name" not in (await here.get(here.link("useful", "person:lee")))[1]

    run(redis_url, story)


def test_a_link_that_is_not_good_says_why_and_what_to_do(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("ack")
        for broken in (url[:-1], url + "x", url.replace("/a/v1.", "/a/v1.W"), here.address + "a/x"):
            for method in ("GET", "POST"):
                status, said = await here.get(broken, method)
                assert (status, "This link is not one of ours" in said) == (403, True)
                assert "Nothing was done." in said
        here.world.now_ms += 9 * 86_400_000
        for method in ("GET", "POST"):
            status, said = await here.get(url, method)
            assert (status, "This link has expired" in said) == (410, True)
            assert f"floorwatch ack {KEY[:12]} --by NAME" in said
        status, said = await here.press(here.link("ack", key="0" * 32))
        assert (status, "There is no such incident" in said) == (404, True)
        assert here.acts() == []

    run(redis_url, story)


def test_where_the_log_does_not_take_it_nothing_is_said_to_be_done(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        url = here.link("ack")
        here.faults = [NotWritten("Kafka cannot be reached")]
        status, said = await here.press(url)
        assert (status, "Nothing was done. Try again in a minute." in said) == (503, True)
        assert "Do you take this incident?" in (await here.get(url))[1]
        here.faults = [NotWritten("no answer", unsure=True)]
        status, said = await here.press(url)
        assert (status, "It is not known whether it was written down." in said) == (503, True)
        assert "It is being written down." in (await here.get(url))[1]
        assert (await here.press(url))[0] == 200
        assert here.acts() == []  # the one that may be on the log is not written again at once

    run(redis_url, story)


def test_an_action_that_no_worker_comes_to_says_so(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        await here.press(here.link("ack"))
        here.world.now_ms += 2 * MINUTE_MS
        assert "no worker has come to it yet" in (await here.get(here.link("ack")))[1]

    run(redis_url, story)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=nonsense"]
)
def test_a_form_that_cannot_be_read_is_refused(redis_url: str, kind: str) -> None:
    async def story(here: Pages) -> None:
        for body in (b"by=\xff\xfe\x00", b"by=%ff%fe"):
            async with here.http.post(here.link("ack"), data=body, headers={"Content-Type": kind}) as answer:
                assert answer.status == 400
                assert "The form is not UTF-8" in await answer.text()
        assert here.acts() == []

    run(redis_url, story)


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd", "nonsense"])
def test_a_packed_form_is_refused(redis_url: str, packing: str) -> None:
    async def story(here: Pages) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": packing}
        async with here.http.post(here.link("ack"), data=b"\x1f\x8b\x08zzz", headers=headers) as answer:
            assert answer.status == 400, await answer.text()
        assert here.acts() == []

    run(redis_url, story)


def test_a_form_of_many_fields_is_refused(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        status, said = await here.press(here.link("ack"), **{f"f{n}": "" for n in range(30)})
        assert (status, "The form has more than 20 fields" in said) == (400, True)

    run(redis_url, story)


def test_forms_and_rates_are_bounded(redis_url: str) -> None:
    few = WebSettings.model_validate(SETTINGS.model_dump() | {"burst_requests": 6, "requests_per_s": 1})

    async def story(here: Pages) -> None:
        url = here.link("ack")
        status, said = await here.press(url, by="x" * 20_000)
        assert (status, "A comment may have 1,000 characters, the whole form 16,384 bytes." in said) == (413, True), (
            said
        )
        assert (await here.press(url, by="x" * 81))[0] == 400
        assert (await here.press(url, by="a\nb"))[0] == 400
        async with here.http.post(url, json={"by": "a"}) as answer:
            assert answer.status == 415
        assert (await here.get(here.address + "a/b/c"))[0] == 404
        assert (await here.get(url))[0] == 200
        async with here.http.get(url) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert (await here.get(here.address + "healthz"))[0] == 200  # probes are not counted
        assert here.acts() == []

    run(redis_url, story, few)


def test_addresses_behind_a_proxy_are_limited_each_for_itself(redis_url: str) -> None:
    one = {"burst_requests": 1, "requests_per_s": 0.001, "behind_proxy": True}
    behind = WebSettings.model_validate(SETTINGS.model_dump() | one)

    async def story(here: Pages) -> None:
        async def status(said: str) -> int:
            async with here.http.get(here.link("ack"), headers={"X-Forwarded-For": said}) as answer:
                return answer.status

        found = [await status(one) for one in ("1.1.1.1", "6.6.6.6, 1.1.1.1", "1.1.1.1, 6.6.6.6", "2.2.2.2")]
        assert found == [200, 429, 200, 200]  # only what the proxy has written itself is believed

    run(redis_url, story, behind)


def test_every_answer_keeps_the_browser_from_doing_more(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        for url in (here.link("ack"), here.address + "a/x", here.address + "nothing", here.address + "robots.txt"):
            async with here.http.get(url) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; style-src 'sha256-")
                assert "script" not in policy
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "noindex" in answer.headers["X-Robots-Tag"]
                assert answer.headers["Server"] == "floorwatch"

    run(redis_url, story)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\u202eb", "{{ 7*7 }}"]
)
def test_names_are_never_markup(redis_url: str, name: str) -> None:
    async def story(here: Pages) -> None:
        scope = {"scope": {"vendor": name}, "scope_key": "vendor=x", "evidence": name, "examples": (name,)}
        await here.world.put(signal(True, NOW_MS, rule="the-rule", **scope))
        await here.world.turn()
        keys = [key.decode() for key in await here.world.redis.hkeys("f:incidents")]
        for key in keys:
            for purpose in ("details", *WRITING):
                async with here.http.get(here.link(purpose, key=key)) as answer:
                    html = await answer.text()
                assert "<script" not in html
                assert "<img" not in html
                assert "\u202e" not in html
                assert "49" not in text_of(html).replace("t-1049", "") or "7*7" in html

    run(redis_url, story)


def test_the_signer_is_only_where_there_is_an_address_and_a_key() -> None:
    assert SIGNER is not None
    assert SIGNER.base == "https://fw.example/x/"
    assert WebSettings().signer() is None
    assert WebSettings.model_validate({"link_keys": "k" * 32}).signer() is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "https://fw.example"}, "there is no key to sign links with"),
        ({"link_keys": "short"}, "key 1 has fewer than 32 characters"),
        ({"link_keys": f"{'k' * 32}\nshort"}, "key 2 has fewer than 32 characters"),
        ({"link_keys": "\n"}, "there is no key in it"),
        ({"url": "fw.example", "link_keys": "k" * 32}, "is not a web address"),
        ({"url": "https://fw.example/?a=b", "link_keys": "k" * 32}, r"has a \? or a #"),
        ({"url": "https://fw.example/#c", "link_keys": "k" * 32}, r"has a \? or a #"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WebSettings.model_validate(given)
