"""``floorwatch why``: the tasks behind one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli.options import (
    AsOfOption,
    ConfigOption,
    CsvOption,
    JsonOption,
    VarOption,
    kept_window,
    past_ms,
    scope_of,
    timestamp_ms,
)
from floorwatch.cli.table import TableName
from floorwatch.output.csv_file import write_csv
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import DataTable, say, say_json, say_lines, wide_console
from streams.core.formatting import printable

if TYPE_CHECKING:
    from floorwatch.cli.age import Age
    from floorwatch.replay.recount import Range
    from floorwatch.replay.why import RowAddress, WhyAnswer
    from floorwatch.settings.schema import FloorwatchConfig

_PANE_SIZES = {"1m": 0, "15m": 1, "1h": 2}


def why(
    name: Annotated[TableName, typer.Argument(help="accuracy, throughput or sla.")],
    scope: Annotated[str, typer.Option(help="The row's scope: vendor=bpo-a, queue=hate,policy=P3 … or all.")] = "all",
    window: Annotated[str | None, typer.Option(help="The row's window: 5m, 15m, 1h, 8h, 24h, 7d or day.")] = None,
    pane: Annotated[str | None, typer.Option(help="Or the start of a pane, e.g. 2026-11-23T01:00:00Z.")] = None,
    pane_size: Annotated[str, typer.Option(help="Size of that pane: 1m, 15m or 1h.")] = "1h",
    measure: Annotated[
        str | None, typer.Option(help="Which number: wrong, audited, wrong.false_positive, missed …")
    ] = None,
    as_of: AsOfOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many tasks; 0 shows all.")] = 50,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """List the tasks behind a number; their contributions add up to it."""
    from floorwatch.cli.age import age_of_log
    from floorwatch.cli.cluster_session import open_session, told
    from floorwatch.replay.why import MEASURES
    from floorwatch.replay.why import why as ask

    measures = MEASURES[name.value]
    measure = measure or next(iter(measures))
    if measure not in measures:
        _misused(f"--measure {measure}: not of {name.value}; {choices(measure, measures)}")
    scope_of("--scope", scope)  # before the log is read
    if (window is None) == (pane is None):
        _misused("say which row: either --window 24h or --pane 2026-11-23T01:00:00Z")
    until_ms = None if as_of is None else past_ms("--as-of", as_of)
    session = open_session(config, var)
    place = _place(session.settings, window, pane, pane_size)
    wanted = scope_of("--scope", scope, kinds=session.policy.scopes)
    answer = session.run(lambda log: ask(log, session.policy, wanted, place, measures[measure], measure, until_ms))
    for line in told(answer.replay):
        say(line, err=True)
    age = age_of_log(answer.replay.floor.watermark_ms, live=until_ms is None)
    if as_json:
        _print_json(answer, limit, age)
    elif as_csv:
        _print_csv(answer, limit)
    else:
        if age is not None:
            wide_console().print(age.title(f"why {name.value}"))
        _print(answer, limit)
    if answer.ahead:
        say(_ahead_text(answer), err=True)
    if answer.unequal:
        say(_unequal_text(answer), err=True)
        raise typer.Exit(1)


def _misused(said: str) -> None:
    say_lines([said], err=True)
    raise typer.Exit(2)


def _place(settings: FloorwatchConfig, window: str | None, pane: str | None, pane_size: str) -> RowAddress:
    from floorwatch.replay.why import RowAddress

    if pane_size not in _PANE_SIZES:
        _misused(f"--pane-size {pane_size}: {choices(pane_size, _PANE_SIZES)}")
    kept = None if window is None else kept_window(window, settings.tables.windows)
    return RowAddress(kept, None if pane is None else timestamp_ms("--pane", pane), _PANE_SIZES[pane_size])


def _shown(answer: WhyAnswer, limit: int) -> list[Any]:
    return answer.items[:limit] if limit else answer.items


def span_words(span: Range, watermark_ms: int) -> str:
    """Return from when to when a row counts. The last pane of a sliding window, and a day that goes on, end after the newest event.

    Args:
        span: The panes of the row.
        watermark_ms: Event time up to which the row is complete.
    """
    if not span.start_ms <= watermark_ms < span.end_ms:
        return f"{local_rfc3339(span.start_ms)} to {local_rfc3339(span.end_ms)}"
    return f"{local_rfc3339(span.start_ms)} so far, to {local_rfc3339(watermark_ms)} (it ends at {local_rfc3339(span.end_ms)})"


def _print(answer: WhyAnswer, limit: int) -> None:
    shown = _shown(answer, limit)
    say(
        f"{answer.measure} of {printable(answer.scope_key)} · {span_words(answer.span, answer.replay.floor.watermark_ms)}"
    )
    table = DataTable()
    table.add_names("task", "label", "labeller", "time", "verdict")
    table.add_numbers("counts")
    for item in shown:
        counters = (item.task_id, item.label_id or "–", item.labeler or "–", local_rfc3339(item.time_ms), item.verdict)
        table.add_row(*counters, f"{item.amount:+,d}")
    if shown:
        wide_console().print(table)
    rest = len(answer.items) - len(shown)
    if rest:
        hidden = sum(item.amount for item in answer.items[len(shown) :])
        say(f"… and {rest} more, {hidden:+,d} together (--limit 0 shows all)")
    say(f"sum of {len(answer.items)} contributions: {answer.total:,}; the row says {answer.row:,}")


def _print_json(answer: WhyAnswer, limit: int, age: Age | None = None) -> None:

    from streams.core.time_text import rfc3339

    body = {
        "scope_key": answer.scope_key,
        "start": rfc3339(answer.span.start_ms),
        "end": rfc3339(answer.span.end_ms),
        "measure": answer.measure,
        "row": answer.row,
        "sum": answer.total,
        "contributions": len(answer.items),
        "adds_up": None if answer.ahead else not answer.unequal,
        "partitions_ahead": answer.ahead,
        "tasks": [item.as_json() for item in _shown(answer, limit)],
    }
    say_json(body if age is None else body | age.for_programs)


def _print_csv(answer: WhyAnswer, limit: int) -> None:
    import sys

    columns = ["task", "label", "labeler", "time", "verdict", "contribution"]
    write_csv(sys.stdout, columns, (item.as_json() for item in _shown(answer, limit)))


def _ahead_text(answer: WhyAnswer) -> str:
    which = ", ".join(map(str, answer.ahead))
    return (
        f"partition {which} of events.v1 is so far ahead of the floor that it no longer takes changes of this row's "
        "beginning: the tasks listed may be more, or fewer, than the row holds, so the two are not compared."
    )


def _unequal_text(answer: WhyAnswer) -> str:
    some = "; ".join(f"{name}: row {row}, tasks {total}" for name, (row, total) in sorted(answer.unequal.items())[:8])
    return (
        f"the tasks do not add up to the row ({some}). Either changes came after the row's pane had expired, which the "
        "row no longer takes, or part of the tasks' facts is gone from the log, or this is a fault: please report it."
    )
