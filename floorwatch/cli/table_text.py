"""Rows of the three tables as text: for a terminal, as JSON lines, as comma-separated values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from floorwatch.output.csv_file import write_csv
from floorwatch.output.terminal import MISSING, DataTable, say_json_text, scope_text
from streams.core.formatting import duration_number

if TYPE_CHECKING:
    from floorwatch.cli.age import Age

Row = dict[str, Any]


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f}%"


def _duration(value_ms: float | None) -> str:
    return MISSING if value_ms is None else duration_number(value_ms / 1000)


def _count(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"


def _less_technical(row: Row) -> str:
    """Return accuracy as alert rules hold it against a target: without technical errors, which are nobody's."""
    from alerts.kinds.accuracy_low import read

    cell = read(row)
    return _percent(cell.good / cell.total if cell.total else None)


def _interval(row: Row) -> str:
    low, high = row["wilson_low_ratio"], row["wilson_high_ratio"]
    return MISSING if low is None or high is None else f"{_percent(low)} – {_percent(high)}"


Column = tuple[str, Callable[[Row], str]]
COLUMNS: dict[str, tuple[Column, ...]] = {
    "accuracy": (
        ("accuracy", lambda row: _percent(row["raw_accuracy_ratio"])),
        ("less technical errors", _less_technical),
        ("95% interval", _interval),
        ("weighted", lambda row: _percent(row["weighted_accuracy_ratio"])),
        ("audited", lambda row: _count(row["audited"])),
        ("labels", lambda row: _count(row["labels"])),
        ("critical", lambda row: _count(row["critical_errors"])),
        ("overturned", lambda row: _percent(row["overturn_ratio"])),
    ),
    "throughput": (
        ("labels", lambda row: _count(row["labels"])),
        ("labels/h", lambda row: _count(row["labels_per_hour"])),
        ("per productive h", lambda row: _count(row["labels_per_productive_hour"])),
        ("handle p50", lambda row: _duration(row["handle_ms_p50"])),
        ("p90", lambda row: _duration(row["handle_ms_p90"])),
        ("active labellers", lambda row: _count(row["active_labelers"])),
    ),
    "sla": (
        ("attainment", lambda row: _percent(row["attainment_ratio"])),
        ("due", lambda row: _count(row["due"])),
        ("met", lambda row: _count(row["met"])),
        ("missed", lambda row: _count(row["missed"])),
        ("overdue, open", lambda row: _count(row["overdue_open"])),
        ("turn-around p90", lambda row: _duration(row["turnaround_ms_p90"])),
        ("backlog", lambda row: MISSING if row["backlog"] is None else _count(row["backlog"])),
        ("oldest open", lambda row: MISSING if row["backlog"] is None else _duration(row["oldest_open_age_ms"])),
    ),
}

SPARE = {
    "accuracy": ("overturned", "less technical errors", "critical", "weighted"),
    "throughput": ("p90", "per productive h"),
    "sla": ("overdue, open", "turn-around p90", "oldest open"),
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
