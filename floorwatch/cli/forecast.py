"""``floorwatch forecast`` and ``floorwatch whatif``: will due times be missed, and what if people move between queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from config.nearest import choices
from floorwatch.cli.options import ConfigOption, JsonOption, VarOption, duration_ms, duration_s, json_option
from floorwatch.output.reader_zone import local_rfc3339, reader_zone
from floorwatch.output.terminal import MISSING, DataTable, say, say_json_text, say_lines, wide_console
from streams.models.timestamps import parse_rfc3339_ms

if TYPE_CHECKING:
    from floorwatch.analysis.forecast.moves import Move, MoveEvidence, QueueLoad
    from floorwatch.cli.age import Age
    from floorwatch.cli.cluster_session import ClusterSession

Row = Mapping[str, Any]
Rows = Mapping[str, Row]

WINDOW = "1h"
"""Rows of the window this long carry the forecast: pace is measured over an hour."""

AUDIT_WINDOW = "7d"
_MOVED_S = "8h"


def forecast(
    queue: Annotated[str | None, typer.Option(help="Only this queue, with its open tasks by due time.")] = None,
    as_json: Annotated[bool, json_option("One JSON object a queue.")] = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show each queue's open work against its pace: when due times will be missed and by how many tasks."""
    from floorwatch.cli.cluster_session import open_session

    session = open_session(config, var)
    rows = _queue_rows(_read(session, ("sla", WINDOW))[0])
    if queue is not None:
        rows = [row for row in rows if row["scope"]["queue"] == queue]
    if not rows:
        _nothing(f"no queue {queue} has" if queue else "no queue has", "an SLA row yet: is the stack running?")
    from floorwatch.cli.age import age_of

    age = age_of(None, rows)
    if as_json:
        import orjson

        for row in rows:
            told = age.told(row)
            shown = {"queue": row["scope"]["queue"], "watermark": row["watermark"], "backlog": row["backlog"]}
            shown |= {"as_of": told["as_of"], "behind_s": told["behind_s"], "open_as_of": row.get("open_as_of")}
            shown["partial"] = bool(row.get("partial"))
            say_json_text(orjson.dumps(shown | row["forecast"]))
        return

    console = wide_console()
    console.print(forecast_table(rows, age))
    if queue is not None:
        console.print(due_table(rows[0]))


