"""Rules lowered to the detectors of the pure core. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alerts.kinds.registry import KIND_OF
from alerts.rules import Rule
from streams.core.detectors.fleet import bar_for
from streams.core.detectors.watch import Detector


def detectors_of(rules: Iterable[Rule]) -> tuple[Detector, ...]:
    """Return the detectors that rules judging by evidence need, in the rules' order."""
    return tuple(detector for rule in rules if (detector := _detector(rule)) is not None)


def _detector(rule: Any) -> Detector | None:
    lower = KIND_OF[rule.kind].detector
    if lower is None or rule.method != "evidence":
        return None
    measure, model = lower(rule)
    return Detector(
        name=rule.name,
        measure=measure,
        names=rule.scope.names,
        exact=tuple(sorted(rule.scope.exact.items())),
        window=rule.window,
        model=model,
        bar=bar_for(rule.budget.per_day, rule.budget.days),
    )
