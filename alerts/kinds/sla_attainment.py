"""sla_attainment: evidence that too many due tasks are missed."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.contributors import PartCounts
from alerts.kinds.base import Finding, RuleContext
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import SlaAttainmentRule
from alerts.view import Row
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words


def read(row: Row) -> PartCounts:
    """Met of decided tasks. Tasks due later in the last pane and still open are neither met nor missed yet."""
    met, missed = int(row["met"]), int(row["missed"])
    return PartCounts(met, met + missed, met + missed)


def evaluate(rule: SlaAttainmentRule, context: RuleContext) -> Iterable[Finding]:
    """Attainment of each selected scope against ``rule.target``; open tasks past their due time count as missed."""

    def sentence(row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        overdue = int(row.get("overdue_open") or 0)
        still_open = f" ({overdue:,} still open)" if overdue else ""
        return (
            f"SLA attainment {percent(cell.good / cell.total)} (Wilson {interval(*ends, rule.target)}): "
            f"{cell.total - cell.good:,} missed{still_open} of {plural(cell.total, 'task')} due in "
            f"{window_words(rule.window)}, target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="sla",
        noun="due tasks",
        good_target=rule.target,
        read=read,
        value=lambda cell: cell.good / cell.total,
        sentence=sentence,
        part=lambda cell: f"{cell.total - cell.good:,} missed of {cell.total:,} due",
    )
    return evaluate_share(rule, context, share)
