"""What each receiver that speaks HTTP answers, and what the channel makes of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from alerts.channels.base import ChannelError
from floorwatch.embedded.servers import free_port
from tests.alerts.channels.recorder import Answer, at_offset, built, golden, key_of, noted, pretty, recording

KEY = "a1" * 16
TOKEN = "xoxb-1-s3cret"
SECRETS = (KEY, TOKEN, "s3cret", "hush")


@dataclass(frozen=True)
class Kind:
    """A type of channel: its settings for a receiver's address, its path, and what the receiver answers."""

    settings: dict[str, Any]
    place: str
    address: str
    path: str
    yes: Answer = field(default_factory=Answer)
    no: bytes = b""
    said: str = ""


KINDS = {
    "pagerduty": Kind(
        {"type": "pagerduty", "routing_key": KEY},
        "url",
        "/v2/enqueue",
        "/v2/enqueue",
        Answer(202, b'{"status":"success","dedup_key":"x"}'),
        b'{"status":"invalid event","message":"Event object is invalid","errors":["no key %s"]}' % KEY.encode(),
        "Event object is invalid: no key ****",
    ),
    "slack webhook": Kind(
        {"type": "slack"},
        "url",
        "/services/T0/B0/s3cret",
        "/services/T0/B0/s3cret",
        Answer(200, b"ok"),
        b"no_service",
        "no_service",
    ),
    "slack token": Kind(
        {"type": "slack", "token": TOKEN, "channel": "C0123"},
        "api_url",
        "/api/",
        "/api/chat.postMessage",
        Answer(200, b'{"ok":true,"channel":"C0123","ts":"1.2"}'),
        b'{"ok":false,"error":"fatal_error"}',
        "fatal_error",
    ),
    "alertmanager": Kind(
        {"type": "alertmanager", "token": "hush"},
        "url",
        "/am/",
        "/am/api/v2/alerts",
        Answer(),
        b'"bad hush"',
        "bad ****",
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


async def sent(kind: Kind, *answers: Answer, **more: Any) -> tuple[list[Any], ChannelError | None]:
    """The requests of one delivery, and how it failed."""
    async with recording(*answers, usual=kind.yes) as recorder:
        channel = built({**kind.settings, kind.place: recorder.url + kind.address, **more})
        try:
            await channel.send(noted(), key_of(noted()))
        except ChannelError as error:
            return recorder.seen, error
        finally:
            await channel.close()
        return recorder.seen, None


@kinds
def test_a_receiver_that_takes_it_has_it_once(kind: Kind) -> None:
    seen, error = asyncio.run(sent(kind))
    assert error is None
    assert [one.path for one in seen] == [kind.path]
    assert seen[0].headers["User-Agent"] == "floorwatch"


@kinds
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_a_receiver_refuses_for_good_is_given_up_with_its_reason(kind: Kind, status: int) -> None:
    seen, error = asyncio.run(sent(kind, Answer(status, kind.no)))
    assert error is not None
    assert error.permanent
    assert not error.unsure
    assert error.reason.endswith(f"the receiver answered {status} ({kind.said})")
    assert len(seen) == 1


@kinds
def test_a_receiver_that_has_enough_is_left_alone_as_long_as_it_asks(kind: Kind) -> None:
    _, error = asyncio.run(sent(kind, Answer(429, kind.no, {"Retry-After": "30"})))
    assert error is not None
    assert (error.permanent, error.retry_after_ms, error.unsure) == (False, 30_000, False)


@kinds
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_receiver_that_is_broken_is_tried_again(kind: Kind, status: int) -> None:
    _, error = asyncio.run(sent(kind, Answer(status, b"<html>" + b"x" * 100_000)))
    assert error is not None
    assert not error.permanent
    assert len(error.reason) < 100


@kinds
@pytest.mark.parametrize("then", ["hang", "cut"])
def test_a_receiver_that_does_not_answer_may_have_it(kind: Kind, then: str) -> None:
    _, error = asyncio.run(sent(kind, Answer(then=then), timeout_s=0.2))
    assert error is not None
    assert (error.permanent, error.unsure) == (False, True)


@kinds
def test_without_a_connection_it_has_nothing_and_no_secret_is_told(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> ChannelError:
        channel = built({**kind.settings, kind.place: f"http://127.0.0.1:{free_port()}{kind.address}"})
        try:
            with pytest.raises(ChannelError) as caught:
                await channel.send(noted(), key_of(noted()))
        finally:
            await channel.close()
        return caught.value

    with caplog.at_level(logging.DEBUG):
        error = asyncio.run(main())
    assert (error.permanent, error.unsure) == (False, False)
    assert "no connection" in error.reason
    said = error.reason + "".join(record.getMessage() for record in caplog.records)
    assert [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("step", ["open", "reopened-1", "escalated-0-1", "resolved-0"])
def test_the_body_is_golden(name: str, step: str) -> None:
    kind = KINDS[name]

    async def main() -> Any:
        async with recording(usual=kind.yes) as recorder:
            channel = built({**kind.settings, kind.place: recorder.url + kind.address})
            await channel.send(noted(step), key_of(noted(step)))
            await channel.close()
        return recorder.seen[0].json

    golden(f"{name.replace(' ', '_')}.{step}.json", pretty(asyncio.run(main())))


@pytest.mark.parametrize("name", ["pagerduty", "alertmanager"])
def test_an_older_message_that_comes_late_does_not_open_the_alert_again(name: str) -> None:
    kind = KINDS[name]

    async def main() -> list[Any]:
        async with recording(Answer(500), usual=kind.yes) as recorder:
            channel = built({**kind.settings, kind.place: recorder.url + kind.address})
            first, over, again = (
                at_offset(noted(), 5),
                at_offset(noted("resolved-0"), 9),
                at_offset(noted("reopened-1"), 12),
            )
            with pytest.raises(ChannelError):
                await channel.send(first, key_of(first))
            for note in (over, first, again):
                await channel.send(note, key_of(note))
            await channel.close()
        return [one.json for one in recorder.seen]

    bodies = asyncio.run(main())
    assert len(bodies) == 3
    if name == "pagerduty":
        assert [body["event_action"] for body in bodies] == ["trigger", "resolve", "trigger"]
        assert len({body["dedup_key"] for body in bodies}) == 1
    else:
        assert len({pretty(body[0]["labels"]) for body in bodies}) == 1
