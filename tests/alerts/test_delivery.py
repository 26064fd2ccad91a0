"""Delivery of what waits in the outbox: again after faults and kills, and no channel at another's cost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from alerts.channels.base import Channel, ChannelError
from alerts.channels.webhook import WebhookChannel
from alerts.deliveries import channel_states
from alerts.notifier import AT_ONCE, Notifier
from alerts.outbox import Outbox
from alerts.outgoing import Notification
from alerts.receipt_log import ReceiptLog
from tests.alerts.notifiers import FakeChannel, dead_ones, notifier_of, waiting
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import SETTINGS, Clock, note, on_outbox
from tests.waits import until


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


def test_retry_after_is_honoured(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        channel = FakeChannel("a", [ChannelError("slow down", retry_after_ms=90_000)])
        await outbox.enqueue(note())
        await notifier_of(outbox, channel).drain()
        due_ms = await redis.zscore("floorwatch:{outbox}:due:a", "k1:open")
        assert due_ms is not None
        assert 90_000 <= due_ms - clock.now_ms <= 99_000

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

            async def dying(*args: object, **options: object) -> object:
                await found(*args, **options)
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

        async def claim(self, channel: str, lease_s: float, **options: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("redis://:pw@host gone")
            return await super().claim(channel, lease_s, **options)

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


def test_a_notifier_with_much_to_route_and_many_receipts_to_write_is_not_dead(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        seen: list[tuple[str, bool]] = []
        stop = asyncio.Event()

        def channels_of(_note: Notification) -> list[str]:
            seen.append(("routing", "routing" in notifier.turns()))
            return ["a"]

        class Log:
            async def write_all(self, receipts: list[bytes]) -> bool:
                seen.append(("receipts", "receipts" in notifier.turns()))
                return bool(receipts)

        notifier = Notifier(outbox, {"a": FakeChannel("a")}, channels_of, receipts=cast("ReceiptLog", Log()))
        for number in range(3):
            await outbox.enqueue(note(f"k{number}:open"))
        await redis.zadd(outbox.key("owed"), {f"receipt {number}": number for number in range(1_200)})
        running = [asyncio.create_task(_run(notifier.loops()[part], stop)) for part in ("routing", "receipts")]
        await until(lambda: len(seen) == 6, "all to be routed and written")
        stop.set()
        await asyncio.gather(*running)
        for part in ("routing", "receipts"):
            assert [turned for name, turned in seen if name == part] == [False, True, True], part

    on_outbox(redis_url, body)


async def _run(loop: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    await loop(stop)
