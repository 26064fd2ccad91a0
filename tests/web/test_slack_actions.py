"""Buttons in Slack: signed by Slack, answered in time, written once, told to who pressed them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from alerts.channels.message import message_of
from alerts.channels.slack_blocks import body_of, buttons_of
from alerts.channels.slack_press import WINDOW_MS, BadPress, Press, is_signed, press_of, signature
from alerts.codec import decode_input
from alerts.incident import Act
from alerts.outgoing import Notification
from floorwatch.cli.doctor_web import web_checks
from floorwatch.settings.load import loads
from floorwatch.web.app import MOST_SLACK_BYTES, build_web_app
from floorwatch.web.link_actions import LinkActions, NotWritten
from floorwatch.web.links_store import RedisLinksStore
from floorwatch.web.settings import WebSettings
from floorwatch.web.slack_actions import SlackActions
from tests.alerts import incident_world
from tests.alerts.incident_world import KEY, SIGNALS, World
from tests.waits import until

SECRET, OLD = "5" * 32, "8f742231b10e8888abcd99yyyzzz85a5"
SETTINGS = WebSettings.model_validate({"slack_signing_secret": f"{SECRET}\n{OLD}"})
REPLY = "https://hooks.slack.com/actions/T1/2/3"


class Here:
    """A world with an incident, the message that Slack shows of it, and Slack."""

    def __init__(self, world: World, http: aiohttp.ClientSession, url: str, message: dict[str, Any]) -> None:
        self.world, self.http, self.url, self.message = world, http, url, message
        self.faults: list[NotWritten] = []
        self.slow: asyncio.Event | None = None
        self.told: list[dict[str, Any]] = []

    def payload(self, what: str, user: str = "U7", name: str = "mei", after_s: float = 0.0) -> dict[str, Any]:
        """Return what Slack says when somebody presses a button of the message."""
        (actions,) = [block for block in self.message["blocks"] if block["type"] == "actions"]
        (button,) = [one for one in actions["elements"] if one["action_id"] == f"floorwatch:{what}"]
        return {
            "type": "block_actions",
            "team": {"id": "T1", "domain": "ops"},
            "user": {"id": user, "username": name, "name": name, "team_id": "T1"},
            "response_url": REPLY,
            "message": {"text": self.message["text"], "blocks": self.message["blocks"], "ts": "17.5"},
            "actions": [{**button, "action_ts": f"{self.world.now_ms / 1000 + after_s:.6f}"}],
        }

    async def press(self, payload: Any, *, secret: str = SECRET, late_s: int = 0, forged: str = "") -> int:
        """Post as Slack does; return the status."""
        body = urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()
        stamp = str(self.world.now_ms // 1000 - late_s)
        signed = forged or signature(secret.encode(), stamp, body)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signed,
        }
        async with self.http.post(f"{self.url}slack/actions", data=body, headers=headers) as answer:
            return answer.status

    def acts(self) -> list[Act]:
        inputs = [decode_input(record.value or b"") for record in self.world.log.records.get(SIGNALS, [])]
        return [given for given in inputs if isinstance(given, Act)]


Story = Callable[[Here], Awaitable[None]]


def run(redis_url: str, story: Story, wait_s: float = 2.0) -> None:
    async def go(world: World) -> None:
        await world.put(incident_world.on())
        await world.turn()
        note = Notification(f"{KEY}:open", "open", "default", "page", "t", "b", await world.shown())
        message = json.loads(json.dumps(body_of(message_of(note), buttons_of(note, "ops"))))
        here: Here

        async def append(act: Act) -> str:
            if here.slow is not None:
                await here.slow.wait()
            if here.faults:
                raise here.faults.pop(0)
            await world.put(act)
            return "signals"

        async def reply(url: str, body: dict[str, Any]) -> None:
            assert url == REPLY
            here.told.append(body)

        def zone(_: str) -> str:
            return "Asia/Kuala_Lumpur"

        def clock() -> int:
            return world.now_ms

        actions = LinkActions(RedisLinksStore(world.redis, "f:"), append, clock, zone)
        slack = SlackActions(actions, reply, zone, wait_s)
        server = TestServer(build_web_app(SETTINGS, actions, clock, slack=slack))
        async with server, aiohttp.ClientSession() as http:
            here = Here(world, http, str(server.make_url("/")), message)
            await story(here)
        await slack.close()

    incident_world.run(redis_url, go)


def shown(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


def test_an_acknowledgement_is_on_the_log_with_the_persons_name_and_shown_in_the_message(redis_url: str) -> None:
    async def story(here: Here) -> None:
        assert await here.press(here.payload("ack")) == 200
        (act,) = here.acts()
        assert (act.what, act.key, act.by, act.via, act.notice) == ("ack", KEY, "mei", "slack", f"{KEY}:open")
        await here.world.turn()
        assert (await here.world.shown())["state"] == "acknowledged"
        (told,) = here.told
        assert told["replace_original"]
        assert "mei has it, " in shown(told["blocks"][-1])
        left = [one["action_id"] for block in told["blocks"] for one in block.get("elements", ()) if "action_id" in one]
        assert left == ["floorwatch:silence", "floorwatch:useful", "floorwatch:not_useful"]

    run(redis_url, story)


def test_a_silence_lasts_an_hour_from_the_press(redis_url: str) -> None:
    async def story(here: Here) -> None:
        assert await here.press(here.payload("silence")) == 200
        (act,) = here.acts()
        assert (act.what, act.until_ms, act.via) == ("silence", act.at_ms + 3_600_000, "slack")
        assert "silenced it until" in shown(here.told[0])

    run(redis_url, story)


def test_marks_are_by_person_and_only_they_are_told(redis_url: str) -> None:
    async def story(here: Here) -> None:
        assert await here.press(here.payload("useful")) == 200
        assert await here.press(here.payload("not_useful", "U8", "tom")) == 200
        assert [(act.what, act.by) for act in here.acts()] == [("useful", "mei"), ("not_useful", "tom")]
        assert all(told["response_type"] == "ephemeral" and not told["replace_original"] for told in here.told)

    run(redis_url, story)


@pytest.mark.parametrize("what", ["ack", "silence", "useful"])
def test_a_press_that_slack_sends_again_counts_once(redis_url: str, what: str) -> None:
    async def story(here: Here) -> None:
        payload = here.payload(what)
        statuses = [await here.press(payload, late_s=wait) for wait in (0, 2, 4)]
        statuses += await asyncio.gather(*(here.press(payload) for _ in range(5)))
        assert set(statuses) == {200}
        assert len(here.acts()) == 1

    run(redis_url, story)


def test_what_slack_did_not_sign_within_five_minutes_is_401_and_changes_nothing(redis_url: str) -> None:
    async def story(here: Here) -> None:
        payload = here.payload("ack")
        late = WINDOW_MS // 1000 + 1
        assert await here.press(payload, secret="6" * 32) == 401
        assert await here.press(payload, late_s=late) == 401
        assert await here.press(payload, late_s=-late) == 401
        assert await here.press(payload, forged="v0=") == 401
        assert await here.press(payload, forged="v0=" + "0" * 64) == 401
        packed = {"Content-Encoding": "gzip"}
        async with here.http.post(f"{here.url}slack/actions", data=b"\x1f\x8b\x08zzz", headers=packed) as answer:
            assert answer.status == 400
        async with here.http.post(f"{here.url}slack/actions", data=b"payload={}") as answer:
            assert answer.status == 401
        async with here.http.get(f"{here.url}slack/actions") as answer:
            assert answer.status == 405
        assert (here.acts(), here.told) == ([], [])
        assert await here.press(payload, secret=OLD, late_s=late - 1) == 200
        assert len(here.acts()) == 1

    run(redis_url, story)


def test_other_requests_of_slack_do_nothing(redis_url: str) -> None:
    async def story(here: Here) -> None:
        other = here.payload("ack")
        other["actions"][0]["action_id"] = "open-board"
        assert await here.press(other) == 200
        assert await here.press({"type": "view_submission"}) == 200
        for bad in ("{", "[]", json.dumps({**here.payload("ack"), "user": None})):
            assert await here.press(bad) == 400
        unknown = here.payload("ack")
        unknown["actions"][0]["action_id"] = "floorwatch:delete"
        assert await here.press(unknown) == 400
        assert await here.press("x" * MOST_SLACK_BYTES) == 413
        assert (here.acts(), here.told) == ([], [])

    run(redis_url, story)


def test_slack_is_answered_in_time_and_told_later_what_became_of_it(redis_url: str) -> None:
    async def story(here: Here) -> None:
        here.slow = asyncio.Event()
        assert await here.press(here.payload("ack")) == 200
        assert (here.acts(), here.told) == ([], [])
        here.slow.set()
        await until(lambda: len(here.told) == 1, "Slack is told")
        assert len(here.acts()) == 1

    run(redis_url, story, wait_s=0.05)


def test_what_could_not_be_written_is_told_to_the_person_and_can_be_pressed_again(redis_url: str) -> None:
    async def story(here: Here) -> None:
        here.faults = [NotWritten("Kafka cannot be reached")]
        assert await here.press(here.payload("ack")) == 200
        assert here.acts() == []
        (told,) = here.told
        assert told["response_type"] == "ephemeral"
        assert "Kafka cannot be reached" in told["text"]
        assert await here.press(here.payload("ack", after_s=3)) == 200
        assert len(here.acts()) == 1

    run(redis_url, story)


def test_an_incident_that_is_over_is_told_to_be(redis_url: str) -> None:
    async def story(here: Here) -> None:
        payload = here.payload("ack")
        payload["actions"][0]["value"] = json.dumps([f"{KEY}:open", "ops", ["ff" * 16]])
        assert await here.press(payload) == 200
        assert "There is no such incident" in here.told[0]["text"]
        assert here.acts() == []

    run(redis_url, story)


def test_the_signature_is_that_of_slacks_own_example() -> None:
    """The example of Slack's page on verifying requests."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    given = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    at_ms = 1_531_420_618_000
    assert signature(OLD.encode(), "1531420618", body) == given
    assert is_signed((SECRET.encode(), OLD.encode()), "1531420618", body, given, at_ms)
    assert not is_signed((SECRET.encode(),), "1531420618", body, given, at_ms)


