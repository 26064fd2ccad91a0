"""``floorwatch web``: the pages that links of messages open."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import LogLevelOption, config_option
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alerts.incident import Act
    from floorwatch.settings.schema import FloorwatchConfig
    from floorwatch.web.link_actions import Append

WRITER = "web"
"""Of the embedded journal: what people do by links is known again after a restart, when the broker has forgotten it."""

_STOP_S = 30.0


def web(
    config: Annotated[Path | None, config_option("YAML file; the environment overrides it.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of web.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of web.port; 0 a free one.")] = None,
    journal: Annotated[
        Path | None, typer.Option(envvar="FLOORWATCH_JOURNAL", help="Accept into this journal instead of Kafka.")
    ] = None,
    log_level: LogLevelOption = "info",
) -> None:
    """Serve the pages behind the links of messages (acknowledge, silence, useful or not) until SIGTERM."""
    import asyncio
    import os

    from floorwatch.cli.common import exit_on_config_error
    from floorwatch.embedded.journal import JournalError
    from floorwatch.output.logs import set_up_logging
    from floorwatch.settings.load import load
    from telemetry.shutdown import ShutdownWatchdog

    set_up_logging(log_level)
    given = {"FLOORWATCH_WEB__HOST": host, "FLOORWATCH_WEB__PORT": None if port is None else str(port)}
    env = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    with exit_on_config_error():
        settings = load(config, env, channels="tolerated", process="web")
    for said in settings.renamed:
        say(f"floorwatch web: configuration: {said}", err=True)
    if not settings.web.keys and not settings.web.slack_secrets:
        say(
            "floorwatch web: there is no key to know links by: openssl rand -hex 32 > link.keys, and set web.link_keys_file here "
            "and for the workers (docs/actions.md)",
            err=True,
        )
        raise typer.Exit(2)
    watchdog = ShutdownWatchdog("the web pages", _STOP_S)
    try:
        asyncio.run(_serve(settings, journal, watchdog.begin))
    except JournalError as error:
        say(f"floorwatch web: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        say(f"floorwatch web: {settings.web.host} port {settings.web.port} cannot be listened on: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        watchdog.disarm()


async def _serve(settings: FloorwatchConfig, journal: Path | None, stopping_begins: object) -> None:
    from floorwatch.embedded.launch import stop_requested
    from floorwatch.settings.policies import routing_policy
    from floorwatch.web.serve import serving

    with stop_requested() as stopping:
        async with _accepting(journal) as append, serving(settings, routing_policy(settings), append=append) as url:
            reached = settings.web.url or "web.url is not set, so messages carry no links"
            say(f"web pages at {url} ({reached})")
            await stopping.wait()
            if callable(stopping_begins):
                stopping_begins()


@asynccontextmanager
async def _accepting(folder: Path | None) -> AsyncIterator[Append | None]:
    """Give what takes actions into an embedded stack's journal; None where there is none, and the broker takes them."""
    if folder is None:
        yield None
        return
    from alerts.append import ALERTS_KEY
    from alerts.codec import encode_input
    from floorwatch.embedded.journal import JournalError, JournalWriter
    from floorwatch.web.link_actions import NotWritten
    from streams.models.topics import SIGNALS

    async with JournalWriter(folder, WRITER) as writer:

        async def append(act: Act) -> str:
            try:
                await writer.publish([(ALERTS_KEY, encode_input(act))], SIGNALS)
            except JournalError as error:
                raise NotWritten(str(error)) from None
            return f"a record of the journal {folder}"

        yield append
