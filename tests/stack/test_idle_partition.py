"""Case 13 on the whole stack: a partition with one old event does not keep live vendors out of the tables."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest

from floorwatch.bounded import PREFIX, BoundedRun, bounded_run
from streams.core.sources import WATERMARK_PREFIX
from streams.models import topics
from streams.models.topics import partition_of

_PARTITIONS = 4
_ROUNDS = 60
"""Seconds of a live floor after which it must have been seen; the idle timeout is 2 s."""


def _event(number: int, task: str, vendor: str, at: datetime) -> bytes:
    data = {"label_id": f"l{number}", "labeler_id": "ann", "vendor": vendor}
    common = {"specversion": "1.0", "id": f"c13-{number}", "source": "c13", "type": "floorwatch.label.submitted.v1"}
    return json.dumps({**common, "subject": task, "time": at.isoformat(), "data": data}).encode()


async def _live_after(run: BoundedRun) -> tuple[dict[str, object], float]:
    """Play the case until the live vendor is in the table; return its row and how far its watermark is behind the clock."""
    tasks = {}
    for task in (f"w{i}" for i in count()):
        tasks.setdefault(partition_of(task.encode(), _PARTITIONS), task)
        if len(tasks) == _PARTITIONS:
            break
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
