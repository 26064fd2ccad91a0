"""What the demonstration shows: the three tables by vendor, incidents as they open, and how far the floor is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from alerts.codec import incident_of
from alerts.message.compose import compose_members
from alerts.message.model import Reader
from alerts.message.titles import Member
from floorwatch.cli.table_text import rich_table
from floorwatch.output.terminal import DataConsole
from streams.adapters.readmodel import table_row
from streams.core.formatting import plural, printable
from streams.core.time_text import moment

if TYPE_CHECKING:
    from redis.asyncio import Redis

Row = dict[str, Any]
LIVE_STATES = ("open", "acknowledged", "escalated")
TABLES = ("accuracy", "throughput", "sla")
_URGENCY = {"page": 0, "warn": 1, "info": 2}
_STYLES = {"page": "bold red", "warn": "yellow", "info": "cyan"}


class DemoModel:
    """Reads what the demonstration shows from the read model."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Use a Redis and a key prefix."""
        self._redis, self._prefix = redis, prefix

    async def rows(self, table: str, by: str, window: str, limit: int) -> list[Row]:
        """Return the busiest rows of a table by one dimension."""
        found = await self._redis.hvals(f"{self._prefix}rows:{table}:{window}")
        rows = [row for row in map(table_row, found) if list(row["scope"]) == [by]]
        size = "due" if table == "sla" else "labels"
        rows.sort(key=lambda row: (-row[size], row["scope_key"]))
        return rows[:limit]

    async def incidents(self) -> list[Row]:
        """Return the incidents that ever opened, the most urgent first."""
        found = [orjson.loads(value) for value in await self._redis.hvals(f"{self._prefix}incidents")]
        shown = [one for one in found if one["state"] in LIVE_STATES or one["state"] == "resolved"]
        return sorted(shown, key=lambda one: (_URGENCY.get(one["severity"], 3), one["opened_at"] or "", one["key"]))

    async def watermark_ms(self) -> int | None:
        """Return how far the tables are, Unix milliseconds; None before the first row."""
        found = await self._redis.get(f"{self._prefix}watermark")
        return None if found is None else int(orjson.loads(found)["watermark_ms"])


async def tables(model: DemoModel, by: Sequence[str], window: str, limit: int) -> list[RenderableType]:
    """Return the three tables by each dimension, for a terminal."""
    kinds = [(name, dimension) for dimension in by for name in TABLES]
    found = await asyncio.gather(*(model.rows(name, dimension, window, limit) for name, dimension in kinds))
    return [rich_table(name, rows, window) for (name, _), rows in zip(kinds, found, strict=True)]


def incident_text(incident: Row) -> Text:
    """Return an incident as people are told of it, with its evidence and tasks.

    Values are other people's input: text, never markup, and without control characters.
    """
    step = "open" if incident["state"] in LIVE_STATES else "resolved"
    message = compose_members([Member(incident_of(incident), step)], Reader())
    text = Text(f"[{incident['severity']}] ", style=_STYLES.get(incident["severity"], ""))
    text.append(printable(message.title), style="bold")
    for line in message.lines[1:]:  # the first says again how urgent and where
        text.append(f"\n  {printable(line)}")
    for line in (
        message.details[0],
        *(["Example tasks: " + ", ".join(incident["examples"][:3])] if incident["examples"] else []),
    ):
        text.append(f"\n  {printable(line)}", style="dim")
    return text


def screen(shown: Sequence[RenderableType], incidents: Sequence[Row], status: str) -> Group:
    """Return one screen: status, tables, the most urgent incidents."""
    live = [one for one in incidents if one["state"] in LIVE_STATES]
    parts: list[RenderableType] = [Text(status, style="bold"), *shown]
    if live:
        body = Text("\n").join(incident_text(one) for one in live[:3])
        parts.append(Panel(body, title=f"{len(live)} open incidents", title_align="left", border_style="red"))
    return Group(*parts)


def clock(time_ms: int | None) -> str:
    """Return a floor's time as ``2026-11-23 14:05`` UTC."""
    return "--" if time_ms is None else f"{moment(time_ms).isoformat(' ', 'minutes')[:16]}"


def print_end(console: DataConsole, shown: Sequence[RenderableType], incidents: Sequence[Row], limit: int = 8) -> None:
    """Print the final tables and incidents."""
    for one in shown:
        console.print(one)
    console.print(
        f"\n{plural(len(incidents), 'incident')}" + (f", the {limit} most urgent:" if len(incidents) > limit else "")
    )
    for incident in incidents[:limit]:
        console.print(incident_text(incident))
