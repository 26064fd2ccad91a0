"""accuracy_low: evidence that true accuracy is below target."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.contributors import PartCounts
from alerts.kinds.base import Finding, RuleContext, labels_of
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import AccuracyLowRule
from alerts.view import Row
from streams.core.formatting import interval, percent, plural
from streams.core.rca.slices import row_tally
from streams.core.window_names import window_words


def read(row: Row) -> PartCounts:
    """Correct of audited labels; technical errors are left out, as they are not held against a person."""
    technical = int((row.get("wrong") or {}).get("technical") or 0)
    return PartCounts(int(row["correct"]), int(row["audited"]) - technical, labels_of(row))


def sampled(row: Row) -> PartCounts:
    """The audits that are a sample of the work, by weight. Parts are compared by these."""
    return PartCounts.of(row_tally("accuracy", row), labels_of(row))


def evaluate(rule: AccuracyLowRule, context: RuleContext) -> Iterable[Finding]:
    """Raw audited accuracy of each selected scope against ``rule.target`` by the 95% Wilson interval."""

    def sentence(row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        technical = int(row["audited"]) - cell.total
        left_out = f" ({plural(technical, 'technical error')} left out)" if technical else ""
        return (
            f"accuracy {percent(cell.good / cell.total)} (Wilson {interval(*ends, rule.target)}) over "
            f"{plural(cell.total, 'audit')}{left_out} in {window_words(rule.window)}, target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="audits",
        good_target=rule.target,
        read=read,
        sampled=sampled,
        value=lambda cell: cell.good / cell.total,
        sentence=sentence,
        part=lambda cell: f"{percent(cell.tally.share)} of {plural(cell.total, 'audit')}" if cell.total else "none",
    )
    return evaluate_share(rule, context, share)
