"""Counts of sources over a real Valkey: added over workers, kept through failures, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.adapters.source_counts import MOST_SOURCES, QUARTER_MS, SourceStore, SourceTally
from tests.alerts.rows import NOW_MS
from tests.redis_clients import async_client

DAY_MS = 86_400_000
QUARTER = NOW_MS // QUARTER_MS


def run(url: str, story: Callable[[SourceStore, Redis], Awaitable[None]]) -> None:
    async def go() -> None:
        redis = async_client(url)
        try:
            await story(SourceStore(redis, "f:", 8 * DAY_MS), redis)
        finally:
            await redis.aclose()

    asyncio.run(go())


def tallied(*events: tuple[str, int]) -> SourceTally:
    tally = SourceTally()
    for name, at_ms in events:
        tally.add([name], at_ms)
    return tally


def test_workers_add_up_and_the_last_arrival_never_goes_back(redis_url: str) -> None:
    async def story(store: SourceStore, _redis: Redis) -> None:
        await store.write(tallied(("a", NOW_MS), ("a", NOW_MS - QUARTER_MS), ("b", NOW_MS)), NOW_MS)
        await store.write(tallied(("a", NOW_MS - 2 * QUARTER_MS), ("a", NOW_MS - 1)), NOW_MS + 5)  # behind
        assert await store.last() == (NOW_MS, {"a": NOW_MS, "b": NOW_MS})
        counts = await store.counts({QUARTER: ["a", "b", "c"], QUARTER - 1: ["a"], QUARTER - 9: ["a"]})
        before = (NOW_MS - 1) // QUARTER_MS == QUARTER
        assert counts == {QUARTER: {"a": 1 + before, "b": 1}, QUARTER - 1: {"a": 2 - before}, QUARTER - 9: {}}

    run(redis_url, story)


def test_what_redis_does_not_take_is_counted_the_next_time(redis_url: str) -> None:
    async def story(store: SourceStore, _redis: Redis) -> None:
        tally = tallied(("a", NOW_MS))
        gone = async_client("redis://127.0.0.1:1/0")
        with pytest.raises((RedisError, OSError)):
            await SourceStore(gone, "f:", DAY_MS).write(tally, NOW_MS)
        await gone.aclose()
        tally.add(["a"], NOW_MS + 1)
        await store.write(tally, NOW_MS)
        await store.write(tally, NOW_MS)  # nothing more
        assert await store.counts({QUARTER: ["a"]}) == {QUARTER: {"a": 2}}

    run(redis_url, story)


def test_old_ones_and_too_many_are_forgotten(redis_url: str) -> None:
    async def story(store: SourceStore, redis: Redis) -> None:
        await store.write(tallied(("old", NOW_MS)), NOW_MS)
        later_ms = NOW_MS + 9 * DAY_MS
        tally = SourceTally()
        tally.add([f"s{number}" for number in range(MOST_SOURCES + 50)], later_ms)
        tally.add(["one more", "s0"], later_ms)
        await store.write(tally, later_ms)
        since_ms, last_ms = await store.last()
        assert since_ms == NOW_MS
        assert len(last_ms) == MOST_SOURCES
        assert not {"old", "one more"} & last_ms.keys()
        assert 0 < await redis.pttl(f"f:sources:{QUARTER}") <= 8 * DAY_MS

    run(redis_url, story)
