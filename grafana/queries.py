"""Every query of every board, as data, each with what a right answer looks like.

The tests interpolate each query, run it on a real Prometheus that scrapes a real worker, and hold the answer against
``expect``; the board cannot hold a query that is not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.scopes import BOARD_FILTERS

SLICED_BY: Mapping[str, str] = {
    "vendor": "vendor",
    "site": "site",
    "queue": "queue",
    "team": "team",
    "policy": "policy",
    "market": "market",
    "priority": "priority",
    "vendor × queue": "vendor_queue",
    "queue × policy": "queue_policy",
}
"""Choices of the board's ``by`` variable: text shown and the ``scope_kind`` it stands for; the first is the default."""

FILTERS = BOARD_FILTERS

_ONE = 'scope="$scope",window="$window"'
_SLICES = 'scope_kind="$by",window="$window",' + ",".join(f'{name}=~"${name}"' for name in FILTERS)
# Counts that are truly zero must show 0 and not "No data"; but only while a worker is there to know it.
_OR_ZERO = ' or 0 * sum(floorwatch_build_info{component="worker"})'
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Expect:
    """What a right answer looks like on a floor with data.

    Attributes:
        labels: Labels that every series has, and no others.
        low: Least value allowed.
        high: Greatest value allowed.
        min_series: Fewest series.
    """

    labels: frozenset[str] = frozenset()
    low: float = 0.0
    high: float = float("inf")
    min_series: int = 1


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query.

    Attributes:
        key: Its name, also its refId on a panel.
        expr: PromQL with the board's variables.
        legend: Grafana legend format.
        expect: What a right answer looks like.
    """

    key: str
    expr: str
    legend: str
    expect: Expect


_NUMBER = Expect()
_RATIO = Expect(high=1.0)
_RATIO_BY_SCOPE = Expect(frozenset({"scope"}), high=1.0)
_BY_SCOPE = Expect(frozenset({"scope"}))


def _one(key: str, metric: str, legend: str, expect: Expect = _NUMBER) -> Query:
    return Query(key, f"max(floorwatch_{metric}{{{_ONE}}})", legend, expect)


def _slices(key: str, metric: str, expect: Expect = _BY_SCOPE) -> Query:
    # max by (scope): a scope lives on one worker, and which one is of no interest here.
    return Query(key, f"max by (scope) (floorwatch_{metric}{{{_SLICES}}})", "{{scope}}", expect)


def _forecast(key: str, metric: str) -> Query:
    # Rows of a queue's last hour carry the forecast, whatever window and cut the reader has chosen.
    chosen = '{window="1h",scope_kind="queue"}'
    return Query(key, f"max by (scope) (floorwatch_{metric}{chosen})", "{{scope}}", _BY_SCOPE)


def _handle_time(key: str, level: str) -> Query:
    expr = f'max(floorwatch_handle_time_seconds{{{_ONE},quantile="{level}"}})'
    return Query(key, expr, f"p{round(float(level) * 100)}", _NUMBER)


_ALL = (
    _one("accuracy", "accuracy_estimate_ratio", "accuracy", _RATIO),
    _one("accuracy_low", "accuracy_low_ratio", "95% lower", _RATIO),
    _one("accuracy_high", "accuracy_high_ratio", "95% upper", _RATIO),
    _one("accuracy_raw", "accuracy_raw_ratio", "raw share of all audits", _RATIO),
    _one("labels_per_hour", "labels_per_hour", "labels/h"),
    _one("attainment", "sla_attainment_ratio", "SLA attainment", _RATIO),
    _one("backlog", "backlog_tasks", "backlog"),
    _one("oldest_open", "oldest_open_task_age_seconds", "oldest open"),
    _one("sla_due", "sla_due", "due"),
    _one("sla_met", "sla_met", "met"),
    _one("sla_missed", "sla_missed", "missed"),
    _handle_time("handle_p50", "0.5"),
    _handle_time("handle_p90", "0.9"),
    _handle_time("handle_p95", "0.95"),
    _slices("accuracy_by", "accuracy_estimate_ratio", _RATIO_BY_SCOPE),
    _slices("accuracy_low_by", "accuracy_low_ratio", _RATIO_BY_SCOPE),
    _slices("accuracy_high_by", "accuracy_high_ratio", _RATIO_BY_SCOPE),
    _slices("accuracy_raw_by", "accuracy_raw_ratio", _RATIO_BY_SCOPE),
    _slices("critical_by", "critical_error_estimate_ratio", _RATIO_BY_SCOPE),
    _slices("overturn_by", "overturn_ratio", _RATIO_BY_SCOPE),
    _slices("audited_by", "audited_labels"),
    _slices("assumed_by", "audited_assumed_labels"),
    _slices("labels_by", "labels"),
    _slices("labels_per_hour_by", "labels_per_hour"),
    _slices("labelers_by", "active_labelers"),
    _slices("attainment_by", "sla_attainment_ratio", _RATIO_BY_SCOPE),
    _slices("backlog_by", "backlog_tasks"),
    _slices("oldest_open_by", "oldest_open_task_age_seconds"),
    _forecast("breach_by", "forecast_breach_seconds"),
    _forecast("shortfall_by", "forecast_shortfall_tasks"),
    Query("incidents", "sum(floorwatch_incidents_open)" + _OR_ZERO, "open incidents", _NUMBER),
    Query(
        "incidents_by",
        "sum by (rule, severity) (floorwatch_incidents_open)",
        "{{rule}} ({{severity}})",
        Expect(frozenset({"rule", "severity"})),
    ),
    Query("watermark_lag", "time() - min(floorwatch_floor_watermark_timestamp_seconds)", "watermark lag", _NUMBER),
    Query(
        "watermark_lag_by",
        "time() - max by (partition) (floorwatch_watermark_timestamp_seconds)",
        "partition {{partition}}",
        Expect(frozenset({"partition"})),
    ),
    Query("lag", "sum by (stage) (floorwatch_lag_records)", "{{stage}}", Expect(frozenset({"stage"}))),
    Query(
        "folded",
        "sum by (stage) (rate(floorwatch_events_folded_total[$__rate_interval]))",
        "{{stage}}",
        Expect(frozenset({"stage"})),
    ),
    Query("dead_letters", "sum(increase(floorwatch_dead_letters_total[1h]))", "dead letters", _NUMBER),
    Query(
        "dead_letters_by",
        "sum by (stage, code) (increase(floorwatch_dead_letters_total[$__rate_interval]))",
        "{{stage}}: {{code}}",
        Expect(frozenset({"stage", "code"})),
    ),
    Query("duplicates", "sum(rate(floorwatch_duplicates_total[$__rate_interval]))", "duplicates", _NUMBER),
    Query("late", "sum(rate(floorwatch_late_events_total[$__rate_interval]))", "late", _NUMBER),
    Query("refused", "sum(rate(floorwatch_scopes_refused_total[$__rate_interval]))", "scopes refused by cap", _NUMBER),
    Query(
        "flush_p95",
        "histogram_quantile(0.95, sum by (stage, le) (rate(floorwatch_flush_seconds_bucket[$__rate_interval])))",
        "{{stage}}",
        Expect(frozenset({"stage"})),
    ),
    Query("waiting", "max by (on) (floorwatch_waiting_seconds)", "{{on}}", Expect(frozenset({"on"}))),
)

QUERIES: Mapping[str, Query] = {query.key: query for query in _ALL}


def interpolate(expr: str, values: Mapping[str, str]) -> str:
    """Return a query with the board's variables replaced, as Grafana would.

    Args:
        expr: PromQL with ``$name`` or ``${name}``.
        values: Value per name, ``__rate_interval`` among them.

    Raises:
        KeyError: If the query names a variable that is not given.

    Example:
        >>> interpolate('floorwatch_labels{window="$window"}', {"window": "1h"})
        'floorwatch_labels{window="1h"}'
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expr)
