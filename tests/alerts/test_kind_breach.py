"""sla_breach_predicted: the row's forecast as an alert."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from alerts.kinds.registry import RuleSet
from streams.core.formatting import rfc3339
from tests.alerts.rows import MINUTE_MS, NOW_MS, one, rule, signals, sla

HOUR_MS = 60 * MINUTE_MS


def forecast(breach_in_ms: int | None = 65 * MINUTE_MS, shortfall: float = 46.0, **more: Any) -> dict[str, Any]:
    breach_at = None if breach_in_ms is None else rfc3339(NOW_MS + breach_in_ms)
    worst = None if breach_in_ms is None else rfc3339(NOW_MS + breach_in_ms + 30 * MINUTE_MS)
    return {
        "open_by_due": [
            [rfc3339(NOW_MS), 12],
            [rfc3339(NOW_MS + HOUR_MS), 700],
            [rfc3339(NOW_MS + 90 * MINUTE_MS), 300],
            [rfc3339(NOW_MS + 5 * HOUR_MS), 88],
        ],
        "basis": "recent rate",
        "tasks_per_hour": 620.4,
        "breach_at": breach_at,
        "shortfall": shortfall if breach_in_ms is not None else 0.0,
        "shortfall_at": worst,
        "spare": -shortfall if breach_in_ms is not None else 31.2,
        "overdue": 12,
        **more,
    }


def row(queue: str = "hate", **more: Any) -> Any:
    return sla({"queue": queue}, 90, 10, backlog=1100, oldest_open_age_ms=HOUR_MS, **more)


def test_a_breach_within_reach_fires_and_says_why() -> None:
    signal = one(rule("sla_breach_predicted"), row(forecast=forecast()))
    assert signal.firing
    assert signal.value == 65 * 60
    assert signal.evidence == (
        "1,100 tasks open, 12 of them overdue; at the pace of the last hour 620 an hour are completed: due times will be "
        "missed from Mon 23 Nov 11:07 UTC on; of 1,012 due by Mon 23 Nov 11:37 UTC (the overdue with them), 46 will not be "
        "done in time, whatever the order"
    )


@pytest.mark.parametrize(
    ("found", "settings", "firing"),
    [
        (forecast(shortfall=9.9), {}, False),
        (forecast(shortfall=10.0), {}, True),
        (forecast(shortfall=10.0), {"min_sample": 11}, False),
        (forecast(8 * HOUR_MS), {}, True),
        (forecast(8 * HOUR_MS + 1000), {}, False),
        (forecast(2 * HOUR_MS), {"target": "1h"}, False),
        (forecast(None), {}, False),
    ],
)
def test_when_it_fires(found: dict[str, Any], settings: dict[str, Any], firing: bool) -> None:
    assert one(rule("sla_breach_predicted", **settings), row(forecast=found)).firing is firing


def test_what_it_says_without_a_breach_and_without_a_pace() -> None:
    calm = one(rule("sla_breach_predicted"), row(forecast=forecast(None)))
    assert calm.evidence.endswith("620 an hour are completed: every due time can be met, with 31 tasks to spare")
    unknown = forecast(None, tasks_per_hour=None, spare=None)
    assert "no pace to forecast by" in one(rule("sla_breach_predicted"), row(forecast=unknown)).evidence


def test_who_holds_the_open_work() -> None:
    parts = [
        sla({"queue": "hate", "policy": name}, 1, 0, backlog=backlog, oldest_open_age_ms=30 * MINUTE_MS)
        for name, backlog in (("P1", 800), ("P2", 300))
    ]
    signal = next(s for s in signals(rule("sla_breach_predicted"), row(forecast=forecast()), *parts) if s.firing)
    assert [(part.dimension, part.value, part.effect_pp) for part in signal.contributors] == [
        ("policy", "P1", -72.73),
        ("policy", "P2", -27.27),
    ]
    assert signal.contributors[0].detail == "800 open tasks, oldest 30 min"


def test_rows_without_a_forecast_say_nothing() -> None:
    assert signals(rule("sla_breach_predicted"), row()) == []


@pytest.mark.parametrize("fields", [{"scope": {"by": "vendor"}}, {"scope": "all"}, {"window": "8h"}])
def test_it_is_a_rule_of_queues(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"queue|1h"):
        RuleSet.model_validate({"rules": [{"name": "r", "kind": "sla_breach_predicted", **fields}]})


def test_its_counts_are_the_measured_ones() -> None:
    found = rule("sla_breach_predicted")
    assert (found.for_evaluations, found.resolve_for) == (10, 30)
