"""Links in messages: each channel's own, signed when it is sent, and followed from what the receiver got."""

from __future__ import annotations

import asyncio

import pytest

from alerts.channels.message import message_for, short_message
from alerts.escape import HTML
from alerts.notifier import Notifier
from alerts.outgoing import Notification
from alerts.settings.channels import ConsoleSettings, WebhookSettings
from floorwatch.cli.doctor_web import web_checks
from floorwatch.settings.load import load
from floorwatch.web.settings import WebSettings
from streams.notify import _link_of
from tests.alerts.incident_world import KEY
from tests.web.pages import KEYS, SETTINGS, SIGNER, Pages, run


class Keeping:
    """A channel that keeps what it is given."""

    idempotent = True

    def __init__(self, name: str) -> None:
        self.name, self.notes = name, list[Notification]()

    async def send(self, note: Notification, _key: str) -> None:
        self.notes.append(note)

    async def close(self) -> None:
        pass


def test_every_link_of_a_message_is_followed(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        told, silent = Keeping("ops"), Keeping("print")
        assert SIGNER is not None
        signer = SIGNER
        names = ["ops", "print"]
        note = Notification("x", "open", "default", "page", "", "", await here.world.shown())
        box = here.world.outbox
        await box.enqueue(Notification(f"{KEY}:again", "open", "default", "page", "t", "b", note.incident))
        await Notifier(
            box,
            {"ops": told, "print": silent},
            lambda _: names,
            link_of=lambda channel: signer.for_receiver(channel, here.world.now_ms) if channel == "ops" else None,
        ).drain()
        (got,) = told.notes
        for purpose in ("ack", "silence", "useful", "not_useful", "details", "tasks"):
            link = getattr(got.links, purpose)
            assert link in got.body
            assert link in message_for(got, HTML).body
            url = link.replace(SETTINGS.url, here.address)
            assert (await here.get(url))[0] == 200
            assert (await here.press(url, **{"for": "1h"}))[0] == 200
        assert [act.what for act in here.acts()] == ["ack", "silence", "useful", "not_useful"]
        assert {act.notice for act in here.acts()} == {f"{KEY}:again"}
        short = got.links.ack_short
        assert short in short_message(got, 160).body
        assert (await here.press(short.replace(SETTINGS.url, here.address)))[0] == 200
        assert (here.acts()[-1].what, here.acts()[-1].by) == ("ack", "link of ops")
        assert "https://fw.example" not in silent.notes[0].body

    run(redis_url, story)


def test_a_console_gets_no_links_that_act() -> None:
    settings = load(None, {}).alerts.model_copy(
        update={
            "channels": {
                "ops": WebhookSettings.model_validate({"type": "webhook", "url": "http://127.0.0.1:1/"}),
                "out": ConsoleSettings(type="console"),
            }
        }
    )
    link_of = _link_of(settings, SIGNER)
    assert link_of("ops") is not None
    assert link_of("out") is None
    assert _link_of(settings, None)("ops") is None


def test_doctor_follows_a_link(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        async def said(**settings: str) -> tuple[str, str]:
            (check,) = await web_checks(WebSettings.model_validate(settings))
            return check.status, check.detail

        keys = "\n".join(KEYS)
        assert await web_checks(WebSettings()) == []
        assert (await said(link_keys=keys))[1] == "messages carry no links: web.url is not set"
        assert await said(link_keys=keys, url=here.address) == (
            "ok", f"{here.address} answers, and knows links signed with these keys",
        )  # fmt: skip
        status, detail = await said(link_keys="other" * 10, url=here.address)
        assert (status, "by other keys" in detail) == ("fail", True)
        assert (await said(link_keys=keys, url=here.address + "below"))[1].endswith("answers 404 to a link")
        assert "does not answer from here" in (await said(link_keys=keys, url="http://127.0.0.1:1"))[1]

    run(redis_url, story)


@pytest.mark.servers
def test_the_process_needs_a_key() -> None:
    import subprocess
    import sys

    from floorwatch.embedded.servers import clean_environment

    done = subprocess.run(
        [sys.executable, "-m", "floorwatch", "web"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "openssl rand -hex 32 > link.keys" in done.stderr) == (2, True)


@pytest.mark.servers
def test_the_process_serves_and_writes_to_kafka(redis_url: str, kafka_bootstrap: str) -> None:
    from tests.web.process import acted

    act, shown = asyncio.run(acted(redis_url, kafka_bootstrap))
    assert (act.what, act.by, act.via) == ("ack", "Mei (link of ops)", "link")
    assert "Acknowledged" in shown