@pytest.mark.parametrize(
    "url", ["http://hooks.slack.com/x", "https://slack.com.evil.example/x", "https://evil/slack.com"]
)
def test_answers_go_to_slack_alone(url: str) -> None:
    said = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "response_url": url,
        "actions": [{"action_id": "floorwatch:ack", "value": '["n","ops",["k"]]', "action_ts": "1"}],
    }
    press = press_of(urlencode({"payload": json.dumps(said)}).encode(), 1_000)
    assert isinstance(press, Press)
    assert (press.reply_url, press.name, press.keys) == ("", "U1", ("k",))


def test_a_press_that_is_nested_without_end_is_refused() -> None:
    payload = '{"type":"block_actions","actions":' + "[" * 100_000
    with pytest.raises(BadPress):
        press_of(urlencode({"payload": payload}).encode(), 1_000)


@pytest.mark.parametrize("at", ["1e400", "1e308", "-inf", "nan", "now", None])
def test_a_time_that_is_none_is_no_button(at: object) -> None:
    action = {"action_id": "floorwatch:ack", "value": '["n","ops",["k"]]', "action_ts": at}
    said = {"type": "block_actions", "user": {"id": "U1"}, "actions": [action]}
    with pytest.raises(BadPress):
        press_of(urlencode({"payload": json.dumps(said)}).encode(), 1_000)


