"""``floorwatch gateway``: take events over HTTP, natively and as webhooks of labelling tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import LogLevelOption, config_option
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig
    from telemetry.shutdown import ShutdownWatchdog

WRITER = "gateway"

_STOP_S = 45.0
"""Longest time a stop may take: requests under way, the events that wait for Kafka and its client have ten seconds each."""


def gateway(
    config: Annotated[
        Path | None,
        config_option("YAML file; the environment overrides it."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of gateway.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of gateway.port; 0 a free one.")] = None,
    brokers: Annotated[str | None, typer.Option(help="host:port,… instead of kafka.brokers.")] = None,
    redis: Annotated[str | None, typer.Option(help="redis://… instead of redis.url.")] = None,
    journal: Annotated[
        Path | None, typer.Option(envvar="FLOORWATCH_JOURNAL", help="Accept into this journal instead of Kafka.")
    ] = None,
    log_level: LogLevelOption = "info",
) -> None:
    """Serve POST /v1/events and POST /v1/hooks/TOOL until SIGTERM."""
    import asyncio
    import os

    from floorwatch.cli.common import exit_on_config_error
    from floorwatch.embedded.journal import JournalError
    from floorwatch.output.logs import set_up_logging
    from floorwatch.sdk.spool import SpoolBusy
    from floorwatch.settings.load import load
    from gateway.authenticator import SourceFault, UnauthenticatedGateway
    from streams.models.formats import NewerFormat
    from telemetry.shutdown import ShutdownWatchdog

    set_up_logging(log_level)
    given = {
        "FLOORWATCH_GATEWAY__HOST": host,
        "FLOORWATCH_GATEWAY__PORT": None if port is None else str(port),
        "FLOORWATCH_KAFKA__BROKERS": brokers,
        "FLOORWATCH_REDIS__URL": redis,
    }
    env = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    with exit_on_config_error():
        settings = load(config, env, channels="tolerated", process="gateway")
    for said in settings.renamed:
        say(f"floorwatch gateway: configuration: {said}", err=True)
    watchdog = ShutdownWatchdog("the gateway", _STOP_S)
    try:
        asyncio.run(_serve(settings, journal, watchdog))
    except (UnauthenticatedGateway, SourceFault) as error:
        say(f"floorwatch gateway: {error}", err=True)
        raise typer.Exit(2) from None
    except (SpoolBusy, NewerFormat, JournalError, OSError) as error:
        say(f"floorwatch gateway: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        watchdog.disarm()


async def _serve(settings: FloorwatchConfig, journal: Path | None, watchdog: ShutdownWatchdog) -> None:
    import asyncio

    from floorwatch.embedded.journal import JournalError, JournalWriter
    from floorwatch.embedded.launch import stop_requested
    from gateway.publisher import JournalPublisher
    from gateway.serve import kafka_publisher, run_gateway

    async def watch(stopping: asyncio.Event) -> None:
        await stopping.wait()
        watchdog.begin()

    with stop_requested() as stopping:
        watching = asyncio.create_task(watch(stopping))
        try:
            if journal is not None:
                async with JournalWriter(journal, WRITER) as writer:
                    await run_gateway(settings, JournalPublisher(writer, JournalError), stopping, _started)
            else:
                async with kafka_publisher(settings) as publisher:
                    await run_gateway(settings, publisher, stopping, _started)
        finally:
            watchdog.begin()
            watching.cancel()


def _started(url: str) -> None:
    from gateway.sources.registry import TOOLS

    paths = ("/v1/events", *(tool.path for tool in TOOLS.values()))
    say(f"gateway at {url} ({', '.join(f'POST {path}' for path in paths)})")


if __name__ == "__main__":
    sys.exit(typer.run(gateway))  # type: ignore[func-returns-value]
