"""Watches as a worker makes them: from the text of a rule."""

from __future__ import annotations

from functools import lru_cache

from alerts.detectors import detectors_of
from alerts.rules_file import parse_rules
from streams.core.detectors.pace import PaceWatch
from streams.core.detectors.watch import Detector, Watch
from streams.core.scope_state import watch_of


@lru_cache(maxsize=64)
def detector_of_rule(rule: str) -> Detector:
    """Return the detector that a rule by evidence needs; ``rule`` is one line of YAML."""
    (detector,) = detectors_of(parse_rules(f"rules: [{rule}]").rules)
    return detector


def watch_of_rule(rule: str, zone: str = "UTC") -> Watch | PaceWatch:
    """Return the watch that a worker has for a rule on one scope.

    Args:
        rule: A rule by evidence as in ``alerts.rules``, in one line of YAML.
        zone: Time zone of the scope.

    Example:
        >>> rule = "{name: drop, kind: throughput_drop, scope: all, method: evidence, budget: {per_day: 24, days: 300}}"
        >>> watch_of_rule(rule).detector.bar
        7200.0
    """
    return watch_of(detector_of_rule(rule), zone)