def test_a_secret_that_is_none_is_told_and_not_shown() -> None:
    with pytest.raises(Exception, match="signing secret of a Slack app") as caught:
        loads("web: {slack_signing_secret: hush}", {}, name="f", base=__import__("pathlib").Path())
    assert "hush" not in str(caught.value).replace("slack_signing_secret: hush", "")


def test_doctor_posts_as_slack_does_and_presses_nothing(redis_url: str) -> None:
    async def story(here: Here) -> None:
        async def said(**settings: str) -> tuple[str, str]:
            (check,) = await web_checks(WebSettings.model_validate({"slack_signing_secret": SECRET, **settings}))
            assert check.name == "slack buttons"
            return check.status, check.detail

        here.world.now_ms = round(time.time() * 1000)  # doctor has the clock of its machine
        keys = {"link_keys": "k" * 32}
        assert (await said())[1] == "whether they reach anything is not known: web.url is not set"
        both = WebSettings.model_validate({"slack_signing_secret": SECRET, "url": here.url, **keys})
        assert [check.status for check in await web_checks(both)][1] == "ok"
        other = WebSettings.model_validate({"slack_signing_secret": "x" * 32, "url": here.url, **keys})
        assert [(check.status, "does not believe" in check.detail) for check in await web_checks(other)][1] == (
            "fail",
            True,
        )
        below = WebSettings.model_validate({"slack_signing_secret": SECRET, "url": here.url + "below", **keys})
        assert (await web_checks(below))[1].detail.endswith("answers 404, so no button works")
        gone = WebSettings.model_validate({"slack_signing_secret": SECRET, "url": "http://127.0.0.1:1", **keys})
        assert "does not answer from here" in (await web_checks(gone))[1].detail
        assert here.acts() == []

    run(redis_url, story)
