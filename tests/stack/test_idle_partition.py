"""Case 13 on the whole stack: a partition with one old event does not keep live vendors out of the tables."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from floorwatch.bounded import PREFIX, BoundedRun, bounded_run
from streams.core.sources import WATERMARK_PREFIX
from streams.models import topics
from streams.models.topics import partition_of

Rows = dict[str, dict[str, Any]]

_OLD = ("oldv", "olderv")
_PARTITIONS = 4
_ROUNDS = 60
"""Seconds of a live floor after which it must have been seen; the idle timeout is 2 s."""


def _event(number: int, task: str, vendor: str, at: datetime) -> bytes:
    data = {"label_id": f"l{number}", "labeler_id": "ann", "vendor": vendor}
    common = {"specversion": "1.0", "id": f"c13-{number}", "source": "c13", "type": "floorwatch.label.submitted.v1"}
    return json.dumps({**common, "subject": task, "time": at.isoformat(), "data": data}).encode()


def _tasks() -> dict[int, str]:
    """Return a task of each partition."""
    tasks: dict[int, str] = {}
    for task in (f"w{i}" for i in count()):
        tasks.setdefault(partition_of(task.encode(), _PARTITIONS), task)
        if len(tasks) == _PARTITIONS:
            break
    return tasks


async def _live_after(run: BoundedRun) -> tuple[dict[str, object], float]:
    """Play the case until the live vendor is in the table; return its row and how far its watermark is behind the clock."""
    tasks = _tasks()
    numbers, now = count(1), datetime.now(UTC)
    await run.send([_event(0, tasks[0], "oldv", now - timedelta(hours=26))])
    for _ in range(_ROUNDS):
        now = datetime.now(UTC)
        await run.send([_event(next(numbers), tasks[partition], "livev", now) for partition in (1, 2, 3)])
        await asyncio.sleep(1)
        row = (await run.table("accuracy")).get("vendor=livev|1h")
        if row is not None:
            behind_s = (datetime.now(UTC) - datetime.fromisoformat(row["watermark"])).total_seconds()
            if behind_s < 60:
                return row, behind_s
    raise AssertionError("the live vendor is in no table")


async def _told(run: BoundedRun) -> dict[int, int]:
    found = {}
    async for records in run.reader.read(PREFIX + topics.PARTIALS, 0):
        for _, key, value in records:
            if key.startswith(WATERMARK_PREFIX.encode()) and value is not None and not key.endswith(b"|floor"):
                found[int(key.split(b"|")[1])] = msgspec.msgpack.decode(value)[1]
    return found


@pytest.mark.slow
def test_live_vendors_are_shown_though_one_partition_has_only_an_old_event(tmp_path: Path) -> None:
    async def go() -> None:
        async with bounded_run(tmp_path, partitions=_PARTITIONS, ENGINE__IDLE_TIMEOUT_S="2") as run:
            row, _ = await _live_after(run)
            assert row["labels"]
            assert (await _told(run))[0] < 0, "the partition with the old event says that it is idle"

    asyncio.run(go())


class _LiveFloor:
    """Two live partitions; two whose only events are hours old."""

    def __init__(self, run: BoundedRun) -> None:
        self.run, self.tasks, self.numbers = run, _tasks(), count()

    async def send(self, partition: int, vendor: str, at: datetime) -> None:
        await self.run.send([_event(next(self.numbers), self.tasks[partition], vendor, at)])

    async def rounds_until(self, holds: Callable[[dict[str, Any], dict[int, int]], bool], *, live: bool = True) -> Rows:
        """Play rounds of a second until something holds of table and partitions; return the rows."""
        rows: Rows = {}
        told: dict[int, int] = {}
        for _ in range(_ROUNDS):
            for partition in (2, 3) if live else ():
                await self.send(partition, "livev", datetime.now(UTC))
            await asyncio.sleep(1)
            rows, told = await self.run.table("accuracy"), await _told(self.run)
            if holds(rows, told):
                return rows
        raise AssertionError(f"not within {_ROUNDS} rounds; partitions {told}, rows {list(rows)}")


def _labels(rows: Rows, *vendors: str) -> list[int]:
    """Return how many labels of the last seven days the table shows of each vendor; 0 where it does not show one."""
    return [rows.get(f"vendor={vendor}|7d", {}).get("labels", 0) for vendor in vendors]


def _live_at(rows: Rows) -> datetime:
    row = rows.get("vendor=livev|1h")
    return datetime.fromisoformat(row["watermark"]) if row else datetime(2000, 1, 1, tzinfo=UTC)


async def _further_members(floor: _LiveFloor) -> None:
    begin = datetime.now(UTC)
    await floor.send(0, "oldv", begin - timedelta(hours=26))
    await floor.send(1, "olderv", begin - timedelta(hours=3))
    rows = await floor.rounds_until(
        lambda rows, told: _live_at(rows) > begin and told[0] < 0 and told[1] < 0 and _labels(rows, *_OLD) == [1, 1]
    )

    # One comes back, with events older than those of its own that were counted: both kinds of lateness are corrections.
    before = _live_at(rows)
    await floor.send(0, "oldv", begin - timedelta(hours=30))
    await floor.send(0, "oldv", begin - timedelta(hours=25))
    rows = await floor.rounds_until(lambda rows, _: _labels(rows, *_OLD) == [3, 1])
    assert _live_at(rows) >= before, "the floor never goes back"
    back = datetime.now(UTC)
    rows = await floor.rounds_until(lambda rows, told: _live_at(rows) > back and told[0] < 0)
    assert _labels(rows, *_OLD) == [3, 1]

    # Nobody sends any more: time goes on with the newest partition, and nothing is dropped.
    last = _live_at(rows)
    sent = next(floor.numbers) - 4
    rows = await floor.rounds_until(
        lambda rows, told: all(one < 0 for one in told.values()) and _labels(rows, "livev") == [sent], live=False
    )
    assert _live_at(rows) >= last
    assert _labels(rows, *_OLD) == [3, 1]
    assert not await floor.run.late()
    assert not await floor.run.dead_letters()


@pytest.mark.slow
def test_two_idle_partitions_one_that_comes_back_with_old_events_and_all_idle(tmp_path: Path) -> None:
    async def go() -> None:
        async with bounded_run(tmp_path, partitions=_PARTITIONS, ENGINE__IDLE_TIMEOUT_S="2") as run:
            await _further_members(_LiveFloor(run))

    asyncio.run(go())
