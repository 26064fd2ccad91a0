"""The broker takes no records for longer than a session: appends wait, heartbeats go on, nothing is lost or kept for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.simulate.runs import simulated_log
from tests.limits.floor import SESSION_S, ProxiedFloor, over, proxied_floor
from tests.limits.proxy import PRODUCE, Request
from tests.limits.test_slow_redis import beyond_bounds

pytestmark = pytest.mark.servers

HELD_S = 1.5 * SESSION_S
"""Longer than the session timeout: without heartbeats the worker would be taken for dead."""


def of_the_worker(request: Request) -> bool:
    """Hold back what the worker produces, and nothing else."""
    return request[0] == PRODUCE and request[1] != "the-test"


async def scenario(folder: Path, lines: list[bytes]) -> None:
    half = len(lines) // 2
    async with proxied_floor(folder) as floor:
        await floor.run.send(lines[:half])
        await floor.until(lambda s: s.get(("floorwatch_events_folded_total", ("0", "ledger")), 0) > 0)
        await takes_nothing(floor, lines[half:])
        await floor.run.finish()
        assert await floor.differences(lines) == []


async def takes_nothing(floor: ProxiedFloor, lines: list[bytes]) -> None:
    floor.broker.hold = of_the_worker
    await floor.run.send(lines)
    held = await floor.until(lambda s: s["floorwatch_waiting_seconds", ("broker",)] > HELD_S)
    assert beyond_bounds(held) == []
    assert over(held, "floorwatch_fenced_total", 0) == []
    assert held["floorwatch_writer_in_flight_bytes", ()] > 0
    recovered = held["floorwatch_recovery_seconds", ("ledger",)]
    floor.broker.hold = lambda _: False
    after = await floor.until(lambda s: s["floorwatch_waiting_seconds", ("broker",)] < 1)
    assert over(after, "floorwatch_fenced_total", 0) == []
    assert after["floorwatch_recovery_seconds", ("ledger",)] == recovered, "the partitions moved: heartbeats stopped"


@pytest.mark.slow
def test_a_broker_that_takes_nothing_for_longer_than_a_session_slows_and_loses_nothing(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path, simulated_log(7, 0.5, 0.2)))
