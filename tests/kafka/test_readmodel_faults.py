"""A Redis that is emptied in the middle of a write, and two workers that write one partition: nothing stays wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from streams.adapters.readmodel import ReadModel
from tests.kafka.conftest import processes
from tests.redis_clients import async_client

pytestmark = pytest.mark.servers

Rows = dict[tuple[str, str], dict[str, bytes | None]]

ALL: Rows = {("sla", "1h"): {f"queue=q{number}": b'{"due": 1}' for number in range(5000)}}
ONE: Rows = {("sla", "1h"): {"queue=q7": b'{"due": 2}'}}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Redis]:
    async with processes(folder) as (_, url):
        redis = async_client(url)
        try:
            yield redis
        finally:
            await redis.aclose()


class Emptied:
    """A client whose Redis is emptied right after its nth pipeline."""

    def __init__(self, redis: Redis, after: int) -> None:
        self._redis, self._left = redis, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    def pipeline(self, **settings: Any) -> Any:
        pipe = self._redis.pipeline(**settings)
        execute: Callable[[], Awaitable[list[Any]]] = pipe.execute

        async def emptying() -> list[Any]:
            answers = await execute()
            self._left -= 1
            if self._left == 0:
                await self._redis.flushall()
            return answers

        pipe.execute = emptying
        return pipe


async def published(model: ReadModel, changed: Mapping[Any, Any], rows: Mapping[Any, Any], watermark_ms: int) -> bool:
    """Write as the aggregate stage does: what changed, or everything where Redis has lost it."""
    return await model.put(0, rows if await model.lost(0) else changed, watermark_ms)


def test_a_flush_between_two_pipelines_of_one_write_is_noticed_and_mended(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool, int]:
        async with running(tmp_path) as redis:
            model = ReadModel(Emptied(redis, after=2), "t:")  # type: ignore[arg-type]
            held = await model.put(0, ALL, 1)
            again = await published(model, {}, ALL, 2)
            return held, again, len(await model.rows("sla", "1h"))

    assert asyncio.run(go()) == (False, True, 5000)


def test_a_flush_between_the_look_and_the_write_is_noticed_and_mended(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool, int]:
        async with running(tmp_path) as redis:
            model = ReadModel(redis, "t:")
            await model.put(0, ALL, 1)
            assert not await model.lost(0)
            await redis.flushall()
            held = await model.put(0, ONE, 2)
            again = await published(model, {}, ALL, 3)
            return held, again, len(await model.rows("sla", "1h"))

    assert asyncio.run(go()) == (False, True, 5000)


def test_a_zombie_that_writes_an_old_row_makes_the_owner_write_all_rows_again(tmp_path: Path) -> None:
    async def go() -> tuple[bool, int]:
        async with running(tmp_path) as redis:
            zombie, owner = ReadModel(redis, "t:"), ReadModel(redis, "t:")
            await zombie.put(0, ALL, 1)
            await owner.put(0, {("sla", "1h"): {**ALL["sla", "1h"], **ONE["sla", "1h"]}}, 2)
            await zombie.put(0, {("sla", "1h"): {"queue=q7": b'{"due": 1}'}}, 1)
            lost = await owner.lost(0)
            await owner.put(0, {("sla", "1h"): {**ALL["sla", "1h"], **ONE["sla", "1h"]}}, 3)
            return lost, (await owner.rows("sla", "1h"))["queue=q7"]["due"]

    assert asyncio.run(go()) == (True, 2)


def test_a_zombie_killed_after_it_wrote_to_the_topics_and_before_redis_is_told_of_too(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool]:
        async with running(tmp_path) as redis:
            zombie, owner = ReadModel(redis, "t:"), ReadModel(redis, "t:")
            await zombie.put(0, ALL, 1)
            await owner.put(0, ALL, 2)
            return await zombie.lost(0), await owner.lost(
                0
            )  # what follows here is its append to the topics, and its end

    assert asyncio.run(go()) == (True, True)


def test_a_partition_that_comes_back_begins_with_all_rows(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool]:
        async with running(tmp_path) as redis:
            first, other = ReadModel(redis, "t:"), ReadModel(redis, "t:")
            await first.put(0, ALL, 1)
            await other.put(0, ALL, 2)
            first.begin(0)
            held = await first.put(0, ALL, 3)
            return held, await other.lost(0)

    assert asyncio.run(go()) == (True, True)
