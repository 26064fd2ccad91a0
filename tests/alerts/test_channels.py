"""Channels and the notifier: delivery, retries, crashes between steps."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import logging
import sys

import pytest
from pydantic import SecretStr, ValidationError
from redis.asyncio import Redis

from alerts.channels.base import ChannelError
from alerts.channels.console import ConsoleChannel
from alerts.channels.webhook import WebhookChannel
from alerts.notifier import Notifier
from alerts.outbox import Outbox
from alerts.outgoing import Notification
from alerts.routes import RoutingSettings, build_channels, build_routes
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import SETTINGS, Clock, note, on_outbox


class FakeChannel:
    """Takes notifications, failing as scripted."""

    def __init__(self, name: str, faults: list[BaseException] | None = None) -> None:
        self.name = name
        self.faults = faults or []
        self.keys: list[str] = []

    async def send(self, note: Notification, idempotency_key: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.keys.append(idempotency_key)

    async def close(self) -> None:
        pass


def test_webhook_500s_then_200_is_delivered_once_under_one_key(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        async with receiving(Receiver([500, 503])) as receiver:
            channel = WebhookChannel("ops", receiver.url, clock)
            notifier = Notifier(outbox, {"default": [channel]})
            await outbox.enqueue(note())
            for _ in range(6):
                await notifier.drain()
                await outbox.enqueue(note())  # the shell replays
                clock.now_ms += 10_000
            await channel.close()
        assert [status for _, _, status in receiver.seen] == [500, 503, 200]
        assert {headers["Idempotency-Key"] for headers, _, _ in receiver.seen} == {"k1:open:ops"}
        assert receiver.accepted == ["k1:open:ops"]
        assert json.loads(receiver.seen[-1][1])["incident"] == {"key": "k1"}
        assert await outbox.waiting() == 0

    on_outbox(redis_url, body)


def test_webhook_signature_can_be_verified() -> None:
    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            channel = WebhookChannel("ops", receiver.url, Clock(1_700_000_000_123), secret=SecretStr("hush"))
            await channel.send(note(), "key")
            await channel.close()
        headers, raw, _ = receiver.seen[0]
        digest = hmac.new(b"hush", b"1700000000." + raw, hashlib.sha256).hexdigest()
        assert headers["X-Floorwatch-Signature"] == f"t=1700000000,v1={digest}"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (408, False), (429, False), (400, True), (404, True), (302, True)],
)
def test_webhook_tells_what_is_worth_retrying(status: int, permanent: bool) -> None:
    async def main() -> None:
        answer = {"Retry-After": "120", "Location": "http://169.254.0.1/"}
        async with receiving(Receiver([status], answer)) as receiver:
            channel = WebhookChannel("ops", receiver.url, Clock())
            with pytest.raises(ChannelError) as caught:
                await channel.send(note(), "key")
            await channel.close()
        assert caught.value.permanent is permanent
        assert caught.value.retry_after_ms == 120_000
        assert len(receiver.seen) == 1

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/s3cret", "http://[s3cret/hook"])
def test_webhook_faults_never_show_the_url(url: str) -> None:
    async def main() -> ChannelError:
        channel = WebhookChannel("ops", url, Clock(), timeout_s=5)
        with pytest.raises(ChannelError) as caught:
            await channel.send(note(), "key")
        await channel.close()
        return caught.value

    assert "s3cret" not in asyncio.run(main()).reason


def test_retry_after_is_honoured(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        channel = FakeChannel("a", [ChannelError("slow down", retry_after_ms=90_000)])
        await outbox.enqueue(note())
        await Notifier(outbox, {"default": [channel]}).drain()
        assert await outbox.next_due_ms() == clock.now_ms + 90_000

    on_outbox(redis_url, body)


def test_one_failing_channel_costs_the_others_nothing(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        good = FakeChannel("good")
        bad = FakeChannel("bad", [ChannelError("500"), RuntimeError("a bug")])
        notifier = Notifier(outbox, {"default": [good, bad]})
        await outbox.enqueue(note())
        for _ in range(4):
            await notifier.drain()
            clock.now_ms += 10_000
        assert good.keys == ["k1:open:good"]
        assert bad.keys == ["k1:open:bad"]

    on_outbox(redis_url, body)


def test_permanent_fault_is_buried_at_once_with_its_reason(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, _redis: Redis) -> None:
        channel = FakeChannel("a", [ChannelError("webhook a: the receiver answered 404", permanent=True)])
        await outbox.enqueue(note())
        await Notifier(outbox, {"default": [channel]}).drain()
        (dead,) = await outbox.dead()
        assert (dead.reason, dead.attempts) == ("webhook a: the receiver answered 404", 1)

    on_outbox(redis_url, body)


def test_unknown_route_uses_default_and_without_one_says_so(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, _redis: Redis) -> None:
        channel = FakeChannel("a")
        await outbox.enqueue(note("k1:open", route="nowhere"))
        await Notifier(outbox, {"default": [channel]}).drain()
        assert channel.keys == ["k1:open:a"]
        await outbox.enqueue(note("k2:open", route="nowhere"))
        await Notifier(outbox, {}).drain()
        (dead,) = await outbox.dead()
        assert "no channel serves route nowhere" in dead.reason

    on_outbox(redis_url, body)


class KilledError(BaseException):
    """Stands for the process being killed: nothing catches it."""


@pytest.mark.parametrize("killed_at", ["claim", "send", "mark_sent", "done"])
def test_killed_between_any_two_steps_it_is_sent_at_least_once(redis_url: str, killed_at: str) -> None:
    class DyingOutbox(Outbox):
        """Dies once, after the named step reached Redis (or instead of the send)."""

        def __getattribute__(self, name: str) -> object:
            found = super().__getattribute__(name)
            if name != killed_at or (name == "send"):
                return found

            async def dying(*args: object) -> object:
                await found(*args)
                raise KilledError

            return dying

    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note())
        channel = FakeChannel("a", [KilledError()] if killed_at == "send" else [])
        with pytest.raises(KilledError):
            await Notifier(DyingOutbox(redis, clock, SETTINGS), {"default": [channel]}).deliver_one()
        clock.now_ms += 60_000
        await Notifier(outbox, {"default": [channel]}).drain()
        # Every send carries the same key; after mark_sent there is no second one at all.
        assert channel.keys == ["k1:open:a"]
        assert await outbox.waiting() == 0
        assert await outbox.dead() == []

    on_outbox(redis_url, body)


def test_killed_between_sending_and_remembering_sends_again_under_the_same_key(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        class Forgetful(Outbox):
            async def mark_sent(self, *_: object) -> None:
                raise KilledError

        channel = FakeChannel("a")
        await outbox.enqueue(note())
        with pytest.raises(KilledError):
            await Notifier(Forgetful(redis, clock, SETTINGS), {"default": [channel]}).deliver_one()
        clock.now_ms += 60_000
        await Notifier(outbox, {"default": [channel]}).drain()
        assert channel.keys == ["k1:open:a", "k1:open:a"]

    on_outbox(redis_url, body)


def test_run_delivers_stops_and_survives_a_lost_redis(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    class Flaky(Outbox):
        failures = 2

        async def claim(self, lease_s: float) -> object:  # type: ignore[override]
            if self.failures:
                self.failures -= 1
                raise ConnectionError("redis://:pw@host gone")
            return await super().claim(lease_s)

    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        stop = asyncio.Event()

        class Last(FakeChannel):
            async def send(self, note: Notification, idempotency_key: str) -> None:
                await super().send(note, idempotency_key)
                stop.set()

        channel = Last("a")
        await outbox.enqueue(note())
        with caplog.at_level(logging.WARNING):
            await Notifier(Flaky(redis, clock, SETTINGS), {"default": [channel]}, poll_s=0.001).run(stop)
        assert channel.keys == ["k1:open:a"]
        assert "pw@host" not in caplog.text

    on_outbox(redis_url, body)


def test_console_writes_title_and_body() -> None:
    stream = io.StringIO()
    asyncio.run(ConsoleChannel(stream=stream).send(note(), "key"))
    assert stream.getvalue() == "\nT\n  B\n"


def test_routing_settings_are_checked_and_built() -> None:
    settings = RoutingSettings.model_validate(
        {
            "channels": {
                "con": {"type": "console"},
                "ops": {"type": "webhook", "url": "https://h.example", "secret": "s"},
            },
            "routes": {"default": ["con"], "leads": ["con", "ops"]},
        }
    )
    routes = build_routes(settings, build_channels(settings, Clock()))
    assert [channel.name for channel in routes["leads"]] == ["con", "ops"]
    assert "h.example" not in repr(settings)
    for wrong in (
        {"routes": {"leads": ["console"]}},
        {"routes": {"default": ["nowhere"]}},
        {"channels": {"a": {"type": "webhook", "url": "ftp://h"}}},
    ):
        with pytest.raises(ValidationError):
            RoutingSettings.model_validate(wrong)


def test_apprise_missing_or_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.channels.apprise import AppriseChannel

    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChannelError, match=r"needs the package apprise: pip install 'floorwatch\[apprise\]'"):
        AppriseChannel("chat", SecretStr("json://127.0.0.1"))


def test_apprise_delivers_through_the_real_package() -> None:
    from alerts.channels.apprise import AppriseChannel

    async def main() -> None:
        async with receiving(Receiver([200, 500])) as receiver:
            channel = AppriseChannel("chat", SecretStr(receiver.url.replace("http://", "json://")))
            await channel.send(note(), "key")
            with pytest.raises(ChannelError, match="could not deliver"):
                await channel.send(note(), "key")
        assert json.loads(receiver.seen[0][1])["title"] == "T"

    asyncio.run(main())
    with pytest.raises(ChannelError, match="does not know this url"):
        AppriseChannel("chat", SecretStr("nonsense"))
