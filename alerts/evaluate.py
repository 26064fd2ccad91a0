"""Rules over tables to signals. Pure: no clock, no state but what is passed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from alerts.baseline import BaselineState
from alerts.kinds.base import Faults, Finding, RuleContext
from alerts.kinds.judged import attempt
from alerts.kinds.registry import KIND_OF
from alerts.rules import Rule
from alerts.scopes import board_path, scope_of_key
from alerts.signals import Signal
from alerts.view import RowView

Cuts = Mapping[str, Collection[frozenset[str]]]
"""By the name of a window the kinds of scopes, each by its dimensions, of which it has series on the board."""

RUNBOOKS_PATH = "docs/runbooks"


def runbook_path(kind: str) -> str:
    """Path of the page that says what to do about a kind of alert."""
    return f"{RUNBOOKS_PATH}/{kind}.md"


def evaluate(
    rules: Iterable[Rule],
    view: RowView,
    watermark_ms: int,
    baseline: BaselineState,
    cuts: Cuts | None = None,
    faults: Faults | None = None,
) -> list[Signal]:
    """What every rule says of every scope it selects, firing or not.

    Args:
        rules: The rules.
        view: Rows of one moment.
        watermark_ms: The watermark of that moment.
        baseline: Trailing throughput counts; advance it after this call with ``baseline.advance``.
        cuts: By window the kinds of scopes that have series on the board; None: all have.
        faults: Takes the scopes whose rows raised, so that all others have their signals. Without it the first is raised.

    Returns:
        Signals by rule, wider scopes before the narrower ones they inhibit.
    """
    context = RuleContext(view, watermark_ms, baseline, faults)
    signals: list[Signal] = []
    for rule in rules:
        findings = sorted(
            KIND_OF[rule.kind].evaluate(rule, context), key=lambda found: (len(found.scope), found.scope_key)
        )
        made = [
            attempt(rule, context, found.scope_key, partial(_signal, rule, found, watermark_ms, cuts))
            for found in findings
        ]
        said = [signal for signal in made if signal is not None]
        signals += said
        if faults:
            _tell_silent(rule, faults, {signal.scope_key for signal in said})
    return signals


def _signal(rule: Rule, found: Finding, watermark_ms: int, cuts: Cuts | None) -> Signal:
    of_window = None if cuts is None else cuts.get(rule.window, ())
    return Signal(
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
        board_path=board_path(found.scope, rule.window, found.since_ms, cuts=of_window),
        runbook_path=runbook_path(rule.kind),
        wish=found.wish,
        dated=found.dated,
        holds=found.holds,
        figures=found.figures,
    )


def _tell_silent(rule: Rule, faults: Faults, said: set[str]) -> None:
    """Mark the faults by which a scope that the rule selects has no signal."""
    for key, fault in faults.items():
        if fault.rule == rule.name and fault.scope_key not in said:
            scope = scope_of_key(fault.scope_key)
            faults[key] = fault._replace(silent=scope is not None and rule.scope.matches(scope))
