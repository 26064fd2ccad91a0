"""The outbox on a real (embedded) Valkey: leases, retries, crashes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import structs
from redis.asyncio import Redis

from alerts.deliveries import channel_states, deliveries, deliveries_of, listed
from alerts.outbox import Lease, Outbox, OutboxSettings, backoff_ms, spread_ms
from alerts.outgoing import Notification, encode_notification
from alerts.receipts import NO_CHANNEL
from tests.golden import deployed
from tests.redis_clients import async_client

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
        redis = async_client(url)
        try:
            await body(Outbox(redis, clock, SETTINGS), clock, redis)
        finally:
            await redis.aclose()

    asyncio.run(main())


OPS = ["ops"]


async def routed(outbox: Outbox, *notes: Notification, channels: list[str] = OPS) -> None:
    """Put notifications in and choose their channels."""
    for one in notes:
        await outbox.enqueue(one)
    while await outbox.route(lambda _: channels):
        pass


async def claimed(outbox: Outbox, channel: str = "ops") -> Lease:
    lease = await outbox.claim(channel, 30)
    assert lease is not None
    return lease


async def waiting(outbox: Outbox) -> int:
    return sum(state.waiting for state in await channel_states(outbox, OPS))


def test_enqueue_is_idempotent_even_after_delivery(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        assert await outbox.enqueue(note())
        assert not await outbox.enqueue(note())
        assert await waiting(outbox) == 1
        await routed(outbox)
        lease = await claimed(outbox)
        assert (lease.note, lease.attempts, lease.unsure) == (note(), 1, False)
        assert await outbox.sent(lease)
        assert not await outbox.enqueue(note())
        assert await waiting(outbox) == 0
        assert await outbox.claim("ops", 30) is None
        assert not await redis.hexists("floorwatch:{outbox}:item:k1:open", "payload")
        assert 0 < await redis.pttl("floorwatch:{outbox}:item:k1:open") <= SETTINGS.keep_ms

    on_outbox(redis_url, body)


def test_a_claimed_one_is_nobody_elses_until_its_lease_ends(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await routed(outbox, note())
        first = await claimed(outbox)
        clock.now_ms += 29_999
        assert await outbox.claim("ops", 30) is None
        clock.now_ms += 1
        second = await claimed(outbox)  # the first worker died
        assert (second.id, second.attempts, second.unsure) == (first.id, 2, True)
        # The first worker was only slow: what it writes now must not count.
        assert not await outbox.sent(first)
        assert not await outbox.retry(first, "late")
        assert not await outbox.bury(first, "late")
        assert await outbox.sent(second)

    on_outbox(redis_url, body)


def test_oldest_due_goes_first_and_each_to_one_worker(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        for place in range(20):
            await outbox.enqueue(note(f"k{place:02}:open"))
            clock.now_ms += 1
            await routed(outbox)
        leases = await asyncio.gather(*(outbox.claim("ops", 30) for _ in range(25)))
        names = [lease.id for lease in leases if lease is not None]
        assert sorted(names) == [f"k{place:02}:open" for place in range(20)]
        assert names[0] == "k00:open"

    on_outbox(redis_url, body)


def test_two_workers_that_route_at_once_give_each_channel_one(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note())
        await asyncio.gather(*(outbox.route(lambda _: ["a", "b"]) for _ in range(10)))
        assert await redis.hget("floorwatch:{outbox}:item:k1:open", "open") == b"2"
        assert [await redis.zcard(f"floorwatch:{{outbox}}:due:{name}") for name in ("a", "b")] == [1, 1]

    on_outbox(redis_url, body)


def test_retry_waits_longer_each_time_then_dies(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await routed(outbox, note())
        for wait_ms in (1_000, 2_000):
            lease = await claimed(outbox)
            assert await outbox.retry(lease, "500")
            due_ms = clock.now_ms + spread_ms(wait_ms, 0, lease)
            assert await redis.zscore("floorwatch:{outbox}:due:ops", "k1:open") == due_ms
            clock.now_ms = due_ms - 1
            assert await outbox.claim("ops", 30) is None
            clock.now_ms += 1
        assert await outbox.retry(await claimed(outbox), "500 at last")
        assert await waiting(outbox) == 0
        (dead,) = await listed(outbox, "dead")
        assert (dead.id, dead.channel, dead.reason) == ("k1:open", "ops", "500 at last")
        assert (dead.attempts, dead.at_ms) == (3, clock.now_ms)
        assert 0 < await redis.pttl("floorwatch:{outbox}:item:k1:open") <= SETTINGS.keep_ms

    on_outbox(redis_url, body)


def test_a_worker_killed_at_every_attempt_does_not_loop_for_ever(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await routed(outbox, note("poison:open"), note("fine:open"))
        seen = []
        for _ in range(5):
            clock.now_ms += 30_000
            while (lease := await outbox.claim("ops", 30)) is not None:
                seen.append(lease.id)
                if lease.id == "fine:open":
                    await outbox.sent(lease)
        assert seen.count("poison:open") == 3
        assert seen.count("fine:open") == 1
        (dead,) = await listed(outbox, "dead")
        assert (dead.id, dead.reason) == ("poison:open", "its worker died each time")

    on_outbox(redis_url, body)


def test_dead_can_be_revived_with_fresh_attempts(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await routed(outbox, note())
        await outbox.bury(await claimed(outbox), "404")
        assert [(dead.id, dead.state) for dead in await listed(outbox, "dead")] == [("k1:open", "dead")]
        assert await outbox.revive("k1:open", "ops")
        assert not await outbox.revive("k1:open", "ops")
        assert await listed(outbox, "dead") == []
        assert await redis.pttl("floorwatch:{outbox}:item:k1:open") == -1
        again = await claimed(outbox)
        assert (again.attempts, again.note) == (1, note())

    on_outbox(redis_url, body)


def test_one_channel_given_up_does_not_bury_the_others_nor_its_own_text(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await routed(outbox, note(), channels=["ops", "phone"])
        await outbox.bury(await claimed(outbox), "404")
        assert await outbox.sent(await claimed(outbox, "phone"))
        assert await redis.hget("floorwatch:{outbox}:item:k1:open", "state") == b"waiting"
        assert await outbox.revive("k1:open", "ops")
        assert await outbox.sent(await claimed(outbox))
        assert await redis.hget("floorwatch:{outbox}:item:k1:open", "state") == b"done"
        assert await outbox.claim("phone", 30) is None

    on_outbox(redis_url, body)


def test_what_waits_for_a_channel_that_is_gone_goes_to_those_of_its_route_that_have_it_not(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await routed(outbox, note(), channels=["old", "ops"])
        assert await outbox.sent(await claimed(outbox))
        assert await outbox.move("old", 60) == 0  # another worker may still have it
        clock.now_ms += 60_000
        assert await outbox.move("old", 60) == 1
        await routed(outbox, channels=["ops", "new"])
        assert await outbox.claim("ops", 30) is None
        assert await outbox.sent(await claimed(outbox, "new"))
        assert await redis.hget("floorwatch:{outbox}:item:k1:open", "state") == b"done"
        states = {one.channel: one.state for one in (await deliveries(outbox, ["k1:open"]))["k1:open"]}
        assert states == {"old": "moved", "ops": "sent", "new": "sent"}

    on_outbox(redis_url, body)


def test_without_a_channel_it_waits_a_day_for_one_and_can_be_revived(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await outbox.enqueue(note(route="nowhere"))
        assert await outbox.route(lambda _: [])
        assert not await outbox.route(lambda _: OPS)  # looked at again after a while
        (state,) = [one for one in await channel_states(outbox, []) if one.name == NO_CHANNEL]
        assert (state.waiting, state.oldest_waiting_ms) == (1, 0)
        clock.now_ms += 86_400_000
        assert await outbox.route(lambda _: [])
        (dead,) = await listed(outbox, "dead")
        assert dead.channel == NO_CHANNEL
        assert "no channel serves route nowhere" in dead.reason
        assert await outbox.revive(dead.id, NO_CHANNEL)
        await routed(outbox)
        assert (await claimed(outbox)).id == "k1:open"

    on_outbox(redis_url, body)


def test_unreadable_payload_is_buried_and_the_next_is_served(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await outbox.enqueue(note("never:open"))
        await redis.hset("floorwatch:{outbox}:item:never:open", "payload", "[]")
        await routed(outbox, note("bad:open"))
        await redis.hset("floorwatch:{outbox}:item:bad:open", "payload", "{")
        clock.now_ms += 1
        await routed(outbox, note("good:open"))
        assert (await claimed(outbox)).id == "good:open"
        dead = await listed(outbox, "dead")
        assert {(one.id, one.channel) for one in dead} == {("bad:open", "ops"), ("never:open", NO_CHANNEL)}
        assert all(one.reason.startswith("its payload cannot be read") for one in dead)

    on_outbox(redis_url, body)


def test_an_id_in_the_index_without_an_item_is_dropped(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        await redis.zadd("floorwatch:{outbox}:due", {"ghost:open": 1})
        await redis.zadd("floorwatch:{outbox}:due:ops", {"ghost:open": 1})
        await routed(outbox)
        assert await outbox.claim("ops", 30) is None
        assert await waiting(outbox) == 0

    on_outbox(redis_url, body)


def test_what_an_older_version_has_put_in_is_delivered_to_whom_it_was_not(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        held = {"payload": encode_notification(note()), "state": "waiting", "attempts": 1, "token": "x"}
        await redis.hset("floorwatch:{outbox}:item:k1:open", mapping=held)  # type: ignore[arg-type]
        await redis.sadd("floorwatch:{outbox}:sent:k1:open", "console")
        await redis.zadd("floorwatch:{outbox}:due", {"k1:open": clock.now_ms})
        await routed(outbox, channels=["console", "ops"])
        assert await outbox.claim("console", 30) is None
        assert await outbox.sent(await claimed(outbox))
        assert await redis.hget("floorwatch:{outbox}:item:k1:open", "state") == b"done"

    on_outbox(redis_url, body)


def test_a_huge_notification_is_cut_before_it_is_kept(redis_url: str) -> None:
    async def body(outbox: Outbox, _clock: Clock, redis: Redis) -> None:
        huge = structs.replace(note(), body="x" * 10**6, incident={"key": "k1", "examples": ["t" * 10**6]})
        await routed(outbox, huge)
        held = await redis.hget("floorwatch:{outbox}:item:k1:open", "payload")
        assert held is not None
        assert len(held) < SETTINGS.max_payload_bytes
        lease = await claimed(outbox)
        assert lease.note.incident == {"key": "k1"}
        assert lease.note.body.endswith("… cut\n")

    on_outbox(redis_url, body)


def test_deliveries_of_an_incident_are_found_by_its_key(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, _redis: Redis) -> None:
        await routed(outbox, note("k1:open"), note("k2:open"))
        clock.now_ms += 5
        await outbox.enqueue(note("k1:resolved-0"))
        lease = await claimed(outbox)
        await outbox.retry(lease, "500", unsure=True)
        found = await deliveries_of(outbox, ["k1", "k3"])
        assert found["k3"] == []
        assert [(one.id, one.channel, one.state, one.reason) for one in found["k1"]] == [
            ("k1:open", "ops", "waiting", "500"),
            ("k1:resolved-0", NO_CHANNEL, "waiting", ""),
        ]
        clock.now_ms += 60_000
        assert (await claimed(outbox)).unsure is False  # k2, due longer
        assert (await claimed(outbox)).unsure is True

    on_outbox(redis_url, body)


@pytest.mark.parametrize(
    ("attempts", "wait_ms"), [(0, 1_000), (1, 1_000), (2, 2_000), (3, 4_000), (4, 5_000), (10**9, 5_000)]
)
def test_backoff_doubles_up_to_its_most(attempts: int, wait_ms: int) -> None:
    assert backoff_ms(attempts, SETTINGS) == wait_ms


def test_what_a_newer_version_wrote_is_left_to_it_and_keeps_nobody_waiting(redis_url: str) -> None:
    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        newer = json.dumps({**json.loads(encode_notification(note())), "format": 9})
        await outbox.enqueue(note("unrouted:open"))
        await redis.hset("floorwatch:{outbox}:item:unrouted:open", "payload", newer)
        await routed(outbox, note("routed:open"))
        await redis.hset("floorwatch:{outbox}:item:routed:open", "payload", newer)
        clock.now_ms += 1
        await routed(outbox, note("good:open"))
        good = await claimed(outbox)
        assert good.id == "good:open"
        assert await outbox.sent(good)
        assert await outbox.claim("ops", 30) is None
        assert await listed(outbox, "dead") == []
        (mine,) = (await deliveries(outbox, ["routed:open"]))["routed:open"]
        assert mine.state == "waiting"
        assert "a notification in format version 9, and this Floorwatch reads up to version 3" in mine.reason
        clock.now_ms += SETTINGS.newer_pause_ms
        for name in ("unrouted:open", "routed:open"):  # a worker of that version reads it
            await redis.hset("floorwatch:{outbox}:item:" + name, "payload", encode_notification(note(name)))
        await routed(outbox)
        assert {(await claimed(outbox)).id, (await claimed(outbox)).id} == {"unrouted:open", "routed:open"}

    on_outbox(redis_url, body)


OF_24565AE = """
import asyncio, sys
from redis.asyncio import Redis
from alerts.outbox import Outbox
from alerts.outgoing import Notification

