"""What every kind of rule gives: one evaluator from tables to findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from alerts.baseline import BaselineState
from alerts.signals import AuditSuggestion, Contributor
from alerts.view import Row, RowView, is_live


class RuleContext(Struct, frozen=True):
    """What a rule may look at: tables, the watermark in ms, the trailing baseline. No clock."""

    view: RowView
    watermark_ms: int
    baseline: BaselineState


class Finding(Struct, frozen=True):
    """What an evaluator says of one scope; ``evaluate`` makes a Signal of it."""

    scope: dict[str, str]
    scope_key: str
    firing: bool
    value: float | None
    target: float
    evidence: str
    since_ms: int
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    wish: AuditSuggestion | None = None
    dated: bool = False


class Evaluator(Protocol):
    """One kind of rule. Detectors (e-SR) join as further kinds with state of their own in Context."""

    def __call__(self, rule: Any, context: RuleContext) -> Iterable[Finding]:
        """One finding per scope of the rule that has anything to say, firing or not."""


def live_rows(view: RowView, table: str, window: str, watermark_ms: int) -> dict[str, Row]:
    """Rows whose window still touches the present one.

    A read model keeps the last row of a scope without new events. If that row lies before the present window, it says
    nothing about now, and an alarm on it would never end.
    """
    return {key: row for key, row in view.rows(table, window).items() if is_live(row, window, watermark_ms)}


def labels_of(row: Mapping[str, Any]) -> int:
    """Labels of an accuracy row; where only audits are kept (``tables.audit_scopes``), the audited ones."""
    return int(row["audited"] if row["labels"] is None else row["labels"])


def examples(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Example task ids of a row, at most five; empty where the table has none."""
    return tuple(row.get("examples") or ())[:5]
