"""A thousand queues breach in the same minute, on a real Kafka and Valkey: channels are held to their rates, none is lost.

``python -m bench.breaches`` does it with ten thousand, beside 10,000 events a second.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alerts.codec import decode_incident
from floorwatch.embedded.child_process import free_port
from floorwatch.sdk import Client, LabelSubmittedData, TaskCreatedData, event
from streams.adapters.admin import create_topics
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = pytest.mark.servers

PREFIX = "many."
QUEUES = 1_000
RATES = {"ops": (6_000, 100), "leads": (3_000, 50)}
"""Messages a minute, and at once."""
UNDER_WAY = 4
"""Messages that a channel may have claimed and not sent yet."""
RULE = {"name": "the-rule", "kind": "backlog_age", "scope": {"by": "queue"}, "window": "1h", "target": "1h",
        "severity": "page", "for": 1}  # fmt: skip


class Ears:
    """What came on a channel: when, by which key, of which queue."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.keys: Counter[str] = Counter()
        self.queues: Counter[str] = Counter()

    async def hear(self, request: web.Request) -> web.Response:
        self.at_s.append(time.monotonic())
        self.keys[request.headers["Idempotency-Key"]] += 1
        self.queues[(await request.json())["incident"]["scope"]["queue"]] += 1
        return web.Response(status=204)

    def most_in(self, span_s: float) -> int:
        return max(bisect_left(self.at_s, at + span_s) - place for place, at in enumerate(self.at_s))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[dict[str, Ears], int]]:
    ears, app, port = {name: Ears() for name in RATES}, web.Application(), free_port()
    for name, one in ears.items():
        app.router.add_post(f"/{name}", one.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield ears, port
    finally:
        await runner.cleanup()


def configuration(folder: Path, bootstrap: str, redis_url: str, port: int) -> Path:
    channels: dict[str, Any] = {
        name: {
            "type": "webhook",
            "url": f"http://127.0.0.1:{port}/{name}",
            "rate": {"per_minute": per_minute, "burst": burst},
        }
        for name, (per_minute, burst) in RATES.items()
    }
    return write_config(
        folder / "f.yaml",
        kafka={"brokers": [bootstrap], "topic_prefix": PREFIX, "group": "many", "partitions": 1},
        redis={"url": redis_url, "prefix": PREFIX},
        metrics={"port": 0},
        tables={"zones": {}, "default_zone": "UTC", "scopes": [["queue"]], "audit_scopes": []},
        alerts={
            "rules": [RULE],
            "channels": channels,
            "routes": {"default": {"notify": list(RATES), "group_by": ["queue"]}},
        },
    )


async def breach(bootstrap: str, now: datetime) -> None:
    """Put a task that has waited for two hours into each queue; then time moves to the present by a label."""
    long_ago = now - timedelta(hours=2)
    tasks = [
        event(TaskCreatedData(queue=f"q{number}"), task_id=f"t{number}", source="many", time=long_ago)
        for number in range(QUEUES)
    ]
    label = LabelSubmittedData(label_id="l", labeler_id="p", queue="other", values=["ham"])
    async with Client(brokers=bootstrap, topic=PREFIX + topics.RAW) as client:
        await client.emit([*tasks, event(label, task_id="other", source="many", time=now)])


async def opened(bootstrap: str) -> set[str]:
    """Return the queues of which the log has an open incident."""
    newest: dict[bytes, bytes | None] = {}
    async for records in KafkaLogReader({"bootstrap_servers": bootstrap}).read(PREFIX + topics.INCIDENTS, 0):
        newest |= {key: value for _, key, value in records}
    found = [decode_incident(value) for value in newest.values() if value is not None]
    return {one.scope["queue"] for one in found if one.state == "open"}


async def story(bootstrap: str, folder: Path) -> None:
    async with processes(folder) as (servers, redis_url), listening() as (ears, port):
        await create_topics({"bootstrap_servers": bootstrap}, topics.topic_specs(PREFIX, 1))
        worker = start_worker(servers, "worker", configuration(folder, bootstrap, redis_url, port))
        await breach(bootstrap, datetime.now(UTC))

        def heard() -> bool:
            return all(len(one.queues) == QUEUES for one in ears.values())

        def seen() -> Any:
            return {name: len(one.queues) for name, one in ears.items()}, servers.log_tail("worker", 3)

        await until(heard, "a message of each queue on each channel", progress=seen, process=worker)
        assert await opened(bootstrap) == {f"q{number}" for number in range(QUEUES)}
        for name, (per_minute, burst) in RATES.items():
            one = ears[name]
            assert set(one.keys.values()) == {1}, "none came twice"
            assert sum(one.queues.values()) == QUEUES, "and none in two messages"
            for span_s in (1, 3, 10):
                # What was claimed before a span may come in it: a busy machine holds it up for a second.
                assert one.most_in(span_s) <= burst + UNDER_WAY + per_minute * (span_s + 1) / 60, (name, span_s)
        redis = async_client(redis_url)

        async def empty() -> bool:
            return not any([await redis.zcard(f"{PREFIX}{{outbox}}:due:{name}") for name in RATES])

        await until(empty, "nothing to wait in the outbox")
        await redis.aclose()


@pytest.mark.timeout(600)
def test_no_channel_gets_more_than_its_rate_and_each_hears_of_each_queue_once(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    run(story(kafka_bootstrap, tmp_path))
