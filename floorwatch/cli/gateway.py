"""``floorwatch gateway``: take events over HTTP, natively and as webhooks of labelling tools."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig
    from gateway.publisher import Publisher

WRITER = "gateway"


def gateway(
    config: Annotated[Path | None, typer.Option(help="YAML configuration; the environment overrides it.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind instead of gateway.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port instead of gateway.port; 0 a free one.")] = None,
    journal: Annotated[
        Path | None, typer.Option(envvar="FLOORWATCH_JOURNAL", help="Accept into this journal instead of Kafka.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve POST /v1/events and POST /v1/hooks/label-studio until SIGTERM."""
    import asyncio
    import os

    from config.load import load
    from floorwatch.cli.common import exit_on_config_error, set_up_logging
    from gateway.app import OpenToStrangers

    set_up_logging(log_level)
    with exit_on_config_error():
        settings = load(config, os.environ)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if given:
        settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update=given)})
    try:
        asyncio.run(_serve(settings, journal))
    except OpenToStrangers as error:
        typer.echo(f"floorwatch gateway: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        where = f"{settings.gateway.host}:{settings.gateway.port}"
        typer.echo(f"floorwatch gateway: cannot serve on {where}: {error}", err=True)
        raise typer.Exit(1) from None


async def _serve(settings: FloorwatchConfig, journal: Path | None) -> None:
    import asyncio
    import logging
    import signal
    import time

    from aiohttp import web

    from gateway.app import build_app
    from gateway.context import Limits
    from gateway.memory import RedisMemory
    from streams.adapters.connections import redis_client

    own = settings.gateway
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    redis = redis_client(settings)
    limits = Limits(settings.engine.max_event_bytes, round(settings.engine.future_tolerance_s * 1000))
    async with _publisher(settings, journal) as publisher:
        memory = RedisMemory(redis, settings.redis.prefix, own.memory_ttl_s)
        app = build_app(own, publisher, memory, lambda: int(time.time() * 1000), limits)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await runner.setup()
        try:
            await web.TCPSite(runner, own.host, own.port).start()
            address, port = runner.addresses[0][:2]
            logging.getLogger("floorwatch.gateway").info("gateway at http://%s:%d", address, port)
            await stopping.wait()
        finally:
            await runner.cleanup()
            await redis.aclose()


@asynccontextmanager
async def _publisher(settings: FloorwatchConfig, journal: Path | None) -> AsyncIterator[Publisher]:
    """Yield where events go: the embedded stack's journal, or Kafka, reached in the background."""
    from gateway.publisher import JournalPublisher

    if journal is not None:
        from floorwatch.embedded.journal import JournalError, JournalWriter

        async with JournalWriter(journal, WRITER) as writer:
            yield JournalPublisher(writer, JournalError)
        return
    async with _kafka(settings) as publisher:
        yield publisher


@asynccontextmanager
async def _kafka(settings: FloorwatchConfig) -> AsyncIterator[Publisher]:
    import asyncio
    from contextlib import suppress

    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    from gateway.publisher import KafkaPublisher
    from streams.adapters.connections import kafka_settings
    from streams.engine.log import KafkaLogWriter

    kafka = settings.kafka
    publisher = KafkaPublisher(kafka.topic_prefix, kafka.partitions, settings.gateway.max_in_flight_bytes)
    producer = AIOKafkaProducer(
        acks="all", max_batch_size=262_144, max_request_size=20 * 1_048_576, **kafka_settings(settings)
    )

    async def connect() -> None:
        while True:
            with suppress(KafkaError, OSError):
                await producer.start()
                publisher.connected(KafkaLogWriter(producer))
                return
            await asyncio.sleep(1.0)

    connecting = asyncio.create_task(connect())
    try:
        yield publisher
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await publisher.drain()
        await producer.stop()


if __name__ == "__main__":
    sys.exit(typer.run(gateway))
