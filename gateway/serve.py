"""Runs the gateway: reaches Kafka in the background, listens, stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from config.engine import EngineSettings
from config.events import EventSettings, event_limits
from config.kafka import KafkaSettings
from config.redis import RedisSettings
from config.sampling import SamplingSettings
from config.tables import TableSettings
from gateway.app import build_app
from gateway.context import GATEWAY, Limits
from gateway.http_connections import Connection, ConnectionTable, most_connections
from gateway.listen import GatewaySite
from gateway.plans import RedisPlans
from gateway.publisher import KafkaPublisher, PlanPublisher
from gateway.settings import GatewaySettings
from gateway.tool_state import RedisToolState
from streams.adapters.clients import kafka_settings, redis_client
from streams.adapters.refused_requests import refused_store
from streams.engine.log import KafkaLogWriter
from streams.models.kafka_error import said_by
from streams.models.kafka_producer import started_producer
from streams.models.topics import RAW
from telemetry.background import BackgroundTasks

_log = logging.getLogger(__name__)

_DAY_S = 86_400
_SHUTDOWN_S = 10.0
_RETRY_S, _MOST_RETRY_S = 1.0, 15.0
_PROBE_S = 5.0
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 4 * 1024 * 1024


class NamedRules(Protocol):
    """The section of alerts."""

    def rule_names(self) -> list[str]:
        """Return the names of all rules."""


class GatewayConfig(Protocol):
    """What the gateway reads of a loaded configuration."""

    @property
    def gateway(self) -> GatewaySettings:
        """Its own section."""

    @property
    def kafka(self) -> KafkaSettings:
        """Where its events go."""

    @property
    def redis(self) -> RedisSettings:
        """Where it remembers what tools have said."""

    @property
    def engine(self) -> EngineSettings:
        """Limits of an event."""

    @property
    def events(self) -> EventSettings:
        """How far an event's times may be from its own."""

    @property
    def sampling(self) -> SamplingSettings:
        """How audits are drawn whose sender names no probability."""

    @property
    def alerts(self) -> NamedRules:
        """Which rules there are, so that windows that name others are told."""

    @property
    def tables(self) -> TableSettings:
        """How long events can still be corrected."""


class CannotListen(OSError):
    """The port is taken or the address is not this machine's. Operator: choose another gateway.port or host."""


def wall_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


