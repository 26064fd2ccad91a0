"""A whole worker on servers of its own: signs of life, numbers that stand still told by the log, and silence when it is dead."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from floorwatch.bounded import BoundedRun, bounded_run
from tests.alerts.channels.recorder import Recorder, recording
from tests.redis_clients import async_client
from tests.waits import until

STALLED_S = 5
"""Rules look once a minute, so that numbers seem to stand still between two looks."""
SILENT_S = 5.0
"""Five pauses of the heartbeat."""


def event(number: int) -> bytes:
    data = {"label_id": f"l{number}", "labeler_id": "ann", "vendor": "v"}
    common = {"specversion": "1.0", "id": f"dm-{number}", "source": "tool/1", "type": "floorwatch.label.submitted.v1"}
    at = datetime.now(UTC).isoformat()
    return json.dumps({**common, "subject": f"t{number}", "time": at, "data": data}).encode()


def settings(outside: Recorder, hook: Recorder) -> dict[str, str]:
    return {
        "ENGINE__IDLE_TIMEOUT_S": "2",
        "ENGINE__FLUSH_INTERVAL_S": "0.5",
        "ENGINE__PUBLISH_INTERVAL_S": "1",
        "ALERTS__HEARTBEAT__URL": f"{outside.url}/1",
        "ALERTS__HEARTBEAT__EVERY": "1s",
        "ALERTS__HEALTH__STALLED_AFTER": f"{STALLED_S}s",
        "ALERTS__CHANNELS": json.dumps({"hook": {"type": "webhook", "url": f"{hook.url}/hook"}}),
        "ALERTS__ROUTES": json.dumps({"default": ["hook"]}),
    }


@pytest.mark.slow
def test_a_worker_that_lives_stalls_and_is_dead(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            recording() as outside,
            recording() as hook,
            bounded_run(tmp_path, partitions=1, **settings(outside, hook)) as run,
        ):
            numbers = count()

            async def heard(path: str) -> bool:
                await run.send([event(next(numbers))])
                assert run.worker.poll() is None, run.servers.log_tail("worker")
                return any(one.path == path for one in outside.seen)

            await until(lambda: heard("/1"), "a sign of life", progress=lambda: len(outside.seen), every_s=0.5)
            await until(lambda: heard("/1/fail"), "it stalls", progress=lambda: len(outside.seen), every_s=0.5)
            said = next(one.body.decode() for one in outside.seen if one.path == "/1/fail")
            assert "Rules have not looked since" in said
            await until(lambda: hook.seen, "people are told by the log")
            incident = hook.seen[0].json["incident"]
            assert (incident["kind"], incident["scope"]) == ("watermark_stalled", {})
            assert hook.seen[0].json["title"].startswith("whole floor: no new numbers for")
            await counted(run)
            await dead(run, outside)

    asyncio.run(main())


async def counted(run: BoundedRun) -> None:
    """Intake has counted the events by their source."""
    redis = async_client(run.servers.redis_url)
    try:
        found = await redis.zrange("floorwatch:sources:last", 0, -1)
        assert found == [b"tool/1"]
    finally:
        await redis.aclose()


async def dead(run: BoundedRun, outside: Recorder) -> None:
    """A process that stands still gives no sign, and gives them again when it goes on."""
    run.worker.send_signal(signal.SIGSTOP)
    before, began_s = len(outside.seen), time.monotonic()
    await until(lambda: time.monotonic() - began_s > SILENT_S, "time passes", progress=time.monotonic)
    assert len(outside.seen) <= before + 1  # one may have been under way
    run.worker.send_signal(signal.SIGCONT)
    after = len(outside.seen)
    await until(lambda: len(outside.seen) > after + 1, "signs come again")
