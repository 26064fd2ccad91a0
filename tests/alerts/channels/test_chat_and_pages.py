"""PagerDuty, Slack, Alertmanager: what of a message goes where, limits, and names that would do something."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.alertmanager import alert_of, label_text
from alerts.channels.base import ChannelError
from alerts.channels.message import message_of
from alerts.channels.pagerduty import MOST_EVENT, action_of, event_of
from alerts.channels.slack import body_of
from alerts.outgoing import Notification
from alerts.settings.channels import AlertmanagerSettings
from tests.alerts.channels.recorder import AT_MS, CALLS, Answer, built, faults, key_of, largest, named, noted, recording
from tests.alerts.channels.test_protocol import KEY, KINDS, TOKEN
from tests.nasty import NASTY, WHAT

names = pytest.mark.parametrize("name", NASTY, ids=WHAT)
TEST = Notification("test", "test", "default", "info", "Floorwatch can reach this channel", "This is a test.\n", {})
AM = AlertmanagerSettings(type="alertmanager", url=SecretStr("http://am.example"))


def texts(value: Any) -> list[str]:
    """All texts of a JSON value but its keys."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def slack(note: Notification) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(body_of(message_of(note))))
    return body


def pagerduty(note: Notification) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(event_of(note, message_of(note), KEY, "trigger"))
    return body


def alertmanager(note: Notification) -> dict[str, Any]:
    return alert_of(note, message_of(note), AM, AT_MS)


def test_each_step_is_what_it_means_to_pagerduty() -> None:
    steps = {
        "open": "trigger",
        "reopened-1": "trigger",
        "escalated-0-2": "trigger",
        "acked-1": "acknowledge",
        "resolved-0": "resolve",
    }
    assert {step: action_of(structs.replace(TEST, step=step)) for step in steps} == steps


def test_a_test_leaves_nothing_open_at_pagerduty() -> None:
    async def main() -> list[Any]:
        async with recording(usual=Answer(202)) as recorder:
            channel = built({"type": "pagerduty", "routing_key": KEY, "url": f"{recorder.url}/v2/enqueue"})
            await channel.send(TEST, "test")
            await channel.close()
        return [one.json for one in recorder.seen]

    bodies = asyncio.run(main())
    assert [body["event_action"] for body in bodies] == ["trigger", "resolve"]
    assert bodies[0]["payload"]["severity"] == "info"


def test_an_incident_of_the_largest_size_is_within_each_limit() -> None:
    note = noted(incident=largest())
    wide = structs.replace(message_of(note), details=("x" * 400,) * 5_000)
    for message in (message_of(note), wide):
        event = event_of(note, message, KEY, "trigger")
        assert len(event) <= MOST_EVENT
        assert len(json.loads(event)["payload"]["summary"]) <= 1024
        body = body_of(message)
        assert len(body["blocks"]) <= 10
        for block in body["blocks"]:
            most = {"header": 150, "section": 3_000, "context": 2_000}[block["type"]]
            shown = block["text"]["text"] if "text" in block else block["elements"][0]["text"]
            assert 0 < len(shown.encode("utf-16-le")) // 2 <= most
        assert sum(map(len, texts(body))) < 13_000


@names
def test_no_name_is_markup_or_a_mention_in_slack(name: str) -> None:
    body, plain = slack(noted(incident=named(name))), slack(noted(incident=named("x")))
    marked = [block["text"]["text"] for block in body["blocks"] if block.get("text", {}).get("type") == "mrkdwn"]
    assert len(marked) == 1
    assert all(part.startswith("<https://") for part in marked[0].split("  ·  "))
    assert marked[0].count("<") == marked[0].count(">") == marked[0].count("|")
    assert [block["type"] for block in body["blocks"]] == [block["type"] for block in plain["blocks"]]
    assert "<" not in body["text"]
    assert [text for text in texts(body) if text not in marked and CALLS.search(text)] == []


@names
def test_no_name_calls_anybody_at_pagerduty_or_behind_an_alertmanager(name: str) -> None:
    note = noted(incident=named(name))
    event, alert = pagerduty(note), alertmanager(note)
    for text in texts(event["payload"]) + texts(alert["annotations"]):
        if not text.startswith("https://grafana.example"):
            assert not CALLS.search(text)
    for text in alert["labels"].values():
        assert not re.search(r"@(everyone|here|channel)|<[!#@]", text)
        assert text.replace("\N{ZERO WIDTH SPACE}", "").isprintable()


def test_labels_are_the_names_as_they_are_so_that_matchers_fit() -> None:
    for name in ("comments", "labels@kul", "a b/c", "hate=1", "審査"):
        assert label_text(name) == name
        assert alertmanager(noted(incident=named(name)))["labels"]["queue"] == name


