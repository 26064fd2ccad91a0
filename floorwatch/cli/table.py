"""``floorwatch table``: one of the three tables, from the read model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.common import VarOption
from floorwatch.cli.table_text import print_plain, rich_table
from floorwatch.output.terminal import say, say_lines, shows_live, wide_console

if TYPE_CHECKING:
    from config.tables import TableSettings

Row = dict[str, Any]


class TableName(str, Enum):
    """The three tables."""

    accuracy = "accuracy"
    throughput = "throughput"
    sla = "sla"


def table(
    name: Annotated[TableName, typer.Argument(help="accuracy, throughput or sla.")],
    by: Annotated[str, typer.Option(help="Dimensions of the rows: queue, vendor, vendor,queue … or all.")] = "all",
    window: Annotated[str, typer.Option(help="5m, 15m, 1h, 8h, 24h, 7d or day.")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    watch: Annotated[float, typer.Option(help="Show again every so many seconds; 0 shows once.")] = 0.0,
    max_behind: Annotated[
        str | None,
        typer.Option("--max-behind", help="Leave with code 3 when rows are further behind the clock, such as 5m."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As known at this moment, from a replay of the log.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="With --as-of: what the same ranges read now.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="With --as-of: answer from a log cut off too late.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="YAML configuration.")] = None,
    var: VarOption = None,
) -> None:
    """Show a table as of the watermark, and how far that is behind the clock."""
    import asyncio

    from floorwatch.cli.age import seconds_of
    from floorwatch.cli.common import exit_on_config_error, exit_on_redis_error, load_for_reader

    with exit_on_config_error():
        settings = load_for_reader(config, var)
    audited = settings.tables.audit_scopes if name is TableName.accuracy and as_of is None else []
    names = _dimensions(by, [*settings.tables.scopes, *audited])
    if window not in settings.tables.windows:
        say(f"--window {window}: not kept; one of {', '.join(settings.tables.windows)}", err=True)
        raise typer.Exit(2)
    form = "json" if as_json else "csv" if as_csv else "rich"
    if as_of is not None:
        from floorwatch.cli.table_as_of import show_as_of

        show_as_of(settings, name.value, names, window, form, as_of, diff=diff, partial=partial)
        return
    max_behind_s = seconds_of(max_behind)
    if diff or partial:
        say("--diff and --partial belong to --as-of", err=True)
        raise typer.Exit(2)
    with exit_on_redis_error(settings.redis.url):
        asyncio.run(_show(settings, name.value, names, window, form, watch, max_behind_s))


def _dimensions(by: str, scopes: list[tuple[str, ...]]) -> frozenset[str]:
    names = frozenset() if by in ("all", "") else frozenset(part.strip() for part in by.replace("×", ",").split(","))
    if names not in {frozenset(kind) for kind in scopes}:
        kinds = ", ".join(",".join(kind) or "all" for kind in scopes)
        say(f"--by {by}: no such scope; one of {kinds}", err=True)
        raise typer.Exit(2)
    return names


async def _show(
    settings: Any, name: str, names: frozenset[str], window: str, form: str, watch_s: float, max_behind_s: float | None
) -> None:
    import asyncio

    from rich.live import Live

    from floorwatch.cli.age import age_of, exit_if_older
    from streams.adapters.connections import redis_client
    from streams.adapters.readmodel import ReadModel

    redis = redis_client(settings)
    model = ReadModel(redis, settings.redis.prefix)
    console = wide_console()
    try:
        if form == "rich" and watch_s > 0 and shows_live():
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    as_of_ms, rows = await model.watermark_ms(), await select(model, name, names, window)
                    live.update(rich_table(name, rows, window, age_of(as_of_ms, rows)), refresh=True)
                    await asyncio.sleep(watch_s)
        for turn in itertools.count():
            as_of_ms, rows = await model.watermark_ms(), await select(model, name, names, window)
            age = age_of(as_of_ms, rows)
            if form == "rich":
                console.print(rich_table(name, rows, window, age))
            else:
                print_plain([age.told(row) for row in rows], form, heading=turn == 0)
            if turn == 0:
                say_lines(zone_notes(rows, window, settings.tables), err=True)
            exit_if_older(age, max_behind_s)
            if watch_s <= 0:
                return
            await asyncio.sleep(watch_s)
    finally:
        await redis.aclose()


async def select(model: Any, name: str, names: frozenset[str], window: str) -> list[Row]:
    """Return the rows of one kind of scope, the busiest first."""
    rows = [row for row in (await model.rows(name, window)).values() if frozenset(row["scope"]) == names]
    size = "due" if name == "sla" else "labels"
    return sorted(rows, key=lambda row: (-(row[size] or row.get("audited") or 0), row["scope_key"]))


def zone_notes(rows: Sequence[Row], window: str, tables: TableSettings) -> list[str]:
    """Return what to know of calendar windows of sites without a time zone: their day is another site's."""
    sites = sorted({row["scope"]["site"] for row in rows if row["scope"].get("site")} - set(tables.zones))
    if window not in ("day", "shift") or not sites:
        return []
    from config.sites import FIX, zoneless_words

    return [f"{zoneless_words(sites, tables, [window])}. Fix: {FIX}"]
