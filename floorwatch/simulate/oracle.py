"""An independent, naive oracle: the tables recomputed from scratch from a log of contract events.

It shares no code with ``streams.core`` and is written to be read against docs/meaning.md, not to be fast: it keeps
every fact in memory and recounts every task. ``floorwatch verify`` and the tests hold the product against it.

    oracle = Oracle.from_events(open("events.jsonl"))
    oracle.panes(3600)["accuracy"][("queue=hate", 1795428000000)]["audited"]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from floorwatch.simulate.oracle_grants import counted
from floorwatch.simulate.oracle_read import Fact, ReadEvent, read_event
from floorwatch.simulate.oracle_task import NANO, Mark, OpenTask, recount

Number = int | float
Row = dict[str, Number]
Tables = dict[str, dict[tuple[str, int], Row]]
WindowTables = dict[str, dict[tuple[str, str], Row]]

TABLES = ("accuracy", "throughput", "sla")

SCOPES: tuple[tuple[str, ...], ...] = (
    (),
    ("site",),
    ("vendor",),
    ("team",),
    ("queue",),
    ("policy",),
    ("market",),
    ("priority",),
    ("labeler",),
    ("vendor", "queue"),
    ("queue", "policy"),
)
"""The default scopes, as dimension names in the fixed order."""

AUDIT_SCOPES: tuple[tuple[str, ...], ...] = (("vendor", "policy"),)
"""Of these only what audits and appeals say is kept, in the accuracy table, by quarter hour and longer."""

_MINUTE_MS = 60_000
_QUARTER_MS = 15 * _MINUTE_MS
_HOUR_MS = 60 * _MINUTE_MS
WINDOWS: dict[str, tuple[int, int]] = {
    "5m": (5 * _MINUTE_MS, _MINUTE_MS),
    "15m": (15 * _MINUTE_MS, _MINUTE_MS),
    "1h": (_HOUR_MS, _MINUTE_MS),
    "8h": (8 * _HOUR_MS, _QUARTER_MS),
    "24h": (24 * _HOUR_MS, _QUARTER_MS),
    "7d": (7 * 24 * _HOUR_MS, _HOUR_MS),
}
"""Sliding windows: length and pane size, both in milliseconds."""

_WEIGHTS = ("weight_sum", "weight_correct", "weight_technical", "weight_critical")

_NOT_OF_AUDITS = ("labels", "overlapped", "unanimous", "overlap_incomparable")


class Oracle:
    """The tables of a whole log; build it with ``from_events``.

    Attributes:
        watermark_ms: greatest event time of the accepted events, None for an empty log.
        duplicates: events that repeated an earlier one.
        conflicts: events that used an earlier identity with other content.
        refused: labels that started after their own time.
        accepted: events that count.
        scopes: every scope_key that occurs, as a scope object.
    """

    def __init__(self) -> None:
        self.watermark_ms: int | None = None
        self.duplicates = 0
        self.conflicts = 0
        self.refused = 0
        self.accepted = 0
        self.scopes: dict[str, dict[str, str]] = {}
        self._tasks: dict[str, list[Fact]] = defaultdict(list)
        self._marks: list[Mark] = []
        self._open_tasks: list[OpenTask] = []

    @classmethod
    def from_events(cls, events: Iterable[dict[str, Any] | bytes | str]) -> Oracle:
        """Recount a log.

        Args:
            events: contract events in log order, as objects or as JSON text; blank lines are passed over.

        Raises:
            ValueError: an event is not of the contract.
        """
        oracle = cls()
        first: dict[tuple[str, str, str], ReadEvent] = {}
        for place, event in enumerate(events):
            if not isinstance(event, dict) and not event.strip():
                continue
            oracle._accept(read_event(place, event), first)
        for facts in oracle._tasks.values():
            count = recount(*counted(facts), oracle.watermark_ms or 0)
            oracle._marks.extend(count.marks)
            if count.open_task is not None:
                oracle._open_tasks.append(count.open_task)
        return oracle

    def _accept(self, read: ReadEvent, first: dict[tuple[str, str, str], ReadEvent]) -> None:
        started_us = read.fact.data.get("started_at")
        if started_us is not None and started_us > read.fact.time_us:
            self.refused += 1
            return
        earlier = first.get((read.task_id, *read.identity))
        if earlier is not None:
            if read.same_content(earlier):
                self.duplicates += 1
            else:
                self.conflicts += 1
            return
        first[(read.task_id, *read.identity)] = read
        self.accepted += 1
        self._tasks[read.task_id].append(read.fact)
        time_ms = read.fact.time_ms
        self.watermark_ms = time_ms if self.watermark_ms is None else max(self.watermark_ms, time_ms)

    def panes(self, pane_s: int) -> Tables:
        """Rows per (scope_key, start of the pane in milliseconds) for panes of ``pane_s`` seconds.

        Returns:
            For each table its rows; what is 0 may be absent, rows and fields alike. Classes are flat fields
            (``wrong.technical``, ``severity.major``); weights are sums of 1/probability.
        """
        pane_ms = pane_s * 1000
        rows = {table: _Rows() for table in TABLES}
        for mark in self._marks:
            start_ms = mark.time_ms // pane_ms * pane_ms
            for scope_key, seen in self._rows_of(mark, pane_ms):
                rows[mark.table].add((scope_key, start_ms), seen)
        return {table: found.finished() for table, found in rows.items()}

    def windows(self) -> WindowTables:
        """Rows per (scope_key, window) as of the watermark; SLA rows carry the open tasks as ``backlog``."""
        rows = {table: _Rows() for table in TABLES}
        for name in WINDOWS:
            start_ms, end_ms = self.window_range_ms(name)
            for mark in self._marks:
                if start_ms <= mark.time_ms < end_ms:
                    for scope_key, seen in self._rows_of(mark, WINDOWS[name][1]):
                        rows[mark.table].add((scope_key, name), seen)
        result = {table: found.finished() for table, found in rows.items()}
        for scope_key, backlog in self.backlog().items():
            for name in WINDOWS:
                result["sla"].setdefault((scope_key, name), {}).update(backlog)
        return result

    def window_range_ms(self, name: str) -> tuple[int, int]:
        """Start and end of a sliding window at the watermark, in milliseconds."""
        length_ms, pane_ms = WINDOWS[name]
        end_ms = ((self.watermark_ms or 0) // pane_ms + 1) * pane_ms
        return end_ms - length_ms, end_ms

    def backlog(self) -> dict[str, Row]:
        """Per scope the open tasks (``backlog``) and the age of the oldest (``oldest_open_age_ms``)."""
        rows: dict[str, Row] = {}
        for task in self._open_tasks:
            age_ms = (self.watermark_ms or 0) - task.created_ms
            for scope_key in self._scopes_of(task.dims):
                row = rows.setdefault(scope_key, {"backlog": 0, "oldest_open_age_ms": 0})
                row["backlog"] += 1
                row["oldest_open_age_ms"] = max(row["oldest_open_age_ms"], age_ms)
        return rows

    def _rows_of(self, mark: Mark, pane_ms: int) -> Iterator[tuple[str, Mark]]:
        """The scopes a mark counts in, in panes of ``pane_ms``, and what of it counts there."""
        for scope_key in self._scopes_of(mark.dims):
            yield scope_key, mark
        audits = {name: value for name, value in mark.fields.items() if name not in _NOT_OF_AUDITS}
        # A pane that only labels and turn-arounds fell into has no row of such a scope.
        if mark.table == "accuracy" and audits and pane_ms >= _QUARTER_MS:
            for scope_key in self._scopes_of(mark.dims, AUDIT_SCOPES):
                yield scope_key, replace(mark, fields=audits)

    def _scopes_of(self, dims: dict[str, str], scopes: tuple[tuple[str, ...], ...] = SCOPES) -> Iterator[str]:
        for scope in scopes:
            if all(name in dims for name in scope):
                scope_key = ",".join(f"{name}={dims[name]}" for name in scope) or "all"
                if scope_key not in self.scopes:
                    self.scopes[scope_key] = {name: dims[name] for name in scope}
                yield scope_key


def _is_weight(name: str) -> bool:
    return name in _WEIGHTS or name.startswith("sample_weight.")


class _Rows:
    """Sums of marks per key, whatever the key is."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, Any], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._people: dict[tuple[str, Any], set[str]] = defaultdict(set)

    def add(self, key: tuple[str, Any], mark: Mark) -> None:
        row = self._fields[key]
        for name, value in mark.fields.items():
            row[name] += value
        if mark.labeler is not None:
            self._people[key].add(mark.labeler)

    def finished(self) -> dict[tuple[str, Any], Row]:
        result: dict[tuple[str, Any], Row] = {}
        for key, fields in self._fields.items():
            row: Row = {name: value / NANO if _is_weight(name) else value for name, value in fields.items()}
            if key in self._people:
                row["active_labelers"] = len(self._people[key])
            result[key] = row
        return result
