"""Channels and the notifier: delivery, retries, crashes between steps."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import logging
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr
from redis.asyncio import Redis

from alerts.channels.base import Channel, ChannelError, ChannelFault, retry_after_ms
from alerts.channels.console import ConsoleChannel
from alerts.channels.webhook import WebhookChannel
from alerts.deliveries import channel_states, listed
from alerts.notifier import AT_ONCE, Notifier
from alerts.outbox import Outbox
from alerts.outgoing import Notification
from alerts.routes import RoutingSettings, build_channels, channels_of
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import SETTINGS, Clock, note, on_outbox


class FakeChannel:
    """Takes notifications, failing as scripted."""

    idempotent = False

    def __init__(self, name: str, faults: list[BaseException] | None = None) -> None:
        self.name = name
        self.faults = faults or []
        self.keys: list[str] = []
        self.titles: list[str] = []

    async def send(self, note: Notification, idempotency_key: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.keys.append(idempotency_key)
        self.titles.append(note.title)

    async def close(self) -> None:
        pass


def notifier_of(outbox: Outbox, *channels: Channel, **options: Any) -> Notifier:
    """A notifier whose every route has all of some channels."""
    names = [channel.name for channel in channels]
    return Notifier(outbox, {channel.name: channel for channel in channels}, lambda _: names, **options)


async def dead_ones(outbox: Outbox) -> list[tuple[str, str, int]]:
    return [(one.channel, one.reason, one.attempts) for one in await listed(outbox, "dead")]


async def waiting(outbox: Outbox) -> int:
    return sum(state.waiting for state in await channel_states(outbox, []))


def test_webhook_500s_then_200_is_delivered_once_under_one_key(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        async with receiving(Receiver([500, 503])) as receiver:
            channel = WebhookChannel("ops", receiver.url, clock)
            notifier = notifier_of(outbox, channel)
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
        assert await waiting(outbox) == 0

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


def test_webhook_faults_never_show_the_url() -> None:
    async def main() -> ChannelError:
        channel = WebhookChannel("ops", "http://127.0.0.1:1/s3cret", Clock(), timeout_s=5)
        with pytest.raises(ChannelError) as caught:
            await channel.send(note(), "key")
        await channel.close()
        return caught.value

    assert "s3cret" not in asyncio.run(main()).reason


def test_retry_after_is_honoured(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        channel = FakeChannel("a", [ChannelError("slow down", retry_after_ms=90_000)])
        await outbox.enqueue(note())
        await notifier_of(outbox, channel).drain()
        assert await redis.zscore("floorwatch:{outbox}:due:a", "k1:open") == clock.now_ms + 90_000

    on_outbox(redis_url, body)


def test_one_failing_channel_costs_the_others_nothing(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        good = FakeChannel("good")
        bad = FakeChannel("bad", [ChannelError("500"), RuntimeError("a bug")])
        notifier = notifier_of(outbox, good, bad)
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
        await notifier_of(outbox, channel).drain()
        assert await dead_ones(outbox) == [("a", "webhook a: the receiver answered 404", 1)]

    on_outbox(redis_url, body)


class KilledError(BaseException):
    """Stands for the process being killed: nothing catches it."""


@pytest.mark.parametrize("killed_at", ["claim", "send", "sent"])
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
            await notifier_of(DyingOutbox(redis, clock, SETTINGS), channel).drain()
        clock.now_ms += 60_000
        await notifier_of(outbox, channel).drain()
        # Every send carries the same key; once the outbox knows of it there is no second one at all.
        assert channel.keys == ["k1:open:a"]
        assert await waiting(outbox) == 0
        assert await dead_ones(outbox) == []

    on_outbox(redis_url, body)


def test_killed_between_sending_and_remembering_sends_again_under_the_same_key(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        class Forgetful(Outbox):
            async def sent(self, *_: object) -> bool:
                raise KilledError

        channel = FakeChannel("a")
        await outbox.enqueue(note())
        with pytest.raises(KilledError):
            await notifier_of(Forgetful(redis, clock, SETTINGS), channel).drain()
        clock.now_ms += 60_000
        await notifier_of(outbox, channel).drain()
        assert channel.keys == ["k1:open:a", "k1:open:a"]
        assert channel.titles == ["T", "(possible repeat) T"]

    on_outbox(redis_url, body)


def test_run_delivers_stops_and_survives_a_lost_redis(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    class Flaky(Outbox):
        failures = 2

        async def claim(self, channel: str, lease_s: float) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("redis://:pw@host gone")
            return await super().claim(channel, lease_s)

    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        stop = asyncio.Event()

        class Last(FakeChannel):
            async def send(self, note: Notification, idempotency_key: str) -> None:
                await super().send(note, idempotency_key)
                stop.set()

        channel = Last("a")
        await outbox.enqueue(note())
        with caplog.at_level(logging.WARNING):
            await notifier_of(Flaky(redis, clock, SETTINGS), channel, poll_s=0.001).run(stop)
        assert channel.keys == ["k1:open:a"]
        assert caplog.text.count("cannot be reached") == 1  # not once a try
        assert "pw@host" not in caplog.text

    on_outbox(redis_url, body)


def test_console_writes_title_and_body() -> None:
    stream = io.StringIO()
    asyncio.run(ConsoleChannel(stream=stream).send(note(), "key"))
    assert stream.getvalue() == "\nT\n  B\n"


def test_every_channel_is_built_and_one_that_cannot_be_costs_no_other() -> None:
    settings = RoutingSettings.model_validate(
        {
            "channels": {
                "con": {"type": "console"},
                "ops": {"type": "webhook", "url": "https://h.example", "secret": "s"},
                "bad": {"type": "webhook", "url": "htps://hush.example"},
            },
            "routes": {"default": ["con"], "leads": ["con", "ops", "bad"], "alone": ["bad"], "nobody": []},
        }
    )
    built = build_channels(settings, Clock())
    assert [*built.by_name] == ["con", "ops", "bad"]
    assert [*built.usable] == ["con", "ops"]
    assert [fault.field for fault in built.faults] == [
        ("channels", "bad", "url"),
        ("routes", "alone"),
        ("routes", "nobody"),
    ]
    assert "hush" not in str(built.faults)
    assert "h.example" not in repr(settings)


@pytest.mark.parametrize(
    ("route", "also", "expected"),
    [
        ("leads", (), ("con", "ops")),
        ("gone", (), ("con",)),
        ("default", ("leads",), ("con", "ops")),
        ("nobody", (), ("con",)),
    ],
)
def test_channels_of_a_notification_are_those_of_the_configuration_now(
    route: str, also: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    settings = RoutingSettings.model_validate(
        {
            "channels": {"con": {"type": "console"}, "ops": {"type": "console"}},
            "routes": {"default": ["con"], "leads": ["con", "ops"], "nobody": []},
        }
    )
    assert channels_of(settings)(structs.replace(note(route=route), also=also)) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("", "ops.example", "htps://h", "https://", "https://:443/x", "https://h:99999/x", "https://h:0/"),
        *("http://[x/hook", " https://h.example", "https://h.example/\nx", "mailto:me@h.example", "file:///etc/passwd"),
    ],
)
def test_a_webhook_url_that_cannot_be_called_is_told_when_it_is_built(url: str) -> None:
    with pytest.raises(ChannelFault):
        WebhookChannel("ops", url, Clock())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120_000),
        ("9" * 5000, 3_600_000),
        ("0" * 5000 + "7", 7_000),
        ("0", 0),
        ("-5", None),
        ("NaN", None),
        ("1e9", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3_600_000),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
    ],
)
def test_any_retry_after_is_read_and_bound(header: str | None, expected: int | None) -> None:
    assert retry_after_ms(header, 1_700_000_000_000) == expected


@pytest.mark.slow
def test_apprise_missing_or_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.channels.apprise import AppriseChannel

    for url, said in (
        ("nonsense", "begins with the name of a service"),
        ("slakc://a/b/c", "knows no service slakc"),
        ("slack://", "does not take this slack:// url"),
        ("json://a,json://b", "names several receivers"),
    ):
        with pytest.raises(ChannelFault, match=said):
            AppriseChannel("chat", SecretStr(url))
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChannelFault, match="the package apprise is not installed"):
        AppriseChannel("chat", SecretStr("json://127.0.0.1"))


def test_apprise_delivers_through_the_real_package_and_says_why_not() -> None:
    from alerts.channels.apprise import AppriseChannel

    async def main() -> str:
        async with receiving(Receiver([200, 500])) as receiver:
            channel = AppriseChannel("chat", SecretStr(receiver.url.replace("http://", "json://") + "?-secrettoken=x"))
            await channel.send(note(), "key")
            with pytest.raises(ChannelError, match="could not deliver") as caught:
                await channel.send(note(), "key")
        assert json.loads(receiver.seen[0][1])["title"] == "T"
        return caught.value.reason

    reason = asyncio.run(main())
    assert "500" in reason
    assert "secrettoken" not in reason


def test_an_apprise_call_that_hangs_is_bound_in_time_and_number() -> None:
    from alerts.channels import apprise

    async def main() -> None:
        channel = apprise.AppriseChannel("chat", SecretStr("json://127.0.0.1:1"), timeout_s=0.05)
        let_go = threading.Event()
        channel._target = SimpleNamespace(notify=lambda **_: let_go.wait(60))
        for _ in range(apprise.MOST_CALLS):
            with pytest.raises(ChannelError, match="no answer within") as caught:
                await channel.send(note(), "key")
            assert caught.value.unsure
        with pytest.raises(ChannelError, match="earlier calls still hang"):
            await channel.send(note(), "key")
        let_go.set()
        while not channel._calls.acquire(blocking=False):  # noqa: ASYNC110 - their threads end now
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_hanging_receiver_holds_up_no_other_channel(redis_url: str) -> None:
    """Ten notes to one that never answers, then a page on another: it goes at once, and its own queue is served side by side."""

    async def body(outbox: Outbox, _clock: Clock, _redis: Redis) -> None:
        stop, delivered, under_way = asyncio.Event(), asyncio.Event(), 0

        class Hanging(FakeChannel):
            async def send(self, note: Notification, idempotency_key: str) -> None:
                nonlocal under_way
                under_way += 1
                await asyncio.Event().wait()

        class Healthy(FakeChannel):
            async def send(self, note: Notification, idempotency_key: str) -> None:
                await super().send(note, idempotency_key)
                delivered.set()

        channels: dict[str, Channel] = {"bad": Hanging("bad"), "good": Healthy("good")}
        notifier = Notifier(outbox, channels, lambda one: [one.route], poll_s=0.01)
        running = asyncio.create_task(notifier.run(stop))
        for number in range(10):
            await outbox.enqueue(note(f"n{number}:open", route="bad"))
        while under_way < AT_ONCE:  # noqa: ASYNC110 - until the bad channel is as busy as it may be
            await asyncio.sleep(0.01)
        await outbox.enqueue(note("page:open", route="good"))
        await asyncio.wait_for(delivered.wait(), 5)
        assert under_way == AT_ONCE
        stop.set()
        await running

    on_outbox(redis_url, body)


def test_a_channel_that_is_down_for_hours_is_tried_on_while_others_have_it_once(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        good, bad = FakeChannel("good"), FakeChannel("bad", [ChannelError("503") for _ in range(50)])
        notifier = notifier_of(outbox, good, bad)
        await outbox.enqueue(note())
        for _ in range(20):
            await notifier.drain()
            clock.now_ms += 20_000
        assert good.keys == ["k1:open:good"]
        assert await dead_ones(outbox) == [("bad", "503", SETTINGS.max_attempts)]
        (state,) = [one for one in await channel_states(outbox, ["bad"]) if one.name == "bad"]
        assert (state.dead, state.failed, state.sent, state.reason) == (1, SETTINGS.max_attempts, 0, "503")
        assert state.failing_since_ms is not None

    on_outbox(redis_url, body)
