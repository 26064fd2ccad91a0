"""Which evaluator serves which kind. A new kind is a rule class, a module here, one line below and a runbook."""

from __future__ import annotations

from alerts.kinds import (
    accuracy_low,
    agreement_low,
    backlog_age,
    critical_errors,
    dead_letters,
    exposure_cap,
    overturns_high,
    rushing,
    sla_attainment,
    sla_breach_predicted,
    source_silent,
    throughput_drop,
)
from alerts.kinds.base import Evaluator

UNFED: dict[str, str] = {
    "dead_letters": "use Prometheus' FloorwatchDeadLetters (prometheus/alerting_rules.py) instead",
    "source_silent": "alert on the gateway's requests in Prometheus instead (docs/metrics.md)",
}
"""Kinds whose rows are not written yet, with what to do instead. A configuration that names one is refused."""

EVALUATORS: dict[str, Evaluator] = {
    "accuracy_low": accuracy_low.evaluate,
    "critical_errors": critical_errors.evaluate,
    "sla_attainment": sla_attainment.evaluate,
    "sla_breach_predicted": sla_breach_predicted.evaluate,
    "throughput_drop": throughput_drop.evaluate,
    "backlog_age": backlog_age.evaluate,
    "overturns_high": overturns_high.evaluate,
    "agreement_low": agreement_low.evaluate,
    "dead_letters": dead_letters.evaluate,
    "source_silent": source_silent.evaluate,
    "exposure_cap": exposure_cap.evaluate,
    "rushing": rushing.evaluate,
}
