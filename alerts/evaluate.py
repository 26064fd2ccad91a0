"""Rules over tables to signals. Pure: no clock, no state but what is passed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from alerts.baseline import BaselineState
from alerts.kinds.base import RuleContext
from alerts.kinds.registry import KIND_OF
from alerts.rules import Rule
from alerts.scopes import board_path
from alerts.signals import Signal
from alerts.view import RowView

RUNBOOKS_PATH = "docs/runbooks"


def runbook_path(kind: str) -> str:
    """Path of the page that says what to do about a kind of alert."""
    return f"{RUNBOOKS_PATH}/{kind}.md"


def evaluate(
    rules: Iterable[Rule],
    view: RowView,
    watermark_ms: int,
    baseline: BaselineState,
    cuts: Collection[frozenset[str]] | None = None,
) -> list[Signal]:
    """What every rule says of every scope it selects, firing or not.

    Args:
        rules: The rules.
        view: Rows of one moment.
        watermark_ms: The watermark of that moment.
        baseline: Trailing throughput counts; advance it after this call with ``baseline.advance``.
        cuts: Kinds of scopes that have series on the board; None: all.

    Returns:
        Signals by rule, wider scopes before the narrower ones they inhibit.
    """
    context = RuleContext(view, watermark_ms, baseline)
    signals: list[Signal] = []
    for rule in rules:
        findings = sorted(
            KIND_OF[rule.kind].evaluate(rule, context), key=lambda found: (len(found.scope), found.scope_key)
        )
        signals += [
            Signal(
                rule=rule.name,
                kind=rule.kind,
                scope=found.scope,
                scope_key=found.scope_key,
                firing=found.firing,
                value=found.value,
                target=found.target,
                evidence=found.evidence,
                since_ms=found.since_ms,
                watermark_ms=watermark_ms,
                window=rule.window,
                contributors=found.contributors,
                examples=found.examples,
                board_path=board_path(found.scope, rule.window, found.since_ms, cuts=cuts),
                runbook_path=runbook_path(rule.kind),
                wish=found.wish,
                dated=found.dated,
                holds=found.holds,
            )
            for found in findings
        ]
    return signals
