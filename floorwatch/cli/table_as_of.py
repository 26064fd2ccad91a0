"""``floorwatch table --as-of``: a table as it was known at a past moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from floorwatch.cli.options import past_ms
from floorwatch.output.terminal import DataTable, say, wide_console

if TYPE_CHECKING:
    from floorwatch.replay.as_of import AsOfTable
    from floorwatch.replay.reader import EventLog
    from floorwatch.settings.schema import FloorwatchConfig

Row = dict[str, Any]


def show_as_of(
    settings: FloorwatchConfig,
    name: str,
    names: frozenset[str],
    window: str,
    form: str,
    as_of: str,
    *,
    diff: bool,
    partial: bool,
) -> None:
    """Print the table; what was done and what could not be done goes to standard error.

    Args:
        settings: The configuration.
        name: ``accuracy``, ``throughput`` or ``sla``.
        names: Dimensions of the rows.
        window: Name of a kept window.
        form: ``rich``, ``json`` or ``csv``.
        as_of: The moment as the user wrote it.
        diff: Also tell what the same ranges read now.
        partial: Answer even where the log does not reach back far enough.

    Raises:
        typer.Exit: 1 without a log, 2 for a bad moment, 3 where the log is too short.
    """
    from floorwatch.cli.cluster_session import ClusterSession, told
    from floorwatch.replay.as_of import known_at, same_ranges_now
    from floorwatch.settings.policies import core_policy

    until_ms = past_ms("--as-of", as_of)
    session = ClusterSession(settings, core_policy(settings))

    async def work(log: EventLog) -> tuple[AsOfTable, list[Row]]:
        known = await known_at(log, session.policy, name, names, window, until_ms, partial=partial)
        return known, await same_ranges_now(log, session.policy, name, known) if diff else []

    known, now = session.run(work)
    for line in told(known.replay):
        say(line, err=True)
    if diff:
        _print_diff(name, known.rows, now, form, as_of)
    else:
        _print(name, known.rows, window, form, as_of)


def _print(name: str, rows: list[Row], window: str, form: str, as_of: str) -> None:
    from floorwatch.cli.table_text import print_plain, rich_table

    if form != "rich":
        print_plain([{**row, "as_of": as_of} for row in rows], form)
        return
    shown = rich_table(name, rows, window)
    shown.title = f"{shown.title} · as known at {as_of}"
    wide_console().print(shown)


def _print_diff(name: str, then: Sequence[Row], now: Sequence[Row], form: str, as_of: str) -> None:
    from floorwatch.cli.table_text import print_plain
    from floorwatch.replay.as_of import differences

    changes = [
        {"scope_key": row["scope_key"], "start": row["start"], "end": row["end"], "measure": measure}
        | {"then": was, "now": is_now, "change": is_now - was}
        for row, other in zip(then, now, strict=True)
        for measure, (was, is_now) in {**_ratio(name, row, other), **differences(row, other)}.items()
    ]
    if form != "rich":
        print_plain(changes, form)
        return
    if not then:
        say(f"The table had no rows at {as_of}, so there is nothing to compare.")
        return
    if not changes:
        rows = "its only row reads" if len(then) == 1 else f"all {len(then)} rows read"
        say(f"Nothing has changed since {as_of}: {rows} the same now.")
        return
    wide_console().print(diff_table(name, changes, as_of))


def diff_table(name: str, changes: Sequence[Row], as_of: str) -> DataTable:
    """Return what has changed in a past table, for a terminal; where all rows are of one time the title says it.

    Args:
        name: ``accuracy``, ``throughput`` or ``sla``.
        changes: One for each scope and measure that differs.
        as_of: The past moment, as it was written.
    """
    spans = {(change["start"], change["end"]) for change in changes}
    where = "" if len(spans) > 1 else " of {} to {}".format(*next(iter(spans)))
    shown = DataTable(f"{name}{where}: as it was known at {as_of}, and as it is known now")
    keys = ("scope_key", "start", "end", "measure") if len(spans) > 1 else ("scope_key", "measure")
    shown.add_names("scope", *(("from", "to") if len(spans) > 1 else ()), "measure")
    shown.add_numbers("known then", "known now", "change")
    for change in changes:
        numbers = (_number(change["then"]), _number(change["now"]), _number(change["change"], sign="+"))
        shown.add_row(*(str(change[key]) for key in keys), *numbers)
    return shown


def _ratio(name: str, then: Row, now: Row) -> dict[str, tuple[float, float]]:
    """Return the table's headline ratio if it has changed, because disputes are about that one."""
    key = {"accuracy": "accuracy_estimate_ratio", "sla": "attainment_ratio"}.get(name)
    if key is None or then.get(key) is None or now.get(key) is None or then[key] == now[key]:
        return {}
    return {key: (then[key], now[key])}


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign},d}" if isinstance(value, int) else f"{100 * value:{sign}.2f}%"
