"""``floorwatch web``: the pages that links of messages open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import LogLevelOption, config_option
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig

_STOP_S = 30.0


def web(
    config: Annotated[Path | None, config_option("YAML file; the environment overrides it.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of web.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of web.port; 0 a free one.")] = None,
    log_level: LogLevelOption = "info",
) -> None:
    """Serve the pages behind the links of messages (acknowledge, silence, useful or not) until SIGTERM."""
    import asyncio
    import os

    from floorwatch.cli.common import exit_on_config_error
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
        asyncio.run(_serve(settings, watchdog.begin))
    except OSError as error:
        say(f"floorwatch web: {settings.web.host} port {settings.web.port} cannot be listened on: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        watchdog.disarm()


async def _serve(settings: FloorwatchConfig, stopping_begins: object) -> None:
    from floorwatch.embedded.launch import stop_requested
    from floorwatch.settings.policies import routing_policy
    from floorwatch.web.serve import serving

    with stop_requested() as stopping:
        async with serving(settings, routing_policy(settings)) as url:
            reached = settings.web.url or "web.url is not set, so messages carry no links"
            say(f"web pages at {url} ({reached})")
            await stopping.wait()
            if callable(stopping_begins):
                stopping_begins()