async def run_gateway(
    config: GatewayConfig, publisher: PlanPublisher, stopping: asyncio.Event, started: Callable[[str], None]
) -> None:
    """Listen until asked to stop; then answer what has begun, work off webhooks for a few seconds, and return.

    Args:
        config: The loaded configuration.
        publisher: Where events go; the caller stops it afterwards.
        stopping: Set by a signal.
        started: Called with the URL once it listens.

    Raises:
        CannotListen: The address cannot be used.
        UnauthenticatedGateway: It would take events from anyone.
        TokenFault: A token file cannot be read.
        SpoolBusy: Another gateway uses the spool.
        OSError: The spool cannot be used.
    """
    settings = config.gateway
    redis = redis_client(config)
    # The tool state must be kept for longer than events can be corrected.
    horizon_s = (config.tables.correction_horizon_days + 1) * _DAY_S
    tool_state = RedisToolState(redis, config.redis.prefix, max(settings.memory_ttl_s, horizon_s))
    future_ms = round(config.engine.future_tolerance_s * 1000)
    limits = Limits(config.engine.max_event_bytes, future_ms, event_limits(config.events), config.sampling.plan())
    plans = RedisPlans(redis, config.redis.prefix)
    refused = refused_store(redis, config.redis.prefix)
    app = build_app(settings, publisher, tool_state, wall_ms, limits, plans, config.alerts.rule_names(), refused)
    try:
        async with listening(app) as url:
            # Objects that exist now are kept for good. Without this, each full collection would scan them again, for 70
            # ms.
            gc.freeze()
            started(url)
            await stopping.wait()
    finally:
        await redis.aclose()


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Give the URL of a gateway that listens; then answer what has begun, and stop.

    Raises:
        CannotListen: The address cannot be used.
        SpoolBusy: Another gateway uses the spool.
        OSError: The spool cannot be used.
    """
    gateway = app[GATEWAY]
    settings = gateway.settings
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    table = ConnectionTable(most_connections(settings.max_connections), gateway.refusals)
    table.counted = gateway.metrics.ended
    gateway.metrics.watch_connections(lambda: len(table))
    try:
        await runner.setup()
        server = runner.server
        assert server is not None  # set by setup
        site = GatewaySite(runner, settings.host, settings.port, table, lambda: Connection(server, table, settings))
        try:
            await site.start()
        except OSError as error:
            said = error.strerror or error
            raise CannotListen(f"gateway.host {settings.host}, gateway.port {settings.port}: {said}") from error
        yield site.name
    finally:
        await runner.cleanup()


@asynccontextmanager
async def kafka_publisher(config: GatewayConfig) -> AsyncIterator[KafkaPublisher]:
    """Give a publisher that reaches Kafka in the background: the gateway is up before the broker is."""
    publisher = KafkaPublisher(config.kafka.topic_prefix, config.kafka.partitions, config.gateway.max_in_flight_bytes)
    connection = _Connection(config, publisher)
    tasks = BackgroundTasks()
    publisher.watched = tasks.reasons
    tasks.start("kafka", connection.keep)
    try:
        yield publisher
    finally:
        await tasks.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(publisher.drain(), _SHUTDOWN_S)
        await connection.close()


class _Connection:
    """Reaches the broker, checks the topic, and looks now and then whether the broker is still there."""

    def __init__(self, config: GatewayConfig, publisher: KafkaPublisher) -> None:
        self._config = config
        self._publisher = publisher
        self._producer: AIOKafkaProducer | None = None

    async def keep(self) -> None:
        pause_s = _RETRY_S
        while self._producer is None:
            try:
                self._producer = await self._open()
            except (KafkaError, OSError) as error:
                self._say(f"Kafka at {', '.join(self._config.kafka.brokers)} cannot be reached: {said_by(error)}")
                await asyncio.sleep(pause_s)
                pause_s = min(_MOST_RETRY_S, 2 * pause_s)
        producer = self._producer
        while (fault := await self._topic_fault(producer)) is not None:
            self._say(fault)
            await asyncio.sleep(_RETRY_S)
        self._publisher.connected(KafkaLogWriter(producer))
        _log.info("Kafka is reached")
        while True:
            await asyncio.sleep(_PROBE_S)
            self._publisher.noted(None if await _answers(producer) else "Kafka does not answer")

    async def close(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._producer.stop(), _SHUTDOWN_S)

    async def _open(self) -> AIOKafkaProducer:
        # Not idempotent: the embedded broker has no producer ids, and repetitions are ignored by the ledger. One batch
        # a partition is under way at a time, so retries keep the order.
        return await started_producer(
            kafka_settings(self._config),
            linger_ms=5,
            batch_bytes=_BATCH_BYTES,
            request_bytes=_REQUEST_BYTES,
            timeout_ms=30_000,
        )

    async def _topic_fault(self, producer: Any) -> str | None:
        name, wanted = self._config.kafka.topic_prefix + RAW, self._config.kafka.partitions
        try:
            found = len(await producer.partitions_for(name))
        except (KafkaError, OSError) as error:
            return f"topic {name} is not there ({said_by(error)}): run `floorwatch topics create`"
        if found != wanted:
            return f"topic {name} has {found} partitions, kafka.partitions is {wanted}: tasks would change partition"
        return None

    def _say(self, fault: str) -> None:
        if self._publisher.why_not(fault):
            _log.warning("%s", fault)


async def _answers(producer: Any) -> bool:
    try:
        return bool(await producer.client.force_metadata_update())
    except (KafkaError, OSError):
        return False
