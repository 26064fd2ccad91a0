"""Rules lowered to the detectors of the pure core. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.rules import AccuracyLowRule, CriticalErrorsRule, Rule, SlaAttainmentRule, ThroughputDropRule
from streams.core.detectors.bets import ACCURACY_RATIOS, CRITICAL_RATIOS, NANO, RESOLVE_SLA_BUCKETS, ShareBets
from streams.core.detectors.fleet import bar_for
from streams.core.detectors.watch import Detector, Measure

Evidential = AccuracyLowRule | CriticalErrorsRule | SlaAttainmentRule | ThroughputDropRule


def detectors_of(rules: Iterable[Rule]) -> tuple[Detector, ...]:
    """Return the detectors that rules judging by evidence need, in the rules' order."""
    return tuple(_detector(rule) for rule in rules if isinstance(rule, Evidential) and rule.method == "evidence")


def _detector(rule: Evidential) -> Detector:
    measure: Measure
    model: ShareBets | None
    match rule:
        case AccuracyLowRule():
            measure, model = "accuracy", ShareBets.of(1 - rule.target, ACCURACY_RATIOS, top_nano=_top_nano(rule))
        case CriticalErrorsRule():
            measure, model = "critical_errors", ShareBets.of(rule.target, CRITICAL_RATIOS, top_nano=_top_nano(rule))
        case ThroughputDropRule():
            measure, model = "throughput", None
        case _:
            measure = "sla"
            model = ShareBets.of(1 - rule.target, ACCURACY_RATIOS, resolve_level=RESOLVE_SLA_BUCKETS)
    return Detector(
        name=rule.name,
        measure=measure,
        names=rule.scope.names,
        exact=tuple(sorted(rule.scope.exact.items())),
        window=rule.window,
        model=model,
        bar=bar_for(rule.budget.per_day, rule.budget.days),
    )


def _top_nano(rule: AccuracyLowRule | CriticalErrorsRule) -> int:
    """Return the greatest weight 1/π of the audit plan in 10⁻⁹; 0 if it is not configured."""
    return 0 if rule.least_probability is None else round(NANO / rule.least_probability)
