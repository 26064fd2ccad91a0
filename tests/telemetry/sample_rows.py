"""A small floor's rows as the scopes agent publishes them, for tests that need something to export."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

SITES = ("KUL", "MNL")
VENDORS = ("inhouse", "bpo-a", "bpo-b")
QUEUES = ("hate", "spam")
POLICIES = ("P1", "P3")
_START, _END, _WATERMARK = "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", "2026-03-01T09:59:30Z"


def scopes() -> list[dict[str, str]]:
    """Return every scope of the small floor, one labeller's among them."""
    found: list[dict[str, str]] = [{}]
    found += [{"site": site} for site in SITES]
    found += [{"vendor": vendor} for vendor in VENDORS]
    found += [{"team": "t1"}, {"market": "en-US"}, {"priority": "high"}, {"labeler": "ann"}]
    found += [{"queue": queue} for queue in QUEUES]
    found += [{"policy": policy} for policy in POLICIES]
    found += [{"vendor": vendor, "queue": queue} for vendor in VENDORS for queue in QUEUES]
    found += [{"queue": queue, "policy": policy} for queue in QUEUES for policy in POLICIES]
    return found


def scope_key(scope: dict[str, str]) -> str:
    """Return the scope's key."""
    return ",".join(f"{name}={value}" for name, value in scope.items()) or "all"


def _common(table: str, scope: dict[str, str], window: str) -> Row:
    return {
        "table": table,
        "scope": scope,
        "scope_key": scope_key(scope),
        "window": window,
        "start": _START,
        "end": _END,
        "closed": False,
        "revision": 3,
        "watermark": _WATERMARK,
    }


def accuracy_row(scope: dict[str, str], window: str = "1h", **fields: object) -> Row:
    """Return an accuracy row: 200 labels, 40 audited, 38 correct."""
    row = _common("accuracy", scope, window)
    row |= {
        "labels": 200,
        "audited": 40,
        "correct": 38,
        "targeted": 2,
        "assumed": 3,
        "weight_sum": 760.0,
        "weight_correct": 722.0,
    }
    row |= {"accuracy_estimate_ratio": 0.95, "accuracy_low_ratio": 0.835, "accuracy_high_ratio": 0.986}
    row |= {"raw_accuracy_ratio": 0.93, "weighted_accuracy_ratio": 0.94, "wilson_low_ratio": 0.835}
    row |= {"wilson_high_ratio": 0.986, "coverage_ratio": 0.2, "critical_errors": 1, "critical_error_ratio": 0.025}
    row |= {"critical_error_estimate_ratio": 0.02, "critical_error_low_ratio": 0.001, "critical_error_high_ratio": 0.12}
    row |= {"appeals_opened": 5, "appeals_decided": 4, "appeals_overturned": 1, "overturn_ratio": 0.25}
    return {**row, **fields}


def throughput_row(scope: dict[str, str], window: str = "1h", **fields: object) -> Row:
    """Return a throughput row: 200 labels an hour by 12 labellers."""
    row = _common("throughput", scope, window)
    row |= {"labels": 200, "labels_per_hour": 200.0, "handled": 200, "handle_ms_sum": 9_000_000}
    row |= {"handle_ms_mean": 45_000.0, "handle_ms_p50": 41_000, "handle_ms_p90": 80_000, "handle_ms_p95": 95_500}
    row |= {"active_labelers": 12, "labels_per_productive_hour": 80.0}
    return {**row, **fields}


def sla_row(scope: dict[str, str], window: str = "1h", **fields: object) -> Row:
    """Return an SLA row: 50 due, 47 met."""
    row = _common("sla", scope, window)
    row |= {"due": 50, "met": 47, "missed": 3, "late": 2, "overdue_open": 1, "open_due": 0, "cancelled": 1, "no_sla": 0}
    row |= {"attainment_ratio": 0.94, "completed": 48, "turnaround_ms_p50": 600_000, "turnaround_ms_p90": 1_800_000}
    row |= {
        "turnaround_ms_p95": 2_400_000,
        "turnaround_ms_p99": 3_500_000,
        "backlog": 17,
        "oldest_open_age_ms": 7_200_000,
    }
    if tuple(scope) == ("queue",) and window == "1h":
        breach = {"breach_at": "2026-03-01T11:29:30Z", "shortfall": 31.5, "tasks_per_hour": 48.0}
        row["forecast"] = breach
    return {**row, **fields}


def floor_rows(windows: tuple[str, ...] = ("1h", "24h")) -> list[Row]:
    """Return the three tables of every scope in those windows."""
    makers = (accuracy_row, throughput_row, sla_row)
    return [make(scope, window) for window in windows for scope in scopes() for make in makers]


def open_incidents() -> list[Row]:
    """Return two incidents that are open and three that are not, or not yet."""
    return [
        {"incident_key": "a1", "rule": "accuracy-low", "severity": "critical", "state": "open"},
        {"incident_key": "a2", "rule": "accuracy-low", "severity": "critical", "state": "acknowledged"},
        {"incident_key": "a3", "rule": "sla-attainment", "severity": "warning", "state": "resolved"},
        {"incident_key": "a4", "rule": "accuracy-low", "severity": "critical", "state": "pending"},
        {"incident_key": "a5", "rule": "accuracy-low", "severity": "critical", "state": "quiet"},
    ]
