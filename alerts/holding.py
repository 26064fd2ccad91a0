"""Signals that keep incidents as they are while a rule cannot judge their scopes. Pure.

An incident of which nothing is heard for two windows of its rule ends. A fault says nothing of the floor, so it must neither end
nor open one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from alerts.baseline import BaselineState
from alerts.evaluate import runbook_path
from alerts.kinds.base import ScopeFault
from alerts.rules import Rule
from alerts.scopes import scope_of_key
from alerts.signals import Signal
from alerts.view import RowView
from streams.core.policy import HOUR_MS
from streams.core.tables import TABLES
from streams.core.window_names import window_ms


def holds_after_ms(rule: Rule) -> int:
    """Return after how long (event time) without a judgement a scope's incident is held: half a window, at most half an hour.

    Not at once, because a signal that holds begins the count of firings in a row anew (``for``). A fault that comes and goes would
    keep a rule from ever opening an incident.
    """
    return min(HOUR_MS, window_ms(rule.window)) // 2


def holding_signals(
    rule: Rule, fault: ScopeFault, view: RowView, baseline: BaselineState, watermark_ms: int
) -> list[Signal]:
    """Return the signals that hold the incidents of what a fault left without a judgement.

    Args:
        rule: The rule of the fault.
        fault: The fault; without a scope, it is every scope that the rule selects.
        view: The rows of the moment.
        baseline: What is usual. It knows scopes whose rows are gone.
        watermark_ms: The watermark of the moment.

    Returns:
        One signal a scope, not firing, with the reason as its evidence.
    """
    keys = [fault.scope_key] if fault.scope_key else sorted(_all_keys(rule, view, baseline))
    evidence = f"not judged, so it stays as it was: {fault.reason} (prometheus/runbooks.md, FloorwatchScopesNotJudged)"
    return [
        Signal(
            rule=rule.name,
            kind=rule.kind,
            scope=scope,
            scope_key=key,
            firing=False,
            value=None,
            target=float(getattr(rule, "target", 0.0)),
            evidence=evidence,
            since_ms=watermark_ms,
            watermark_ms=watermark_ms,
            window=rule.window,
            runbook_path=runbook_path(rule.kind),
            holds=True,
        )
        for key, scope in _selected(rule, keys)
    ]


def without_text(signal: Signal) -> Signal:
    """Return a signal that says whether it fires and holds, and leaves out all that may not be possible to write."""
    return structs.replace(
        signal,
        value=None,
        evidence="the text of this alert could not be written (prometheus/runbooks.md, FloorwatchScopesNotJudged)",
        since_ms=signal.watermark_ms,
        contributors=(),
        examples=(),
        wish=None,
        dated=False,
    )


def _all_keys(rule: Rule, view: RowView, baseline: BaselineState) -> set[str]:
    return {*baseline.scope_keys(rule.window), *(key for table in TABLES for key in view.rows(table, rule.window))}


def _selected(rule: Rule, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for key in keys:
        scope = scope_of_key(key)
        if scope is not None and rule.scope.matches(scope):
            yield key, scope
