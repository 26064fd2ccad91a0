"""``floorwatch incidents``: what is going on, from the read model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

_LIVE = ("open", "acknowledged", "escalated")
_STYLES = {"page": "bold red", "warn": "yellow", "info": "cyan"}
_COLUMNS = ("state", "severity", "what and where", "opened", "evidence", "top contributor", "incident")


def incidents(
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Also the resolved ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    redis_url: Annotated[str | None, typer.Option("--redis", help="Read model; else as configured.")] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Prefix of the keys in Redis.")] = "floorwatch:",
    config: Annotated[Path | None, typer.Option(help="YAML configuration.")] = None,
    var: Annotated[Path, typer.Option(help="Directory of a running `floorwatch up`.")] = Path("var"),
) -> None:
    """List open incidents, the most urgent first."""
    options: dict[str, Any] = {"url": redis_url}
    if redis_url is None:
        from config.connect import redis_options
        from floorwatch.cli.common import exit_on_config_error, load_for_reader

        with exit_on_config_error():
            settings = load_for_reader(config, var)
        options, prefix = redis_options(settings.redis), settings.redis.prefix
    found = select(read_incidents(options, prefix), show_all=show_all)
    if as_json:
        for record in found:
            typer.echo(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        return
    from rich.console import Console

    console = Console(width=None if "COLUMNS" in os.environ else _width())
    if not found:
        console.print("No incidents." if show_all else "No open incidents.  (--all shows the resolved ones)")
        return
    console.print(table(found))


def select(records: list[dict[str, Any]], *, show_all: bool) -> list[dict[str, Any]]:
    """Live incidents (or all that ever opened): live before resolved, pages first, then the newest."""
    shown = [record for record in records if record["state"] in _LIVE or (show_all and record["state"] == "resolved")]
    urgency = {"page": 0, "warn": 1, "info": 2}
    shown.sort(key=lambda record: (record["opened_at"] or "", record["key"]), reverse=True)
    shown.sort(key=lambda record: (record["state"] == "resolved", urgency.get(record["severity"], 3)))
    return shown


def table(records: list[dict[str, Any]]) -> Table:
    """A rich table of incident records. Values are text, never markup: ids are other people's input."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in _COLUMNS:
        grid.add_column(column, overflow="fold")
    for record in records:
        top = record.get("contributors") or []
        part = f"{top[0]['dimension']} {top[0]['value']} {top[0]['effect_pp']:+.1f} pp" if top else ""
        style = "dim" if record["state"] == "resolved" else _STYLES.get(record["severity"], "")
        cells = (
            state_words(record),
            record["severity"],
            record["title"],
            (record["opened_at"] or "")[:16],
            record["evidence"],
        )
        grid.add_row(*(Text(_printable(str(cell)), style=style) for cell in (*cells, part, record["key"][:12])))
    return grid


def state_words(record: dict[str, Any]) -> str:
    """Return where an incident stands and by whom: ``acknowledged by mei``, ``escalated, tier 2, silenced until …``."""
    from alerts.words import instant

    machine, state = record.get("machine", {}), str(record["state"])
    words = [state]
    if state == "acknowledged":
        words = [f"{state} by {machine.get('acknowledged_by')}"]
    if machine.get("tier"):
        words.append(f"tier {machine['tier']}")
    if machine.get("silenced_until_ms") is not None:
        words.append(f"silenced until {instant(machine['silenced_until_ms'])}")
    return ", ".join(words)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _width() -> int:
    import shutil

    return max(100, shutil.get_terminal_size((120, 24)).columns)


def read_incidents(options: dict[str, Any], prefix: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the incidents of the read model, or the one with a key.

    Args:
        options: Arguments of ``Redis.from_url``.
        prefix: Prefix of the keys in Redis.
        key: Key of an incident; None takes all.

    Raises:
        typer.Exit: Redis does not answer.
    """
    import redis

    name = f"{prefix}incidents"
    try:
        client = redis.Redis.from_url(**options, socket_connect_timeout=5, socket_timeout=10)
        try:
            values: list[Any] = list(client.hvals(name)) if key is None else [client.hget(name, key)]
        finally:
            client.close()
    except ValueError as error:
        typer.echo("floorwatch incidents: the Redis address is no redis:// URL; check --redis", err=True)
        raise typer.Exit(2) from error
    except redis.RedisError as error:
        # The address may hold a password, so only its fault is told.
        typer.echo(f"floorwatch incidents: Redis does not answer ({type(error).__name__}).", err=True)
        typer.echo("  Is `floorwatch up` running? Else give --redis or FLOORWATCH_REDIS_URL.", err=True)
        raise typer.Exit(1) from error
    return [json.loads(value) for value in values if value is not None]