async def main():
    redis = Redis.from_url(sys.argv[1], socket_timeout=60)
    outbox = Outbox(redis, lambda: 900_000)
    for name in ("half:open", "dead:open", "revived:open", "waits:open"):
        await outbox.enqueue(Notification(name, "open", "default", "page", "T", "B", {"key": "k1"}))
    for _ in range(3):
        lease = await outbox.claim(30)
        if lease.id == "half:open":
            await outbox.mark_sent(lease, "chat")
            await outbox.retry(lease, "ops is down")
        else:
            await outbox.bury(lease, "nobody answered")
    await outbox.revive("revived:open")
    assert [one.id for one in await outbox.dead()] == ["dead:open"], await outbox.dead()
    await redis.aclose()

asyncio.run(main())
"""


def test_what_24565ae_left_is_delivered_once_and_its_dead_can_be_revived(redis_url: str, tmp_path: Path) -> None:
    deployed.run_python(deployed.install(tmp_path), ["-c", OF_24565AE, redis_url], dict(os.environ))

    async def body(outbox: Outbox, clock: Clock, redis: Redis) -> None:
        await routed(outbox, channels=["ops", "chat"])
        waits = {"half:open", "waits:open", "revived:open"}
        assert {(await claimed(outbox)).id for _ in range(3)} == waits
        assert {(await claimed(outbox, "chat")).id for _ in range(2)} == waits - {"half:open"}
        assert await outbox.claim("chat", 30) is None
        (dead,) = await listed(outbox, "dead")
        assert (dead.id, dead.channel, dead.reason) == ("dead:open", NO_CHANNEL, "nobody answered")
        assert await outbox.revive("dead:open", NO_CHANNEL)
        await routed(outbox)
        assert (await claimed(outbox)).id == "dead:open"

    on_outbox(redis_url, body)