def test_an_alerts_identity_holds_no_number_and_stays_the_same_over_its_life() -> None:
    alerts = [alertmanager(noted(step)) for step in ("open", "escalated-0-1", "reopened-1", "resolved-0")]
    assert len({json.dumps(alert["labels"]) for alert in alerts}) == 1
    assert alerts[0]["labels"] == {
        "alertname": "accuracy-low-vendor",
        "kind": "accuracy_low",
        "severity": "page",
        "incident": noted().incident["key"],
        "vendor": "bpo-a",
    }


def test_an_alert_that_is_over_has_an_end_that_is_not_ahead_whatever_clock_events_have() -> None:
    from streams.core.formatting import rfc3339

    over = noted("resolved-0")
    for now_ms in (AT_MS, AT_MS - 86_400_000, AT_MS + 86_400_000):
        alert = alert_of(over, message_of(over), AM, now_ms)
        assert alert["startsAt"] <= alert["endsAt"] <= rfc3339(now_ms)
    assert alertmanager(noted())["endsAt"] == rfc3339(AT_MS + 3_600_000)


@pytest.mark.parametrize(
    ("error", "permanent", "hint"),
    [
        ("not_in_channel", True, "invite the app"),
        ("channel_not_found", True, "channel's id"),
        ("missing_scope", True, "chat:write"),
        ("invalid_blocks", True, ""),
        ("internal_error", False, ""),
        ("ratelimited", False, ""),
    ],
)
def test_slack_refuses_with_200_and_says_why(error: str, permanent: bool, hint: str) -> None:
    async def main() -> ChannelError:
        async with recording(Answer(200, json.dumps({"ok": False, "error": error}).encode())) as recorder:
            channel = built({**KINDS["slack token"].settings, "api_url": f"{recorder.url}/api"})
            with pytest.raises(ChannelError) as caught:
                await channel.send(noted(), key_of(noted()))
            await channel.close()
            request = recorder.seen[0]
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"
            assert request.json["channel"] == "C0123"
        return caught.value

    found = asyncio.run(main())
    assert (found.permanent, error in found.reason, hint in found.reason) == (permanent, True, True)


@pytest.mark.parametrize("body", [b"", b"ok", b"[1]", b"<html>"])
def test_an_answer_that_is_not_slacks_is_no_delivery(body: bytes) -> None:
    async def main() -> ChannelError:
        async with recording(Answer(200, body)) as recorder:
            channel = built({**KINDS["slack token"].settings, "api_url": f"{recorder.url}/api"})
            with pytest.raises(ChannelError) as caught:
                await channel.send(noted(), key_of(noted()))
            await channel.close()
        return caught.value

    assert not asyncio.run(main()).permanent


SLACK, PD = {"type": "slack"}, {"type": "pagerduty"}
AM_URL = {"type": "alertmanager", "url": "http://am.example:9093"}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no address": (SLACK, "url", "either the url of an incoming webhook, or an app's token"),
    "both": ({**SLACK, "url": "https://h.example", "token": TOKEN, "channel": "C1"}, "url", "either the url"),
    "a webhook with a channel": ({**SLACK, "url": "https://h.example", "channel": "C1"}, "channel", "it was made for"),
    "another token": (
        {**SLACK, "token": "xapp-1-hush", "channel": "C1"},
        "token",
        "not a token with which an app posts",
    ),
    "a token of two lines": ({**SLACK, "token": "xoxb-hush\r\nX: y", "channel": "C1"}, "token", "not a token"),
    "no channel": ({**SLACK, "token": "xoxb-hush"}, "channel", "needs the channel"),
    "another scheme": ({**SLACK, "url": "htps://hush.example"}, "url", "the url of a Slack webhook has another scheme"),
    "a short key": ({**PD, "routing_key": "hush"}, "routing_key", "32 letters and digits"),
    "a url without a host": ({**PD, "routing_key": KEY, "url": "https://"}, "url", "the url of PagerDuty has no host"),
    "an Alertmanager's scheme": ({**AM_URL, "url": "am:9093"}, "url", "the url of an Alertmanager has another scheme"),
    "half a login": ({**AM_URL, "username": "fw"}, "password", "go together"),
    "two logins": (
        {**AM_URL, "username": "fw", "password": "hush", "token": "hush"},
        "token",
        "a token and a password",
    ),
    "a token with a line end": ({**AM_URL, "token": "hush\n"}, "token", "no HTTP header"),
    "an own label": ({**AM_URL, "labels": {"vendor": "x"}}, "labels", "one of Floorwatch's own"),
    "a label's name": ({**AM_URL, "labels": {"a-b": "x"}}, "labels", "no name of a label"),
}


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_cannot_work_are_told_with_place_and_hint_and_no_secret(what: str) -> None:
    settings, place, reason = WRONG[what]
    ((field, said, hint),) = faults(settings)
    assert field == (place,)
    assert reason in said
    assert hint
    assert "hush" not in said + hint
    assert KEY not in said + hint
