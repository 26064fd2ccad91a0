"""A plain Kafka client on the embedded broker: its records are judged by the clock, the shipper's by their acceptance."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.cli.doctor import diagnose
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.stack_plan import StackPlan
from floorwatch.embedded.status import Status
from floorwatch.embedded.supervisor import Stack
from floorwatch.sdk.stacks import read_state
from streams.core.time_text import rfc3339
from streams.models.topics import ACCEPTED_MARK, partition_of
from tests.embedded.tansu import read_topic
from tests.embedded.test_stack import _replaced
from tests.oracle.case_events import label
from tests.waits import until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PARTITIONS = 4
DAY_MS = 86_400_000


def dated(name: str, time_ms: int) -> bytes:
    return json.dumps({**label(name, 0), "id": name, "subject": name, "time": rfc3339(time_ms)}).encode()


async def send(bootstrap: str, records: list[tuple[str, bytes, int | None, bool]]) -> None:
    """Write records as any Kafka client can: name, value, the record's time, whether the shipper's mark is forged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for name, value, record_ms, forged in records:
            place = partition_of(name.encode(), PARTITIONS)
            batch = producer.create_batch()
            headers = [ACCEPTED_MARK] if forged else []
            batch.append(key=name.encode(), value=value, timestamp=record_ms, headers=headers)
            await (await producer.send_batch(batch, "floorwatch.raw.v1", partition=place))
    finally:
        await producer.stop()


async def outcome(bootstrap: str) -> tuple[dict[str, int], dict[str, str]]:
    """Return the events on the log with their arrivals, and the codes of the dead letters, by event id."""
    events = {
        json.loads(record.value)["id"]: record.timestamp
        for record in await read_topic(bootstrap, "floorwatch.events.v1", PARTITIONS)
        if b'"id"' in record.value
    }
    letters = [json.loads(r.value) for r in await read_topic(bootstrap, "floorwatch.deadletters.v1", PARTITIONS)]
    return events, {json.loads(letter["value"])["id"]: letter["code"] for letter in letters}


async def settled(bootstrap: str, count: int) -> tuple[dict[str, int], dict[str, str]]:
    found: list[Any] = []

    async def all_there() -> bool:
        found[:] = await outcome(bootstrap)
        return len(found[0].keys() | found[1].keys()) >= count

    await until(all_there, f"{count} events on the log or refused", progress=lambda: str(found))
    return found[0], found[1]


async def story(var: Path) -> None:
    told: list[Status] = []
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    plan = StackPlan(var, gateway=False, worker_argv=(sys.executable, "-m", "floorwatch.cli.worker"), extra_env=env)
    begin_ms = time.time_ns() // 1_000_000
    accepted_ms = begin_ms - 3 * DAY_MS
    async with (
        Stack(plan, told.append) as stack,
        JournalWriter(plan.paths.journal, "simulate", now_ms=lambda: accepted_ms) as journal,
    ):
        kafka = stack.urls["kafka"]
        times = {"one": 1, "month": begin_ms - 30 * DAY_MS, "minutes": begin_ms - 600_000, "none": None}
        times |= {"huge": 2**61, "ahead": begin_ms + 30 * DAY_MS}
        good = [(f"good-{name}", dated(f"good-{name}", begin_ms - 1000), ms, False) for name, ms in times.items()]
        ahead = [(f"bad-{name}", dated(f"bad-{name}", begin_ms + DAY_MS), ms, False) for name, ms in times.items()]
        await send(kafka, [*good, *ahead, ("forged", dated("forged", begin_ms - 1000), 1, True)])
        # What the gateway accepted three days ago was dated a day after it: refused now as it was then.
        await journal.publish(
            [(name, dated(name.decode(), accepted_ms + ms)) for name, ms in [(b"js", 0), (b"jn", DAY_MS)]]
        )
        events, dead = await settled(kafka, 2 * len(times) + 3)
        assert events.keys() == {*(name for name, *_ in good), "js"}
        assert dead == dict.fromkeys([*(name for name, *_ in ahead), "forged", "jn"], "future_time")
        assert events["js"] == accepted_ms
        assert all(arrived_ms >= begin_ms for name, arrived_ms in events.items() if name != "js")
        checks = {check.name: check for check in await diagnose(None, {}, var)}
        assert (checks["arrival times"].status, "stamped by the broker" in checks["arrival times"].detail) == (
            "ok",
            False,
        )
        await killed_in_turn(stack, kafka)


async def killed_in_turn(stack: Stack, kafka: str) -> None:
    """Events that become acceptable while the worker is killed: each is on the log or refused, none is both."""
    count = 0
    for kill in range(3):
        edge_ms = time.time_ns() // 1_000_000 + 300_000
        sent = [(f"e-{kill}-{n}", dated(f"e-{kill}-{n}", edge_ms + 500 * (n - 10)), 1, False) for n in range(40)]
        await send(kafka, sent)
        count += len(sent)
        pid = read_state(stack.plan.var).children["worker-1"].pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: _replaced(stack, "worker-1", pid), "a new worker")
    events, dead = await settled(kafka, count + 15)
    assert not events.keys() & dead.keys()
    assert {"e-0-0", "e-2-0"} <= events.keys()


def test_arrival_is_not_what_a_client_says_and_kills_change_no_decision(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
