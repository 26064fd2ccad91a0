"""The outbox on a real (embedded) Valkey: leases, retries, crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from alerts.outbox import Outbox, OutboxSettings, backoff_ms
from alerts.outgoing import Notification

SETTINGS = OutboxSettings(max_attempts=3, backoff_first_ms=1_000, backoff_most_ms=5_000, keep_ms=60_000)


@dataclass
class Clock:
    """Wall time in ms that moves only when told."""

    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def note(name: str = "k1:open", route: str = "default") -> Notification:
    return Notification(
        id=name, step="open", route=route, severity="page", title="T", body="B\n", incident={"key": "k1"}
    )


def on_outbox(url: str, body: Callable[[Outbox, Clock, Redis], Awaitable[None]]) -> None:
    """Run a test body with an outbox on a fresh connection."""

    async def main() -> None:
        clock = Clock()
        redis = Redis.from_url(url)
        try:
            await body(Outbox(redis, clock, SETTINGS), clock, redis)
        finally:
            await redis.aclose()

    asyncio.run(main())


def test_enqueue_is_idempotent_even_after_delivery(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, _redis: Redis) -> None:
        assert await outbox.enqueue(note())
        assert not await outbox.enqueue(note())
        assert await outbox.waiting() == 1
        lease = await outbox.claim(30)
        assert lease is not None
        assert (lease.note, lease.attempts, lease.sent) == (note(), 1, frozenset())
        assert await outbox.done(lease)
        assert not await outbox.enqueue(note())
        assert await outbox.waiting() == 0
        assert await outbox.claim(30) is None

    on_outbox(redis_url, body)


def test_a_claimed_one_is_nobody_elses_until_its_lease_ends(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await outbox.enqueue(note())
        first = await outbox.claim(30)
        assert first is not None
        clock.now_ms += 29_999
        assert await outbox.claim(30) is None
        clock.now_ms += 1
        second = await outbox.claim(30)  # the first worker died
        assert second is not None
        assert (second.id, second.attempts) == (first.id, 2)
        # The first worker was only slow: what it writes now must not count.
        assert not await outbox.done(first)
        assert not await outbox.retry(first, "late")
        assert not await outbox.bury(first, "late")
        assert await outbox.done(second)

    on_outbox(redis_url, body)


def test_oldest_due_goes_first_and_each_to_one_worker(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        for place in range(20):
            await outbox.enqueue(note(f"k{place:02}:open"))
            clock.now_ms += 1
        leases = await asyncio.gather(*(outbox.claim(30) for _ in range(25)))
        names = [lease.id for lease in leases if lease is not None]
        assert sorted(names) == [f"k{place:02}:open" for place in range(20)]
        assert names[0] == "k00:open"

    on_outbox(redis_url, body)


def test_retry_waits_longer_each_time_then_dies(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note())
        for wait_ms in (1_000, 2_000):
            lease = await outbox.claim(30)
            assert lease is not None
            assert await outbox.retry(lease, "500")
            assert await outbox.next_due_ms() == clock.now_ms + wait_ms
            assert await outbox.claim(30) is None
            clock.now_ms += wait_ms
        lease = await outbox.claim(30)
        assert lease is not None
        assert await outbox.retry(lease, "500 at last")
        assert await outbox.waiting() == 0
        (dead,) = await outbox.dead()
        assert (dead.id, dead.reason, dead.attempts, dead.at_ms) == ("k1:open", "500 at last", 3, clock.now_ms)
        assert 0 < await redis.pttl("floorwatch:{outbox}:item:k1:open") <= SETTINGS.keep_ms

    on_outbox(redis_url, body)


def test_a_worker_killed_at_every_attempt_does_not_loop_for_ever(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await outbox.enqueue(note("poison:open"))
        await outbox.enqueue(note("fine:open"))
        seen = []
        for _ in range(5):
            clock.now_ms += 30_000
            while (lease := await outbox.claim(30)) is not None:
                seen.append(lease.id)
                if lease.id == "fine:open":
                    await outbox.done(lease)
        assert seen.count("poison:open") == 3
        assert seen.count("fine:open") == 1
        (dead,) = await outbox.dead()
        assert (dead.id, dead.reason) == ("poison:open", "its worker died each time")

    on_outbox(redis_url, body)


def test_dead_can_be_revived_with_fresh_attempts(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note())
        lease = await outbox.claim(30)
        assert lease is not None
        await outbox.bury(lease, "404")
        assert [dead.id for dead in await outbox.dead()] == ["k1:open"]
        assert await outbox.revive("k1:open")
        assert not await outbox.revive("k1:open")
        assert await outbox.dead() == []
        assert await redis.pttl("floorwatch:{outbox}:item:k1:open") == -1
        again = await outbox.claim(30)
        assert again is not None
        assert (again.attempts, again.note) == (1, note())

    on_outbox(redis_url, body)


def test_channels_already_sent_are_remembered(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await outbox.enqueue(note())
        lease = await outbox.claim(30)
        assert lease is not None
        await outbox.mark_sent(lease, "console")
        clock.now_ms += 30_000
        again = await outbox.claim(30)
        assert again is not None
        assert again.sent == {"console"}

    on_outbox(redis_url, body)


def test_unreadable_payload_is_buried_and_the_next_is_served(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note("bad:open"))
        await redis.hset("floorwatch:{outbox}:item:bad:open", "payload", "{")
        clock.now_ms += 1
        await outbox.enqueue(note("good:open"))
        lease = await outbox.claim(30)
        assert lease is not None
        assert lease.id == "good:open"
        (dead,) = await outbox.dead()
        assert dead.reason.startswith("its payload cannot be read")

    on_outbox(redis_url, body)


def test_an_id_in_the_index_without_an_item_is_dropped(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await redis.zadd("floorwatch:{outbox}:due", {"ghost:open": 1})
        assert await outbox.claim(30) is None
        assert await outbox.waiting() == 0

    on_outbox(redis_url, body)


@pytest.mark.parametrize(
    ("attempts", "wait_ms"), [(0, 1_000), (1, 1_000), (2, 2_000), (3, 4_000), (4, 5_000), (10**9, 5_000)]
)
def test_backoff_doubles_up_to_its_most(attempts: int, wait_ms: int) -> None:
    assert backoff_ms(attempts, SETTINGS) == wait_ms
