"""critical_errors: evidence that more labels carry a critical error than allowed."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.contributors import PartCounts
from alerts.kinds.base import Finding, RuleContext, labels_of
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import CriticalErrorsRule
from alerts.view import Row
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words


def read(row: Row) -> PartCounts:
    """Audited labels without a critical error, of all audited."""
    audited = int(row["audited"])
    return PartCounts(audited - int(row["critical_errors"]), audited, labels_of(row))


def _bad(cell: PartCounts) -> float:
    return (cell.total - cell.good) / cell.total


def evaluate(rule: CriticalErrorsRule, context: RuleContext) -> Iterable[Finding]:
    """Critical-error ratio of each selected scope against ``rule.target``, the most allowed."""

    def sentence(_row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        return (
            f"critical errors {percent(_bad(cell), 2)} (Wilson {interval(1 - ends[1], 1 - ends[0], rule.target)}): "
            f"{cell.total - cell.good:,} in {plural(cell.total, 'audit')} in {window_words(rule.window)}, "
            f"at most {percent(rule.target, 2)} allowed"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="audits",
        good_target=1 - rule.target,
        read=read,
        value=_bad,
        sentence=sentence,
        part=lambda cell: f"{cell.total - cell.good:,} critical in {plural(cell.total, 'audit')}",
    )
    return evaluate_share(rule, context, share)
