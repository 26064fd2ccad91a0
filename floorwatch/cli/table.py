"""``floorwatch table``: one of the three tables, from the read model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli.options import ConfigOption, CsvOption, JsonLinesOption, VarOption, as_of_option, kept_window
from floorwatch.cli.table_text import print_plain, rich_table
from floorwatch.output.terminal import say, say_lines, shows_live, wide_console
from streams.core.window_names import CALENDAR_WINDOWS

if TYPE_CHECKING:
    from config.tables import TableSettings
    from floorwatch.cli.age import Age
    from floorwatch.sdk.stacks import Found

Row = dict[str, Any]
_POLL_S = 0.5
STILL_COUNTING = (
    "Events are still being counted, and --wait waits for the first row only: ask again for all of what was sent just now. "
    "Above the table stands `complete` once no event is newer."
)


class TableName(str, Enum):
    """The three tables."""

    accuracy = "accuracy"
    throughput = "throughput"
    sla = "sla"


def table(
    name: Annotated[TableName, typer.Argument(help="accuracy, throughput or sla.")],
    by: Annotated[str, typer.Option(help="Dimensions of the rows: queue, vendor, vendor,queue … or all.")] = "all",
    window: Annotated[str, typer.Option(help="5m, 15m, 1h, 8h, 24h, 7d or day.")] = "1h",
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
    watch: Annotated[
        float, typer.Option(min=0, max=86_400, help="Show again every so many seconds; 0 shows once.")
    ] = 0.0,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to wait for a first row; without one the code is 1.")
    ] = 0.0,
    max_behind: Annotated[
        str | None,
        typer.Option("--max-behind", help="Leave with code 3 when rows are further behind the clock, such as 5m."),
    ] = None,
    as_of: Annotated[str | None, as_of_option("As known at this moment, from a replay of the log.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="With --as-of: what the same ranges read now.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="With --as-of: answer from a log cut off too late.")
    ] = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show a table as of the watermark, and how far that is behind the clock."""
    import asyncio

    from floorwatch.cli.age import seconds_of
    from floorwatch.cli.common import exit_on_config_error, exit_on_redis_error, load_target

    with exit_on_config_error():
        settings, stack = load_target(config, var, process="reader")
    audited = settings.tables.audit_scopes if name is TableName.accuracy and as_of is None else []
    names = _dimensions(by, [*settings.tables.scopes, *audited])
    window = kept_window(window, settings.tables.windows)
    form = "json" if as_json else "csv" if as_csv else "rich"
    if as_of is not None:
        from floorwatch.cli.table_as_of import show_as_of

        show_as_of(settings, name.value, names, window, form, as_of, diff=diff, partial=partial)
        return
    max_behind_s = seconds_of(max_behind)
    if diff or partial:
        say("--diff and --partial belong to --as-of", err=True)
        raise typer.Exit(2)
    asked = _Asked(name.value, names, window, by)
    with exit_on_redis_error(settings.redis.url):
        asyncio.run(_show(settings, stack, asked, form, watch, wait, max_behind_s))


def _dimensions(by: str, scopes: list[tuple[str, ...]]) -> frozenset[str]:
    names = frozenset() if by in ("all", "") else frozenset(part.strip() for part in by.replace("×", ",").split(","))
    if names not in {frozenset(kind) for kind in scopes}:
        kinds = [",".join(kind) or "all" for kind in scopes]
        say(f"--by {by}: no such scope; {choices(by.replace('×', ','), kinds)}", err=True)
        raise typer.Exit(2)
    return names


@dataclass(frozen=True)
class _Asked:
    """Which table is asked for; ``by`` as it was typed."""

    name: str
    names: frozenset[str]
    window: str
    by: str


async def _show(
    settings: Any,
    stack: Found | None,
    asked: _Asked,
    form: str,
    watch_s: float,
    wait_s: float,
    max_behind_s: float | None,
) -> None:
    import asyncio

    from rich.live import Live

    from floorwatch.cli.age import exit_if_older
    from streams.adapters.clients import redis_client
    from streams.adapters.readmodel import ReadModel

    redis = redis_client(settings)
    model = ReadModel(redis, settings.redis.prefix)
    console = wide_console()
    try:
        age, rows = await _first_rows(model, asked, wait_s)
        if form == "rich" and watch_s > 0 and shows_live():
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(rich_table(asked.name, rows, asked.window, age), refresh=True)
                    await asyncio.sleep(watch_s)
                    age, rows = await _read(model, asked)
        for turn in itertools.count():
            if form == "rich":
                console.print(rich_table(asked.name, rows, asked.window, age))
            else:
                print_plain([age.told(row) for row in rows], form, heading=turn == 0)
            if turn == 0:
                say_lines(zone_notes(rows, asked.window, settings.tables), err=True)
                say_lines([] if rows else await _why_empty(model, asked, age, stack), err=True)
                say_lines([STILL_COUNTING] if wait_s and rows and not age.complete else [], err=True)
            exit_if_older(age, max_behind_s)
            if watch_s <= 0:
                break
            await asyncio.sleep(watch_s)
            age, rows = await _read(model, asked)
    finally:
        await redis.aclose()
    if wait_s and not rows:
        raise typer.Exit(1)


async def _read(model: Any, asked: _Asked) -> tuple[Age, list[Row]]:
    from floorwatch.cli.age import age_of

    as_of_ms = await model.watermark_ms()
    complete = await model.idle(as_of_ms)
    rows = await select(model, asked.name, asked.names, asked.window)
    return age_of(as_of_ms, rows, complete=complete), rows


async def _first_rows(model: Any, asked: _Asked, wait_s: float) -> tuple[Age, list[Row]]:
    """Return the rows, once there are some or the wait is over."""
    import asyncio
    import time

    until_s = time.monotonic() + wait_s
    while True:
        age, rows = await _read(model, asked)
        if rows or time.monotonic() >= until_s:
            return age, rows
        await asyncio.sleep(_POLL_S)


async def _why_empty(model: Any, asked: _Asked, age: Age, stack: Found | None) -> list[str]:
    from floorwatch.cli.empty import reason, received_by

    kinds = {tuple(row["scope"]) for row in (await model.rows(asked.name, asked.window)).values()}
    others = {",".join(kind) or "all" for kind in kinds}
    received = await received_by(stack) if stack is not None and age.as_of_ms is None else None
    return reason(age, asked.window, asked.by, others, stack, received)


async def select(model: Any, name: str, names: frozenset[str], window: str) -> list[Row]:
    """Return the rows of one kind of scope, the busiest first."""
    rows = [row for row in (await model.rows(name, window)).values() if frozenset(row["scope"]) == names]
    size = "due" if name == "sla" else "labels"
    return sorted(rows, key=lambda row: (-(row[size] or row.get("audited") or 0), row["scope_key"]))


def zone_notes(rows: Sequence[Row], window: str, tables: TableSettings) -> list[str]:
    """Return notes on calendar windows of sites without a time zone, whose day is that of another zone."""
    sites = sorted({row["scope"]["site"] for row in rows if row["scope"].get("site")} - set(tables.zones))
    if window not in CALENDAR_WINDOWS or not sites:
        return []
    from floorwatch.settings.sites import FIX, zoneless_words

    return [f"{zoneless_words(sites, tables, [window])}. Fix: {FIX}"]
