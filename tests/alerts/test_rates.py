"""What goes first, how much a channel sends, when it tries again, and who gets what it was given up for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from pydantic import ValidationError
from redis.asyncio import Redis

from alerts.channels.base import ChannelError
from alerts.channels.message import MOST_REASON, marked_instead
from alerts.deliveries import channel_states, deliveries
from alerts.outbox import Lease, Outbox, SendingRate, backoff_ms, spread_ms
from alerts.outgoing import Notification
from alerts.routes import RoutingSettings, fallbacks_of, rates_of
from tests.alerts.notifiers import FakeChannel, dead_ones, notifier_of
from tests.alerts.test_outbox import SETTINGS, Clock, claimed, note, on_outbox, routed


def warning(name: str) -> Notification:
    return structs.replace(note(name), severity="warning")


@given(st.integers(0, 60), st.integers(0, 4_000_000), st.text(max_size=40))
def test_a_wait_is_spread_between_its_half_and_its_whole_and_never_shorter_than_asked(
    attempts: int, after_ms: int, name: str
) -> None:
    lease = Lease(name, "ops", "t", note(), attempts)
    wait_ms = backoff_ms(attempts, SETTINGS)
    found = spread_ms(wait_ms, after_ms, lease)
    assert max(wait_ms // 2, after_ms) <= found <= max(wait_ms, after_ms * 1.1 + 1)
    assert found == spread_ms(wait_ms, after_ms, lease)


def test_many_that_failed_together_do_not_come_back_together() -> None:
    waits = {spread_ms(60_000, 0, Lease(f"k{place}:open", "ops", "t", note(), 7)) for place in range(200)}
    assert len(waits) > 190
    assert max(waits) - min(waits) > 25_000


def test_a_page_goes_before_warnings_that_wait_longer_and_after_a_failure_too(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await routed(outbox, *(warning(f"w{place}:open") for place in range(300)))
        clock.now_ms += 1
        await routed(outbox, note("page:open"))
        first = await claimed(outbox)
        assert first.id == "page:open"
        assert await outbox.retry(first, "500")
        assert (await claimed(outbox)).id.startswith("w")  # the page is not due yet
        clock.now_ms += 1_000
        again = await claimed(outbox)
        assert (again.id, again.attempts) == ("page:open", 2)
        assert await outbox.sent(again)
        assert (await claimed(outbox)).id.startswith("w")
        assert await redis.zcard("floorwatch:{outbox}:urgent:ops") == 0

    on_outbox(redis_url, body)


def test_a_rate_is_held_over_all_workers_and_nothing_is_lost(redis_url: str) -> None:
    rate, total = SendingRate(per_minute=60, burst=5), 100

    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        other = Outbox(redis, clock, SETTINGS)
        await routed(outbox, *(warning(f"k{place:03}:open") for place in range(total)))
        sent_ms: list[int] = []
        for turn in range(3_000):
            lease = await (outbox, other)[turn % 2].claim("ops", 30, rate=rate)
            if lease is None:
                clock.now_ms += 100
                continue
            sent_ms.append(clock.now_ms)
            assert await outbox.sent(lease)
            if len(sent_ms) == total:
                break
        assert len(sent_ms) == total
        for first in sent_ms:  # in no stretch more than the bucket holds and gets
            for minutes in (0.1, 0.5, 1.0):
                within = [at for at in sent_ms if first <= at < first + minutes * 60_000]
                assert len(within) <= rate.burst + rate.per_minute * minutes
        # It is used up, too: 95 that come one a second take 95 s.
        assert sent_ms[-1] - sent_ms[0] <= (total - rate.burst + 1) * 1_000
        (state,) = await channel_states(outbox, ["ops"])
        assert (state.sent, state.waiting, state.dead) == (total, 0, 0)

    on_outbox(redis_url, body)


def test_a_clock_that_goes_back_gives_nothing_and_stops_nothing(redis_url: str) -> None:
    rate = SendingRate(per_minute=60, burst=1)

    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await routed(outbox, *(warning(f"k{place}:open") for place in range(3)))
        assert await outbox.claim("ops", 30, rate=rate) is not None
        clock.now_ms -= 500
        await routed(outbox, warning("early:open"))
        assert await outbox.claim("ops", 30, rate=rate) is None
        clock.now_ms += 1_500
        assert await outbox.claim("ops", 30, rate=rate) is not None

    on_outbox(redis_url, body)


def test_what_a_channel_is_given_up_for_goes_to_its_fallback_once_and_says_so(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        bad = FakeChannel("bad", [ChannelError("the receiver answered 404", permanent=True)] * 2)
        mail = FakeChannel("mail")
        notifier = notifier_of(outbox, bad, fallbacks={"bad": "mail", "mail": "bad"})
        notifier_mail = notifier_of(outbox, mail, fallbacks={"bad": "mail", "mail": "bad"})
        await outbox.enqueue(note())
        await notifier.drain()
        clock.now_ms += 1
        await notifier_mail.drain()
        assert mail.titles == ["T (never reached bad: the receiver answered 404)"]
        assert await dead_ones(outbox) == [("bad", "the receiver answered 404", 1)]
        # Given up again after it was revived: the fallback has it already.
        assert await outbox.revive("k1:open", "bad")
        await notifier.drain()
        await notifier_mail.drain()
        assert len(mail.titles) == 1

    on_outbox(redis_url, body)


def test_two_channels_that_name_each_other_end(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        gone = [ChannelError("410", permanent=True)]
        first, second = FakeChannel("a", [*gone]), FakeChannel("b", [*gone])
        names = {"a": "b", "b": "a"}
        await outbox.enqueue(note())
        for _ in range(3):
            await notifier_of(outbox, first, fallbacks=names).drain()
            await notifier_of(outbox, second, fallbacks=names).drain()
            clock.now_ms += 10_000
        assert {channel for channel, _, _ in await dead_ones(outbox)} == {"a", "b"}

    on_outbox(redis_url, body)


def test_the_fallback_also_gets_what_killed_its_worker_each_time(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await routed(outbox, note())
        for _ in range(SETTINGS.max_attempts):
            assert await outbox.claim("ops", 30, fallback="mail") is not None
            clock.now_ms += 30_001
        assert await outbox.claim("ops", 30, fallback="mail") is None
        lease = await claimed(outbox, "mail")
        assert lease.instead_of == "ops: its worker died each time"
        assert await outbox.sent(lease)
        states = {one.channel: one.state for one in (await deliveries(outbox, ["k1:open"]))["k1:open"]}
        assert states == {"mail": "sent", "ops": "dead"}

    on_outbox(redis_url, body)


def test_a_long_reason_is_cut_in_the_title() -> None:
    assert len(marked_instead(note(), "ops: " + "x" * 5_000).title) < MOST_REASON + 30


SECTION = {"channels": {"ops": {"type": "console"}, "mail": {"type": "console"}}, "routes": {"default": ["ops"]}}


def settings(**of_ops: object) -> RoutingSettings:
    channels = {**SECTION["channels"], "ops": {"type": "console", **of_ops}}  # type: ignore[dict-item]
    return RoutingSettings.model_validate({**SECTION, "channels": channels})


def test_settings_become_rates_and_fallbacks() -> None:
    given_ = settings(rate={"per_minute": 20}, fallback="mail")
    assert given_.unknown_channels() == []
    assert rates_of(given_) == {"ops": SendingRate(20.0, 5)}
    assert fallbacks_of(given_) == {"ops": "mail"}


@pytest.mark.parametrize(
    ("fallback", "told"),
    [
        ("male", ("there is no channel male", "did you mean mail? Use one of mail, or leave fallback out")),
        ("ops", ("is the channel itself", "use one of mail, or leave fallback out")),
    ],
)
def test_a_fallback_that_cannot_be_is_told(fallback: str, told: tuple[str, str]) -> None:
    (fault,) = settings(fallback=fallback).unknown_channels()
    assert (fault.field, fault.reason, fault.hint) == (("channels", "ops", "fallback"), *told)


@pytest.mark.parametrize(
    "rate", [{"per_minute": 0}, {"per_minute": True}, {"per_minute": 5, "burst": 0}, {"burst": 3}, 7]
)
def test_a_rate_that_sends_nothing_is_refused(rate: object) -> None:
    with pytest.raises(ValidationError):
        settings(rate=rate)
