"""A real worker on an embedded broker and Valkey, each behind a proxy, fed with a simulated log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families

from floorwatch.bounded import PREFIX, BoundedRun
from floorwatch.embedded.servers import Servers, broker_command, free_port, valkey_command, wait_for_port
from floorwatch.simulate.compare import COMPARED, differences, keyed, report, row_count
from floorwatch.simulate.oracle import Oracle
from streams.adapters.admin import committed, create_topics, open_admin
from streams.adapters.readmodel import table_row
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.limits.proxy import Proxy, kafka_behind_a_proxy, proxied
from tests.redis_clients import async_client
from tests.waits import until

PARTITIONS = 2
SESSION_S = 3.0
"""Half of the default, so that waits longer than a session are short."""
SETTINGS = {
    "KAFKA__PARTITIONS": str(PARTITIONS),
    "KAFKA__SESSION_TIMEOUT_S": str(SESSION_S),
    "KAFKA__REBALANCE_TIMEOUT_S": "2",
    "ENGINE__IDLE_TIMEOUT_S": "86400",
    "ENGINE__PUBLISH_INTERVAL_S": "0.5",
    "ENGINE__MAX_UNFLUSHED_RECORDS": "2000",
    "ENGINE__MAX_BATCH_RECORDS": "500",
}

Tables = dict[str, dict[str, Any]]
"""Rows by table and key."""

Series = dict[tuple[str, tuple[str, ...]], float]
"""Value by (metric, values of its labels in the order of the names of the labels)."""


@dataclass
class ProxiedFloor:
    """What a test works with.

    Attributes:
        run: Sends events and reads tables; its own connections pass the broker's proxy, too.
        broker: The broker's proxy.
        redis: The Valkey's proxy.
        redis_url: The Valkey itself.
        metrics_url: Of the worker.
    """

    run: BoundedRun
    broker: Proxy
    redis: Proxy
    redis_url: str
    metrics_url: str

    async def metrics(self) -> Series:
        """Return what the worker exports now."""
        async with aiohttp.ClientSession() as session, session.get(self.metrics_url) as answer:
            text = await answer.text()
        families = text_string_to_metric_families(text)
        return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}

    async def until(self, said: Callable[[Series], bool]) -> Series:
        """Return the metrics once they say something; they and the log are what moves meanwhile."""

        async def found() -> Series | None:
            series = await self.metrics()
            return series if said(series) else None

        return await until(found, "the metrics to say it", progress=self._moving, process=self.run.worker, every_s=0.2)

    async def _moving(self) -> tuple[str, Series]:
        """What tells that the worker gets on: how long it has waited is not a sign of it."""
        series = await self.metrics()
        counts = {
            key: value for key, value in series.items() if key[0].startswith("floorwatch_") and "_total" in key[0]
        }
        return self.run.servers.log_tail("worker", 20), counts

    async def folded(self, topic: str) -> int:
        """Return how many records of a topic the group has committed."""
        return sum((await committed(self.run.admin, "floorwatch", PREFIX + topic, PARTITIONS)).values())

    async def differences(self, lines: list[bytes]) -> list[str]:
        """Return what differs between the tables and an independent recount; also between Redis and the tables."""
        actual, held = await self._at_rest()
        oracle = Oracle.from_events(lines)
        panes = {table: keyed(rows, panes=True) for table, rows in actual.items()}
        expected = oracle.panes(3600)
        assert row_count(expected) > 200
        found = differences(expected, panes, COMPARED)
        said = [report(found, row_count(expected, panes))] if found else []
        return said + _differences_of_redis(actual, held)

    async def _at_rest(self) -> tuple[Tables, Tables]:
        """Return the tables as they are on the topics and in Redis once neither changes.

        A worker that takes its partitions again publishes all rows again: first to the topics, then to Redis.
        """
        before: tuple[Tables, Tables] | None = None

        async def found() -> tuple[Tables, Tables] | None:
            nonlocal before
            last, before = before, await self._shown()
            return before if before == last else None

        return await until(found, "the tables to rest", progress=self._moving, process=self.run.worker, every_s=1.0)

    async def _shown(self) -> tuple[Tables, Tables]:

        actual = {table: await self.run.table(table) for table in COMPARED}
        held: Tables = {table: {} for table in COMPARED}
        client = async_client(self.redis_url)
        try:
            for table, rows in actual.items():
                for key in rows:
                    scope, _, window = key.rpartition("|")
                    if "|" not in scope:  # else a pane, which Redis does not hold
                        value = await client.hget(f"floorwatch:rows:{table}:{window}", scope)
                        held[table][key] = None if value is None else table_row(value)
        finally:
            await client.aclose()
        return actual, held


def _differences_of_redis(actual: Tables, held: Tables) -> list[str]:
    assert sum(map(len, held.values())) > 100
    return [
        f"Redis {table} {key}" for table, rows in held.items() for key, row in rows.items() if row != actual[table][key]
    ]


def over(series: Series, gauge: str, most: float) -> list[str]:
    """Return the series of a gauge that are above a bound."""
    return [
        f"{name}{labels} = {value} > {most}"
        for (name, labels), value in series.items()
        if name == gauge and value > most
    ]


@asynccontextmanager
async def proxied_floor(folder: Path) -> AsyncIterator[ProxiedFloor]:
    """Start everything on an embedded broker; all is gone with the context."""
    servers, broker_port = Servers(folder), free_port()
    async with proxied(broker_port, frames=True) as broker:
        command = broker_command(broker_port)
        command[command.index("--advertised-listener-url") + 1] = f"tcp://127.0.0.1:{broker.port}"
        servers.start("broker", command)
        await wait_for_port(broker_port)
        async with _floor(servers, broker) as floor:
            yield floor


@asynccontextmanager
async def kafka_floor(folder: Path) -> AsyncIterator[ProxiedFloor]:
    """Start everything on a real Kafka; all is gone with the context."""
    async with (
        kafka_behind_a_proxy(folder / "kafka") as broker,
        _floor(Servers(folder), broker, KAFKA__IDEMPOTENT_PRODUCER="true") as floor,
    ):
        yield floor


@asynccontextmanager
async def _floor(servers: Servers, broker: Proxy, **settings: str) -> AsyncIterator[ProxiedFloor]:
    redis_port, metrics_port = free_port(), free_port()
    async with proxied(redis_port) as redis:
        try:
            servers.start("valkey", valkey_command(redis_port, servers.directory))
            await wait_for_port(redis_port)
            servers.brokers, servers.redis_url = f"127.0.0.1:{broker.port}", f"redis://127.0.0.1:{redis.port}/0"
            connection = {"bootstrap_servers": servers.brokers}
            await create_topics(connection, topics.topic_specs(PREFIX, PARTITIONS))
            worker = servers.start_worker(METRICS__PORT=str(metrics_port), **SETTINGS, **settings)
            producer = AIOKafkaProducer(acks="all", client_id="the-test", **connection)
            await producer.start()
            admin = await open_admin(connection)
            try:
                reader = KafkaLogReader(connection)
                run = BoundedRun(servers, worker, producer, admin, reader, PARTITIONS, _silent, 0, [0] * PARTITIONS)
                await wait_for_port(metrics_port)
                await _group_known(admin)
                url = f"http://127.0.0.1:{metrics_port}/metrics"
                yield ProxiedFloor(run, broker, redis, f"redis://127.0.0.1:{redis_port}/0", url)
            finally:
                await admin.close()
                await producer.stop()
        finally:
            redis.open.set()
            broker.open.set()
            await servers.__aexit__(None, None, None)


async def _group_known(admin: Any) -> None:
    """Wait until the broker has a coordinator for the group, which a fresh Kafka makes when a member asks."""

    async def known() -> bool:
        with suppress(KafkaError):
            await committed(admin, "floorwatch", PREFIX + topics.RAW, PARTITIONS)
            return True
        return False

    await until(known, "a coordinator of the group")


def _silent(*_: Any) -> None:
    return None
