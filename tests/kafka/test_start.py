"""A worker that is started before its broker: it waits and says so, can be stopped, and starts when the broker answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from floorwatch.chaos.kafka import KafkaNode
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import committed, create_topics, open_admin
from streams.models import topics
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.oracle.case_events import label
from tests.waits import ended, until

pytestmark = pytest.mark.servers

PREFIX = "started."


def config_of(folder: Path, redis_url: str, brokers: list[str], **security: Any) -> Path:
    kafka = {
        "brokers": brokers,
        "topic_prefix": PREFIX,
        "partitions": 2,
        **({"security": security} if security else {}),
    }
    return write_config(folder / "f.yaml", kafka=kafka, redis={"url": redis_url})


async def until_said(servers: Servers, worker: Any, said: Callable[[str], bool]) -> str:
    """Return the worker's log once it says something."""
    log = ""

    def found() -> bool:
        nonlocal log
        log = servers.log_tail("worker", 200)
        return said(log)

    await until(found, "the worker's log to say it", progress=lambda: log[-2000:], process=worker)
    return log


async def folded(servers: Servers, worker: Any, options: dict[str, Any]) -> int:
    """Return how many records of the raw topic's partition 0 the group has committed, once there are some."""
    admin = await open_admin(options)

    async def count() -> int:
        with suppress(KafkaError):  # no coordinator yet
            return (await committed(admin, "floorwatch", PREFIX + topics.RAW, 2))[0]
        return 0

    try:
        said = lambda: servers.log_tail("worker", 5)
        return await until(count, "a commit of raw.v1", progress=said, process=worker)
    finally:
        await admin.close()


@pytest.mark.slow
@pytest.mark.usefixtures("real_kafka")
def test_a_worker_waits_for_a_broker_that_is_away_and_starts_when_it_answers(tmp_path: Path) -> None:
    node = KafkaNode(tmp_path / "kafka")

    options = {"bootstrap_servers": node.bootstrap}

    async def go() -> int:
        async with processes(tmp_path) as (servers, redis_url):
            await asyncio.to_thread(node.start)
            await create_topics(options, topics.topic_specs(PREFIX, 2))
            await asyncio.to_thread(node.stop)
            worker = start_worker(servers, "worker", config_of(tmp_path, redis_url, [node.bootstrap]))
            await until_said(servers, worker, lambda log: "waiting for Kafka, attempt 1" in log)
            log = await until_said(servers, worker, lambda log: log.count("waiting for Kafka, attempt") >= 2)
            assert f"broker {node.bootstrap}: nothing listens there (start the broker" in log
            assert "Traceback" not in log
            await asyncio.to_thread(node.start)
            await until_said(servers, worker, lambda log: "Kafka answers after" in log)
            producer = AIOKafkaProducer(acks="all", **options)
            await producer.start()
            event = json.dumps(label("l-1", 5)).encode()
            await producer.send_and_wait(PREFIX + topics.RAW, event, key=b"t-1", partition=0)
            await producer.stop()
            return await folded(servers, worker, options)

    try:
        assert run(go()) == 1
    finally:
        node.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_is_stopped_by_a_signal(tmp_path: Path, number: int) -> None:
    async def go() -> tuple[int, str]:
        async with processes(tmp_path) as (servers, redis_url):
            brokers = ["no-such-host.invalid:9092", "127.0.0.1:1"]
            worker = start_worker(servers, "worker", config_of(tmp_path, redis_url, brokers))
            log = await until_said(servers, worker, lambda log: "waiting for Kafka" in log)
            worker.send_signal(number)
            return await ended(worker, "the worker to stop"), log

    code, log = run(go())
    assert code == 0
    # An unknown host is waited for, since names come and go with containers, but it is said with what to correct.
    assert "broker no-such-host.invalid:9092: the host no-such-host.invalid is not known (correct kafka.brokers" in log
    assert "broker 127.0.0.1:1: nothing listens there" in log


@pytest.mark.usefixtures("real_kafka")
def test_a_broker_that_refuses_us_is_not_waited_for(tmp_path: Path) -> None:
    node = KafkaNode(
        tmp_path / "kafka",
        {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        },
        protocol="SASL_PLAINTEXT",
        scram_users={"floorwatch": "right"},
    )
    security = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "SCRAM-SHA-512",
        "username": "floorwatch",
        "password": "wrong",
    }

    async def go() -> tuple[int, str]:
        async with processes(tmp_path) as (servers, redis_url):
            worker = start_worker(servers, "worker", config_of(tmp_path, redis_url, [node.bootstrap], **security))
            code = await ended(worker, "the worker to refuse", lambda: servers.log_tail("worker", 5))
            return code, servers.log_tail("worker", 40)

    try:
        node.start()
        code, log = run(go())
    finally:
        node.stop()
    assert code == os.EX_CONFIG
    assert "refuses user floorwatch (check kafka.security.username, its password, and mechanism)" in log
    assert "wrong" not in log
