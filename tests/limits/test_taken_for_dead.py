"""A worker whose whole connection stands still for two sessions is taken for dead, joins anew, and its numbers are right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.simulate.runs import simulated_log
from tests.limits.floor import SESSION_S, kafka_floor, over
from tests.limits.test_slow_redis import beyond_bounds

pytestmark = pytest.mark.servers

STILL_S = 2.2 * SESSION_S


async def scenario(folder: Path, lines: list[bytes]) -> None:
    half = len(lines) // 2
    async with kafka_floor(folder) as floor:
        await floor.run.send(lines[:half])
        await floor.until(lambda s: s.get(("floorwatch_events_folded_total", ("0", "ledger")), 0) > 0)
        floor.broker.open.clear()
        await asyncio.sleep(STILL_S)
        assert beyond_bounds(await floor.metrics()) == []
        floor.broker.open.set()
        await floor.run.send(lines[half:])
        await floor.run.finish()
        assert await floor.differences(lines) == []
        log = floor.run.servers.log_tail("worker", 1000)
        assert log.count("ledger[0] recovered") >= 2, "it was not taken for dead, so this test shows nothing"
        after = await floor.metrics()
        assert over(after, "floorwatch_waiting_seconds", 5) == []


@pytest.mark.slow
def test_a_worker_taken_for_dead_comes_back_by_itself(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path, simulated_log(5, 0.5, 0.1)))
