"""A worker that meets the state of a newer version ends at once, with the code for what a restart does not mend, and says which."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.embedded.servers import Servers
from streams.adapters.admin import create_topics
from streams.models import topics
from tests.waits import ended

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    ("topic", "key", "value", "said"),
    [
        (topics.LEDGER, b"m|0011aabb", [5, 1, 1, {}, 0, 0, False, -1, 9], "a ledger's meta row in format version 9"),
        (topics.PARTIALS, b"queue=a|0|0|0|o", [5, {1: 2}, 9], "a row in format version 9"),
    ],
)
def test_a_worker_ends_with_what_is_needed(tmp_path: Path, topic: str, key: bytes, value: list[Any], said: str) -> None:
    async def go() -> tuple[int, str]:
        async with Servers(tmp_path) as servers:
            options = {"bootstrap_servers": servers.brokers}
            await create_topics(options, topics.topic_specs("floorwatch.", 1))
            producer = AIOKafkaProducer(**options)
            await producer.start()
            await producer.send_and_wait("floorwatch." + topic, msgspec.msgpack.encode(value), key=key, partition=0)
            await producer.stop()
            worker = servers.start_worker(KAFKA__PARTITIONS="1", METRICS__PORT="0")
            code = await ended(worker, "the end of the worker", lambda: servers.log_tail("worker", 5))
            return code, servers.log_tail("worker", 40)

    code, log = asyncio.run(go())
    assert code == os.EX_CONFIG, log
    assert f"the worker stopped after a failure: floorwatch.{topic}[0]: {said}" in log, log
    assert "start one that reads that version" in log
