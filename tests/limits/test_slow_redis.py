"""Redis stands still, goes away, is slow: publishing waits, the ledger goes on, buffers keep their bounds, nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.simulate.runs import simulated_log
from streams.engine.batches import IN_HAND
from streams.models import topics
from tests.limits.floor import PARTITIONS, ProxiedFloor, Series, over, proxied_floor
from tests.waits import until

pytestmark = pytest.mark.servers

LIMIT, BATCH = 2000, 500


def beyond_bounds(series: Series) -> list[str]:
    """Return the buffers that hold more than they may; a batch may overshoot a bound that is looked at after it."""
    return [
        *over(series, "floorwatch_unflushed_records", LIMIT + BATCH),
        *over(series, "floorwatch_batches_in_hand", IN_HAND),
        *over(series, "floorwatch_writer_in_flight_bytes", series["floorwatch_limit", ("writer_in_flight_bytes",)]),
    ]


async def scenario(folder: Path, lines: list[bytes]) -> None:
    third = len(lines) // 3
    async with proxied_floor(folder) as floor:
        await floor.run.send(lines[:third])
        await floor.until(lambda s: s.get(("floorwatch_events_folded_total", ("0", "scopes")), 0) > 0)
        await stands_still(floor, lines[third : 2 * third])
        await is_down(floor, lines[2 * third :])
        floor.redis.refusing = False
        floor.redis.pause_s = 0.02
        await floor.run.finish()
        assert await floor.differences(lines) == []
        after = await floor.metrics()
        assert after["floorwatch_waiting_seconds", ("redis",)] < 5
        assert ("floorwatch_fenced_total", ("ledger",)) not in after


async def stands_still(floor: ProxiedFloor, lines: list[bytes]) -> None:
    """Redis accepts and never answers: what is sent meanwhile is in the ledger all the same."""
    floor.redis.open.clear()
    await floor.until(lambda s: s["floorwatch_waiting_seconds", ("redis",)] > 1)
    scopes_before = await floor.folded(topics.PARTIALS)
    await floor.run.send(lines)
    await floor.run._folded(topics.RAW, floor.run._ends, None)
    events = sum([await floor.run._end(topics.EVENTS, partition) for partition in range(PARTITIONS)])

    async def folded() -> int:
        assert beyond_bounds(await floor.metrics()) == []
        return await floor.folded(topics.EVENTS)

    async def done() -> bool:
        return await folded() >= events

    await until(done, f"{events} events folded", progress=folded, process=floor.run.worker, every_s=0.2)
    # Long enough for the partial rows to reach the bound of the stage that waits.
    await floor.until(lambda s: s["floorwatch_waiting_seconds", ("redis",)] > 6)
    assert beyond_bounds(await floor.metrics()) == []
    assert await floor.folded(topics.PARTIALS) == scopes_before, "published while Redis stood still?"


async def is_down(floor: ProxiedFloor, lines: list[bytes]) -> None:
    """Redis closes every connection: it is tried again and again, and the worker lives."""
    floor.redis.refusing = True
    floor.redis.open.set()
    floor.redis.cut()
    await floor.run.send(lines)
    await floor.run._folded(topics.RAW, floor.run._ends, None)
    found = await floor.until(lambda s: s["floorwatch_redis_retries_total", ()] >= 2)
    assert beyond_bounds(found) == []


@pytest.mark.slow
def test_a_redis_that_stalls_dies_and_crawls_delays_rows_and_loses_none(tmp_path: Path) -> None:
    lines = simulated_log(11, 0.5, 0.2)
    assert len(lines) > 3 * LIMIT
    asyncio.run(scenario(tmp_path, lines))
