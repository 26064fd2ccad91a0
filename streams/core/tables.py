"""Tables: what people see of a row of counters. Every derived number is computed here and nowhere else.

Which fields a row has, and what counters each is made of, say the measures (``streams.models.measures``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.estimates import accuracy_share, critical_share
from streams.core.forecast.observe import has_forecast, outlook, outlook_row
from streams.core.policy import HOUR_MS, MINUTE_MS
from streams.core.row_layout import Layout, Parts, RowJson, parts_of, ratio
from streams.core.rowcodec import json_bytes
from streams.core.scope_state import PaneRow, ScopeState, WindowRow
from streams.core.stand_for import stand_for
from streams.core.time_text import rfc3339
from streams.core.value_quality import pairs_of, value_quality
from streams.models import measures

TABLES = tuple(measures.TABLES)
NONE_BEHIND: Mapping[int, int] = {}

WORKERS = frozenset({"site", "vendor", "team", "labeler"})
"""Dimensions that say who works. Mostly a task gets them with its first label only: that no open task names somebody does not
mean that nothing waits for them, so the backlog of such a scope is unknown, not 0."""


_LAYOUTS = {table: Layout(table) for table in TABLES}


def accuracy(parts: Parts, *, labels_known: bool = True) -> RowJson:
    """Return the accuracy measures of a row (definitions: docs/numbers.md).

    The estimate and its interval are of the random audits (``streams.core.estimates``), without technical errors.
    ``raw_accuracy_ratio`` is correct/audited of all audits, targeted ones too.

    Args:
        parts: The row.
        labels_known: Labels are counted in the row; else their number is unknown.
    """
    row = _LAYOUTS["accuracy"].row(parts)
    if not labels_known:
        row["labels"] = None
    estimates = _estimates_of(parts, row) if row["audited"] else (_UNKNOWN, _UNKNOWN)
    row["accuracy_estimate_ratio"], low, high = estimates[0]
    row["accuracy_low_ratio"], row["accuracy_high_ratio"] = low, high
    row["wilson_low_ratio"], row["wilson_high_ratio"] = low, high
    (
        row["critical_error_estimate_ratio"],
        row["critical_error_low_ratio"],
        row["critical_error_high_ratio"],
    ) = estimates[1]
    row["audits_stand_for"] = stand_for(row)
    row["values"], row["confusion"] = value_quality(pairs_of(parts.counts, parts.confusion), row)
    row["examples"] = sorted(parts.examples)[:20]
    return row


_Estimate = tuple[float | None, float | None, float | None]
_UNKNOWN: _Estimate = (None, None, None)
_ESTIMATED = frozenset(
    {
        c.AUDITED,
        c.CORRECT,
        c.TARGETED,
        c.TARGETED_CORRECT,
        c.WEIGHT_NANO,
        c.WEIGHT_CORRECT_NANO,
        c.WEIGHT_TECHNICAL_NANO,
        c.WEIGHT_CRITICAL_NANO,
        c.ASSUMED_CRITICAL,
    }
    | {c.ASSUMED, c.ASSUMED_CORRECT, c.ASSUMED_TECHNICAL}
    | set(range(c.CLASS_AUDITED, c.CLASS_CRITICAL + c.SAMPLING_CLASSES))
)
"""Counters that the estimates of a row are made of; with assumed audits its labels too. Held by tests/core/test_estimates.py."""

_ESTIMATES_MOST = 16_384
_estimates: dict[tuple[int | None, ...], tuple[_Estimate, _Estimate]] = {}


def _estimates_of(parts: Parts, row: RowJson) -> tuple[_Estimate, _Estimate]:
    """Return accuracy and the share of critical errors of a row, each with its interval.

    Few different counts of audits make most rows of a floor.
    """
    counts = parts.counts
    numbers = [number for number in parts.scalars if number in _ESTIMATED]
    labels = row["labels"] if c.ASSUMED in counts else 0
    key = (labels, *numbers, *[counts[number] for number in numbers])
    found = _estimates.get(key)
    if found is None:
        share, spared = accuracy_share(row), critical_share(row)
        if len(_estimates) >= _ESTIMATES_MOST:
            _estimates.clear()
        critical = _UNKNOWN if spared is None else _rest_of(*spared.estimate)
        found = _estimates[key] = (share.estimate if share else _UNKNOWN, critical)
    return found


def _rest_of(value: float, low: float, high: float) -> _Estimate:
    """Return the share that is not this one, with its interval."""
    return 1 - value, 1 - high, 1 - low


def throughput(parts: Parts, *, one_labeler: bool = False) -> RowJson:
    """Return the throughput measures of a row; the rate, which follows from its range, is filled in by ``_set_pace``.

    Source: docs/numbers.md, handle time and labels per productive hour; quantiles: DDSketch (2019).

    Args:
        parts: The row.
        one_labeler: The scope is one labeller's own.
    """
    row = _LAYOUTS["throughput"].row(parts)
    _set_pace(row, None)
    row["active_labelers"] = parts.labelers
    if one_labeler:
        row["active_labelers"] = int(row["labels"] > 0)
    elif parts.counts.get(c.NAMES_LEFT_OUT):
        row["active_labelers"] = None
    return row


def _set_pace(row: RowJson, hours: float | None) -> None:
    """Fill in the rate.

    Args:
        row: A row of the throughput table.
        hours: Length of its range up to the watermark, in hours; None where it is too short for a rate.
    """
    row["labels_per_hour"] = ratio(row["labels"], hours or 0)


def sla(parts: Parts) -> RowJson:
    """Return the SLA measures of a row.

    ``missed`` = completed late + still open past due as of the watermark. ``attainment_ratio`` = met/(met+missed): what
    is not yet due is neither. What is open now, which does not follow from the row, is filled in by ``_set_open``.

    Args:
        parts: The row.
    """
    row = _LAYOUTS["sla"].row(parts)
    _set_open(row, None, None, None)
    row["forecast"] = None
    return row


def _set_open(row: RowJson, backlog: int | None, oldest_open_age_ms: int | None, open_as_of_ms: int | None) -> None:
    """Fill in what is open.

    Args:
        row: A row of the SLA table.
        backlog: Open tasks of the scope, whatever the row's range; None for a pane row.
        oldest_open_age_ms: Age of the oldest of them at the watermark.
        open_as_of_ms: As of when it is known which open tasks are overdue, where that is not the watermark.
    """
    row["backlog"] = backlog
    row["oldest_open_age_ms"] = oldest_open_age_ms
    row["open_as_of"] = None if open_as_of_ms is None else rfc3339(open_as_of_ms)


def window_rows(row: WindowRow, watermark_ms: int, behind: Mapping[int, int] = NONE_BEHIND) -> dict[str, RowJson]:
    """Return the row of each table for one window of one scope.

    Args:
        row: The window.
        watermark_ms: The floor's watermark.
        behind: Watermarks in ms of source partitions older than that (``Sources.behind``).
    """
    return _window(row, watermark_ms, behind).rows()


def window_json(row: WindowRow, watermark_ms: int, behind: Mapping[int, int] = NONE_BEHIND) -> dict[str, bytes]:
    """Return ``window_rows`` as JSON: what the tables have in common, and windows that count the same, is encoded once."""
    return _window(row, watermark_ms, behind).json()


def pane_rows(row: PaneRow, watermark_ms: int, behind: Mapping[int, int] = NONE_BEHIND) -> dict[str, RowJson]:
    """Return the row of each table for one hour pane of one scope; the arguments are those of ``window_rows``."""
    return _pane(row, watermark_ms, behind).rows()


def pane_json(row: PaneRow, watermark_ms: int, behind: Mapping[int, int] = NONE_BEHIND) -> dict[str, bytes]:
    """Return ``pane_rows`` as JSON."""
    return _pane(row, watermark_ms, behind).json()


@dataclass(slots=True)
class _Measures:
    """Measures that follow from counters alone, by table; several rows may share them, so they are not changed.

    Attributes:
        tables: The measures.
        accuracy: Those of the accuracy table as JSON without its braces; empty before they are encoded.
    """

    tables: dict[str, RowJson]
    accuracy: bytes = b""


@dataclass(slots=True)
class _TableRows:
    """The rows of a scope's window or pane in their parts.

    Attributes:
        common: The fields that begin the row of every table.
        measures: The measures.
        own: Measures of a table that do not follow from counters alone, in place of those above.
        evidence: Readings of detectors, by table.
    """

    common: RowJson
    measures: _Measures
    own: dict[str, RowJson]
    evidence: dict[str, RowJson]

    def rows(self) -> dict[str, RowJson]:
        """Return the rows by table."""
        rows = {
            table: {"table": table, **self.common, **self.own.get(table, found)}
            for table, found in self.measures.tables.items()
        }
        for table, readings in self.evidence.items():
            rows[table]["evidence"] = readings
        return rows

    def json(self) -> dict[str, bytes]:
        """Return the rows by table as JSON."""
        common, measures = _inside(self.common), self.measures
        if not measures.accuracy:
            measures.accuracy = _inside(measures.tables["accuracy"])
        rows = {}
        for table in measures.tables:
            body = measures.accuracy if table == "accuracy" else _inside(self.own[table])
            readings = self.evidence.get(table)
            more = b"" if readings is None else b',"evidence":' + json_bytes(readings)
            rows[table] = b'{"table":"%s",%s,%s%s}' % (table.encode(), common, body, more)
        return rows


def _inside(value: RowJson) -> bytes:
    """Return the JSON of an object without its braces."""
    return json_bytes(value)[1:-1]


def _window(row: WindowRow, watermark_ms: int, behind: Mapping[int, int]) -> _TableRows:
    state = row.state
    common = _common(state, row.start_ms, row.end_ms, row.counters, watermark_ms)
    common["window"] = row.window
    found = _TableRows(common, _by_counters(row), {}, {})
    if state.audits_only:
        return found
    oldest_ms = state.oldest_open_ms()
    age_ms = None if oldest_ms is None else max(0, watermark_ms - oldest_ms)
    backlog: int | None = sum(state.open_by_hour.values())
    if not backlog and not WORKERS.isdisjoint(state.scope):
        backlog = None
    tables = found.measures.tables
    _set_pace(pace := dict(tables["throughput"]), _hours(row.start_ms, row.end_ms, watermark_ms))
    _set_open(open_ := dict(tables["sla"]), backlog, age_ms, state.open_as_of_ms(behind))
    found.own = {"throughput": pace, "sla": open_}
    if state.watches:
        found.evidence = state.readings(row.window, watermark_ms)
    if state.queue is not None and has_forecast(row.window):
        open_["forecast"] = outlook_row(outlook(state.queue, watermark_ms, oldest_ms, row.counters))
    return found


def _pane(row: PaneRow, watermark_ms: int, behind: Mapping[int, int]) -> _TableRows:
    state, end_ms, counters = row.state, row.start_ms + HOUR_MS, row.counters
    common = _common(state, row.start_ms, end_ms, counters, watermark_ms)
    common["window"] = "pane"
    common["pane_s"] = HOUR_MS // 1000
    common["pane_start"] = common["start"]
    found = _TableRows(common, _measures(state, counters), {}, {})
    if not state.audits_only:
        tables = found.measures.tables
        _set_pace(pace := dict(tables["throughput"]), _hours(row.start_ms, end_ms, watermark_ms))
        _set_open(open_ := dict(tables["sla"]), None, None, state.open_as_of_ms(behind))
        found.own = {"throughput": pace, "sla": open_}
    return found


def _by_counters(row: WindowRow) -> _Measures:
    """Return what ``_measures`` finds for a window, worked out once for all windows of the scope that count the same."""
    alike = row.alike
    if alike is None:
        return _measures(row.state, row.counters)
    found: _Measures = alike.rendered or _measures(row.state, row.counters)
    alike.left -= 1
    alike.rendered = found if alike.left > 0 else None
    return found


def _measures(state: ScopeState, counters: Counters) -> _Measures:
    """Return the measures; a scope of which only audits are kept has the accuracy table alone, its labels being unknown."""
    parts = parts_of(counters)
    if state.audits_only:
        return _Measures({"accuracy": accuracy(parts, labels_known=False)})
    return _Measures(
        {
            "accuracy": accuracy(parts),
            "throughput": throughput(parts, one_labeler="labeler" in state.scope),
            "sla": sla(parts),
        }
    )


def labels_per_hour(labels: int, start_ms: int, end_ms: int, watermark_ms: int) -> float | None:
    """Return labels through the hours of a range up to the watermark; None while that is less than a minute."""
    return ratio(labels, _hours(start_ms, end_ms, watermark_ms) or 0)


def _hours(start_ms: int, end_ms: int, watermark_ms: int) -> float | None:
    """Return the hours of a range up to the watermark; None while that is less than a minute, too short for a rate."""
    elapsed_ms = min(end_ms, watermark_ms) - start_ms
    return elapsed_ms / HOUR_MS if elapsed_ms >= MINUTE_MS else None


def _common(state: ScopeState, start_ms: int, end_ms: int, counters: Counters, watermark_ms: int) -> RowJson:
    common: RowJson = {
        "scope": state.scope,
        "scope_key": state.key,
        "start": rfc3339(start_ms),
        "end": rfc3339(end_ms),
        "closed": end_ms <= watermark_ms,
        "revision": counters.get(c.REVISION, 0),
        "watermark": rfc3339(watermark_ms),
    }
    if state.partial:
        common["partial"] = True
    return common