def whatif(
    source: Annotated[str, typer.Option("--from", help="The queue people leave.")],
    target: Annotated[str, typer.Option("--to", help="The queue they go to.")],
    people: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people move.")],
    lasting: Annotated[str, typer.Option("--for", help="How long they stay there.")] = _MOVED_S,
    ready: Annotated[str, typer.Option(help="How long until they are at work there.")] = "0m",
    pace: Annotated[
        float, typer.Option(min=0.01, max=100, help="Their pace there over that of the people there.")
    ] = 1.0,
    labelers: Annotated[
        str | None, typer.Option(help="Who moves, e.g. kul-0007,kul-0012: their own audits are read from the log.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Forecast two queues again as if people had moved, and say what the move costs in accuracy."""
    from floorwatch.analysis.forecast.moves import what_if, words
    from floorwatch.cli.cluster_session import open_session

    session = open_session(config, var)
    sla, throughput, audits = _read(session, ("sla", WINDOW), ("throughput", WINDOW), ("accuracy", AUDIT_WINDOW))
    leaving, going = (_load(name, sla, throughput) for name in (source, target))
    who = tuple(dict.fromkeys(part.strip() for part in (labelers or "").split(",") if part.strip()))
    evidence = _peers(source, target, audits)
    if who:
        evidence = _own(session, source, target, who, evidence)
    now_ms = leaving.now_ms
    try:
        move = what_if(
            now_ms,
            leaving.load,
            going.load,
            people,
            evidence=evidence,
            until_ms=now_ms + duration_ms("--for", lasting),
            ready_ms=round(duration_s("--ready", ready) * 1000),
            pace_ratio=pace,
        )
    except ValueError as error:
        _misused(str(error))
    if as_json:
        import orjson

        say_json_text(orjson.dumps(move_json(move), option=orjson.OPT_INDENT_2))
        return
    say_lines(words(move))
    pace_words = (
        f"(by the pace of the last hour: {source} loses {people * leaving.load.tasks_per_head_hour:,.1f} tasks an hour, what "
        f"{people} of the {leaving.load.heads:g} at work on it give it; {target} gains "
        f"{people * pace * (going.load.full_time_per_hour or 0):,.1f}, their full time. Other queues they work on lose them "
        "too and are not forecast.)"
    )
    say_lines([pace_words])


def _misused(said: str) -> NoReturn:
    say_lines([said], err=True)
    raise typer.Exit(2)


def _nothing(what: str, why: str) -> NoReturn:
    say_lines([f"{what} {why}"], err=True)
    raise typer.Exit(1)


def _read(session: ClusterSession, *tables: tuple[str, str]) -> list[Rows]:
    import asyncio

    from floorwatch.cli.common import exit_on_redis_error
    from streams.adapters.clients import redis_client
    from streams.adapters.readmodel import ReadModel
    from streams.core.window_names import same_window

    kept = session.settings.tables.windows

    async def read() -> list[Rows]:
        redis = redis_client(session.settings)
        try:
            model = ReadModel(redis, session.settings.redis.prefix)
            return [await model.rows(table, same_window(window, kept) or window) for table, window in tables]
        finally:
            await redis.aclose()

    with exit_on_redis_error(session.settings.redis.url):
        return asyncio.run(read())


def _queue_rows(rows: Rows) -> list[Row]:
    """Return the queues' rows that carry a forecast: the nearest breach first, then the least spare."""

    def urgency(row: Row) -> tuple[str, float, str]:
        found = row["forecast"]
        spare = found["spare"]
        return found["breach_at"] or "~", float("inf") if spare is None else spare, row["scope_key"]

    return sorted((row for row in rows.values() if row.get("forecast")), key=urgency)


class Loaded:
    """A queue's load and the watermark it is of."""

    def __init__(self, load: QueueLoad, now_ms: int) -> None:
        """Hold both."""
        self.load, self.now_ms = load, now_ms


def _load(queue: str, sla: Rows, throughput: Rows) -> Loaded:
    from floorwatch.analysis.forecast.queue_loads import load_of
    from streams.core.scopes import scope_key
    from streams.models.timestamps import parse_rfc3339_ms

    key = scope_key(("queue",), (queue,))
    row = sla.get(key)
    if row is None or not row.get("forecast"):
        known = sorted(row["scope"]["queue"] for row in _queue_rows(sla))
        _nothing(f"there is no forecast of queue {queue};", f"of queues with one {choices(queue, known)}")
    load = load_of(row, throughput.get(key))
    if load is None:
        _nothing(
            f"the pace of queue {queue} is not known yet:",
            "in the minutes of the last hour that are over it completed nothing, or nothing that says how long it took",
        )
    return Loaded(load, parse_rfc3339_ms(row["watermark"]))


def _peers(source: str, target: str, audits: Rows) -> MoveEvidence:
    """Return the audits of everybody's labels on both queues, from the rows of 7 days."""
    from floorwatch.analysis.forecast.moves import MoveEvidence
    from streams.core.rca.ratio_tally import RatioTally
    from streams.core.rca.slices import row_tally
    from streams.core.scopes import scope_key

    def tally(queue: str) -> RatioTally:
        row = audits.get(scope_key(("queue",), (queue,)))
        return row_tally("unweighted_accuracy", row) if row is not None else RatioTally(0, 0)

    return MoveEvidence(peers_on_source=tally(source), peers_on_target=tally(target))


def _own(session: ClusterSession, source: str, target: str, who: tuple[str, ...], peers: MoveEvidence) -> MoveEvidence:
    """Add the moved people's own audits on both queues, read from the whole log: the tables keep no such scope."""
    from dataclasses import replace as with_scopes

    from msgspec.structs import replace

    from floorwatch.cli.cluster_session import told
    from floorwatch.replay.replayer import replay
    from streams.core.effects import contributions
    from streams.core.rca.shift import summed
    from streams.core.rca.slices import Slices, TimeRange

    slices = Slices("unweighted_accuracy", {}, ("queue", "labeler"))

    def visit(partition_replay: Any, partition_facts: Any) -> None:
        for task_id, facts in partition_facts.tasks(partition_replay.knows):
            for group in contributions(task_id, facts, partition_replay.watermark_ms).values():
                slices.add(group)

    policy = with_scopes(session.policy, scopes=((),))
    for line in told(session.run(lambda log: replay(log, policy, visit=visit))):
        say(line, err=True)
    by_both = slices.cut(("queue", "labeler"), TimeRange(0, 1 << 62))
    own = {
        queue: summed(tally for (on, labeler), tally in by_both.items() if on == queue and labeler in who)
        for queue in (source, target)
    }
    return replace(peers, on_source=own[source], on_target=own[target])


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"


def _at(text: str | None) -> str:
    return MISSING if text is None else local_rfc3339(parse_rfc3339_ms(text))[5:16].replace("T", " ")


def _range(found: Row) -> str:
    """Return when due times will be missed: as a range where one is told."""
    low, high = found.get("breach_at_low"), found.get("breach_at_high")
    if low is None:
        return _at(found["breach_at"])
    if high is None:
        return f"{_at(low)} or later"
    return _at(low) if high == low else f"{_at(low)} to {_at(high)[-5:] if high[:10] == low[:10] else _at(high)}"


def forecast_table(rows: list[Row], age: Age | None = None) -> DataTable:
    """Return every queue's forecast for a terminal, with as of when it is."""
    from floorwatch.cli.age import mark_of

    past = f"forecast · as of {rows[0]['watermark']}"
    shown = DataTable(past if age is None else age.title("forecast"))
    shown.add_names("queue")
    shown.add_numbers(
        "open", "overdue", "pace/h", "by", f"breach at ({reader_zone()})", "as they come", "short by", "spare"
    )
    for row in rows:
        found = row["forecast"]
        by_arrival = found.get("breach_at_by_arrival")
        shown.add_row(
            row["scope"]["queue"] + mark_of(row),
            f"{sum(tasks for _, tasks in found['open_by_due']):,}",
            f"{found['overdue']:,}",
            _percent(found["tasks_per_hour"]),
            found["basis"],
            _range(found),
            _range(found) if by_arrival == found["breach_at"] else _at(by_arrival),
            _percent(found["shortfall"]) if found["breach_at"] else MISSING,
            _percent(found["spare"]),
        )
    return shown


def due_table(row: Row) -> DataTable:
    """Return a queue's open tasks by due time for a terminal."""
    shown = DataTable(f"open tasks of {row['scope']['queue']} by due time ({reader_zone()})")
    shown.add_numbers("due by", "tasks", "together")
    together = 0
    for due, tasks in row["forecast"]["open_by_due"]:
        together += tasks
        shown.add_row(_at(due), f"{tasks:,}", f"{together:,}")
    return shown


def move_json(move: Move) -> dict[str, Any]:
    """Return a move as a JSON object."""
    from msgspec import to_builtins

    from floorwatch.analysis.forecast.moves import words

    found: dict[str, Any] = to_builtins(move)
    return found | {"words": words(move)}
