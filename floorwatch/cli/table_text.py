"""Rows of the three tables as text: for a terminal, as JSON lines, as comma-separated values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from floorwatch.output.csv_file import write_csv
from floorwatch.output.terminal import MISSING, DataTable, say_json_text, scope_text
from streams.core.formatting import duration_number
from streams.models.measures import TABLES
from streams.models.measures.records import Column, Measure
from streams.models.measures.registry import Table

if TYPE_CHECKING:
    from floorwatch.cli.age import Age

Row = dict[str, Any]


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f}%"


def _duration(value_ms: float | None) -> str:
    return MISSING if value_ms is None else duration_number(value_ms / 1000)


def _count(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"


def _interval(row: Row) -> str:
    low, high = row.get("accuracy_low_ratio"), row.get("accuracy_high_ratio")
    if low is not None and high is not None:
        return f"{_percent(low)} – {_percent(high)}"
    return "no random audits" if row["audited"] else MISSING


def _random_audits(row: Row) -> str:
    """Return how many audited labels the estimate rests on, and how many of them are only assumed to be drawn at random."""
    drawn, assumed = int(row["audited"]) - int(row.get("targeted") or 0), int(row.get("assumed") or 0)
    if not assumed:
        return _count(drawn)
    return f"{drawn:,} assumed" if assumed == drawn else f"{drawn:,} ({assumed:,} assumed)"


_OWN: dict[str, Callable[[Row], str]] = {"95% interval": _interval, "random audits": _random_audits}
"""Columns, by heading, that show more than one field."""

_UNITS: dict[str, Callable[[float | None], str]] = {"ratio": _percent, "ms": _duration}


def _field(measure: Measure) -> Callable[[Row], str]:
    """Return what shows the field of a measure in its unit."""
    shown, name = _UNITS.get(measure.unit, _count), measure.name
    return lambda row: shown(row.get(name))  # rows of an earlier release may lack it


def _columns(table: Table) -> Iterator[tuple[Column, Callable[[Row], str]]]:
    for measure in (*table.measures.values(), *table.composed):
        column = measure.column
        if column is not None:
            yield column, _OWN.get(column.heading) or _field(measure)


_PLACED = {name: sorted(_columns(table), key=lambda one: one[0].place) for name, table in TABLES.items()}

COLUMNS = {name: tuple((column.heading, read) for column, read in placed) for name, placed in _PLACED.items()}
"""Per table the headings of its columns and what they show of a row."""

SPARE = {
    name: tuple(column.heading for column, _ in sorted(placed, key=lambda one: one[0].spare) if column.spare)
    for name, placed in _PLACED.items()
}
"""Columns that a narrow terminal leaves out, in this order."""


def rich_table(name: str, rows: list[Row], window: str, age: Age | None = None) -> DataTable:
    """Return a table for a terminal.

    Args:
        name: ``accuracy``, ``throughput`` or ``sla``.
        rows: Its rows.
        window: Their window.
        age: As of when they are; None for rows of a past time, which has no age.
    """
    from floorwatch.cli.age import mark_of

    newest = max((row["watermark"] for row in rows), default=None)
    what = f"{name} · last {window}"
    past = f"{what} · as of {newest}" if newest else f"{what} · no data yet"
    shown = DataTable(past if age is None else age.title(what))
    shown.add_names("scope")
    shown.add_numbers(*(heading for heading, _ in COLUMNS[name]), spare=SPARE[name])
    for row in rows:
        shown.add_row(scope_text(row["scope"]) + mark_of(row), *(read(row) for _, read in COLUMNS[name]))
    return shown


def print_plain(rows: list[Row], form: str, *, heading: bool = True) -> None:
    """Print rows as JSON lines (``json``) or comma-separated values (``csv``), with or without the names of the columns."""
    import sys

    from streams.core.rowcodec import json_bytes

    if form == "json":
        for row in rows:
            say_json_text(json_bytes(row))
        return
    flat = [{key: value for key, value in row.items() if not isinstance(value, dict | list)} for row in rows]
    write_csv(
        sys.stdout, list(dict.fromkeys(name for row in flat for name in row)) or ["scope_key"], flat, heading=heading
    )
    sys.stdout.flush()
