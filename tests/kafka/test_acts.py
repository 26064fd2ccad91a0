"""Acts and time on a real Kafka: an incident is taken, its worker is killed, and the next owner goes on as if nothing were."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from alerts.view import instant_ms
from floorwatch.chaos.cluster import Cluster
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import create_topics
from streams.agents.ticker import tick_event
from streams.models import topics
from tests.embedded.test_acts import RULES, wrong_labels
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.oracle.case_events import at
from tests.redis_clients import async_client
from tests.waits import STALLED_S, until

pytestmark = pytest.mark.servers

PREFIX, PARTITIONS = "acts.", 2


async def send(bootstrap: str) -> None:
    """Sixty wrong labels, then the hour's end on every partition."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for fact in wrong_labels():
            key = fact["subject"].encode()
            where = topics.partition_of(key, PARTITIONS)
            await producer.send(PREFIX + topics.RAW, json.dumps(fact).encode(), key=key, partition=where)
        await producer.flush()
    finally:
        await producer.stop()


async def end_hour(bootstrap: str, cluster: Cluster, redis: Redis) -> dict[str, Any]:
    """Move time to the end of the hour, once all labels are in the tables, and return the incident of that hour.

    The rules look at a minute once, when anything of it is written. So time moves on by minutes, each when the one
    before has been folded, and never beyond the hour's window in which the labels are.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        await until(partial(_folded, cluster), "the labels to be folded", progress=partial(_commits, cluster))
        for minute in range(60, 90):
            await cluster.folded(STALLED_S)
            if found := await redis.hvals(f"{PREFIX}incidents"):
                incident: dict[str, Any] = json.loads(found[0])
                return incident
            for partition in range(PARTITIONS):
                tick = tick_event(partition, instant_ms(at(minute)), "test")
                await producer.send_and_wait(PREFIX + topics.EVENTS, tick.value, key=tick.key, partition=partition)
    finally:
        await producer.stop()
    raise AssertionError("half an hour after its labels there is no incident of the hour")


async def _commits(cluster: Cluster) -> list[dict[int, int]]:
    return [await cluster.commits(topic) for topic in (topics.RAW, topics.EVENTS)]


async def _folded(cluster: Cluster) -> bool:
    ends = [await cluster.ends(topic) for topic in (topics.RAW, topics.EVENTS)]
    return sum(ends[1].values()) > 0 and ends == await _commits(cluster)


async def until_shown(redis: Redis, key: str, what: str) -> None:
    async def shown() -> str:
        return str(await redis.hget(f"{PREFIX}incidents", key))

    async def found() -> bool:
        return what in await shown()

    await until(found, f"{what} in the incident {key}", progress=shown)


async def command(config: Path, *arguments: str) -> None:
    line = [sys.executable, "-m", "floorwatch", *arguments, "--config", str(config), "--wait", "120"]
    done = await asyncio.to_thread(subprocess.run, line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def recoveries(servers: Servers, partition: int) -> list[tuple[str, str]]:
    """(when, which worker) each time the incidents of a partition were recovered: the last one owns them."""
    found = [
        (line, name)
        for name in ("one", "two")
        for line in servers.log_tail(name, 10_000).splitlines()
        if f"incidents[{partition}] recovered" in line
    ]
    return sorted(found)


@pytest.mark.slow
@pytest.mark.usefixtures("real_kafka")
def test_what_was_acknowledged_stays_so_when_its_worker_is_killed(kafka_bootstrap: str, tmp_path: Path) -> None:
    kafka = {"brokers": [kafka_bootstrap], "topic_prefix": PREFIX, "group": "acts", "partitions": PARTITIONS}

    async def go() -> tuple[dict[str, Any], str]:
        async with processes(tmp_path) as (servers, redis_url):
            sections = {"kafka": kafka, "redis": {"url": redis_url, "prefix": PREFIX}, "alerts": {"rules": RULES}}
            config = write_config(tmp_path / "f.yaml", **sections)
            await create_topics({"bootstrap_servers": kafka_bootstrap}, topics.topic_specs(PREFIX, PARTITIONS))
            workers = {name: start_worker(servers, name, config) for name in ("one", "two")}
            await send(kafka_bootstrap)
            redis = async_client(redis_url)
            cluster = Cluster({"bootstrap_servers": kafka_bootstrap}, PREFIX, "acts", PARTITIONS)
            incident = await end_hour(kafka_bootstrap, cluster, redis)
            await cluster.close()
            key, partition = incident["key"], incident["stamp"]["partition"]
            await until_shown(redis, key, '"escalated"')
            await command(config, "ack", key[:8], "--by", "mei")
            before = recoveries(servers, partition)
            workers[before[-1][1]].kill()
            await command(config, "silence", key[:8], "--for", "1h", "--by", "lee")
            found = json.loads(await redis.hget(f"{PREFIX}incidents", key) or b"{}")
            assert len(recoveries(servers, partition)) == len(before) + 1
            await redis.aclose()
            return found, "".join(servers.log_tail(name, 10_000) for name in workers)

    found, log = run(go())
    assert (found["state"], found["machine"]["acknowledged_by"], found["machine"]["tier"]) == ("acknowledged", "mei", 1)
    assert [(act["what"], act["by"]) for act in found["acts"]] == [("ack", "mei"), ("silence", "lee")]
    assert log.count("\nhate: accuracy") == log.count("Escalated: hate: accuracy") == 1
