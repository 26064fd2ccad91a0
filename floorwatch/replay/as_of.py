"""As of: a table from the log up to a past time, and the same ranges as of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import PartitionReplay
from floorwatch.replay.reader import EventLog
from floorwatch.replay.recount import Range, counters_of, groups_in, scopes_of
from floorwatch.replay.replayer import Replay, only_rows, replay
from streams.core import tables
from streams.core.counters import Counters, add_counters
from streams.core.floor import Floor
from streams.core.policy import CorePolicy
from streams.core.scope_state import WindowRow
from streams.core.time_text import rfc3339
from streams.models.timestamps import parse_rfc3339_ms

Row = dict[str, Any]

_NOT_OF_A_RANGE = ("revision", "closed", "backlog", "oldest_open_age_ms", "examples", "evidence", "forecast")


class LogTooShort(RuntimeError):
    """The broker has deleted records that the answer needs. Operator: keep events.v1 longer (retention.ms)."""


@dataclass(frozen=True)
class AsOfTable:
    """A table as it was known.

    Attributes:
        rows: One row per scope, as ``floorwatch table`` prints them.
        replay: What was read.
    """

    rows: list[Row]
    replay: Replay


def require_reach(done: Replay, horizon_ms: int) -> None:
    """Check that the log reaches back far enough for its moment.

    The whole log is always enough. A log whose beginning the broker has deleted is enough from one correction horizon
    after its beginning on: then every task begun within the horizon before the moment is on it.

    Args:
        done: The replay.
        horizon_ms: Correction horizon.

    Raises:
        LogTooShort: It does not; the message says from when on it would.
    """
    begins_ms = done.begins_ms
    if begins_ms is None:
        return
    moment_ms = done.until_ms
    if moment_ms is None:
        moment_ms = max((part.last_ms for part in done.parts if part.last_ms is not None), default=begins_ms)
    earliest_ms = begins_ms + horizon_ms
    if moment_ms < earliest_ms:
        raise LogTooShort(
            f"the log of events begins at {rfc3339(begins_ms)}: what is older was deleted by the broker's retention. "
            f"A table as known at {rfc3339(moment_ms)} needs the {horizon_ms / 86_400_000:g} days before it (the "
            f"correction horizon), so the earliest moment that can be shown is {rfc3339(earliest_ms)}. Nothing is shown "
            "rather than a wrong number. To reach further back from now on, raise retention.ms of events.v1 (kafka.events_kept_days)."
        )


def rows_of(floor: Floor, name: str, window: str) -> list[Row]:
    """Return the rows of one table and window that are not empty, the form in which the read model keeps them."""
    return [
        tables.window_rows(row, floor.watermark_ms, floor.sources.behind)[name]
        for row in floor.all_windows()
        if row.window == window and (row.counters or row.state.open_by_hour)
    ]


def in_order(name: str, rows: Sequence[Row], names: frozenset[str]) -> list[Row]:
    """Return the rows of one kind of scope, the busiest first."""
    size = "due" if name == "sla" else "labels"
    return sorted((row for row in rows if frozenset(row["scope"]) == names), key=lambda r: (-r[size], r["scope_key"]))


async def known_at(
    log: EventLog,
    policy: CorePolicy,
    name: str,
    names: frozenset[str],
    window: str,
    until_ms: int | None,
    *,
    partial: bool = False,
) -> AsOfTable:
    """Return a table as it was known at a moment.

    Args:
        log: The log.
        policy: Today's configuration.
        name: ``accuracy``, ``throughput`` or ``sla``.
        names: Dimensions of the rows.
        window: Name of a kept window.
        until_ms: The moment, broker timestamp in ms; None for the end of the log.
        partial: Answer even where the log is too short.

    Raises:
        LogTooShort: The log does not reach back far enough and ``partial`` is off.
    """
    done = await replay(log, only_rows(policy, names, window), until_ms=until_ms)
    if not partial:
        require_reach(done, policy.horizon_ms)
    rows = rows_of(done.floor, name, window)
    return AsOfTable(in_order(name, rows, names), done)


async def same_ranges_now(log: EventLog, policy: CorePolicy, name: str, known: AsOfTable) -> list[Row]:
    """Return, for each row of a past table, what its scope and range read at the end of the log.

    Windows have moved on and fine panes are gone, so the rows are summed anew from the tasks' contributions.

    Args:
        log: The log.
        policy: Today's configuration.
        name: The table.
        known: What ``known_at`` returned.

    Returns:
        Rows in the same order; ``revision``, ``closed``, ``backlog``, ``oldest_open_age_ms``, ``examples`` and
        ``evidence`` are not of a range and are left out.
    """
    then, scopes = known.rows, known.replay.floor.scopes
    sums: list[Counters] = [{} for _ in then]
    spans = [Range(parse_rfc3339_ms(row["start"]), parse_rfc3339_ms(row["end"])) for row in then]
    place = {row["scope_key"]: number for number, row in enumerate(then)}
    kinds = [kind for kind in policy.scopes if then and frozenset(kind) == frozenset(then[0]["scope"])]
    hull = Range(min((s.start_ms for s in spans), default=0), max((s.end_ms for s in spans), default=0))

    def visit(partition_replay: PartitionReplay, partition_facts: PartitionFacts) -> None:
        for task_id, facts in partition_facts.tasks(partition_replay.knows):
            for _, group in groups_in(task_id, facts, partition_replay.watermark_ms, {}, hull):
                for key in scopes_of(group.dims, kinds):
                    number = place.get(key)
                    if number is not None and spans[number].holds(group.time_ms):
                        add_counters(sums[number], counters_of(group))

    done = await replay(log, policy, visit=visit, rows=False)
    watermark_ms = done.floor.watermark_ms
    return [
        _range_row(name, WindowRow(scopes[row["scope_key"]], row["window"], *span, counters), watermark_ms)
        for row, span, counters in zip(then, spans, sums, strict=True)
    ]


def _range_row(name: str, row: WindowRow, watermark_ms: int) -> Row:
    found = tables.window_rows(row, watermark_ms)[name]
    return {key: value for key, value in found.items() if key not in _NOT_OF_A_RANGE}


def differences(then: Row, now: Row) -> dict[str, tuple[Any, Any]]:
    """Return the counts of a row that have changed: measure to (then, now).

    Only whole numbers are compared: every ratio follows from them.
    """
    return {
        key: (value, now[key]) for key, value in then.items() if key in now and type(value) is int and value != now[key]
    } | _nested(then, now)


def _nested(then: Row, now: Row) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for name in ("wrong", "severity"):
        for key, value in then.get(name, {}).items():
            other = now.get(name, {}).get(key, 0)
            if value != other:
                found[f"{name}.{key}"] = (value, other)
    return found
