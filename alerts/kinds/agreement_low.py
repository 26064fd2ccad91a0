"""agreement_low: people who label the same task decide it differently too often."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.contributors import PartCounts
from alerts.kinds.base import Finding, RuleContext, labels_of
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import AgreementLowRule
from alerts.view import Row
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words


def read(row: Row) -> PartCounts:
    """Tasks decided alike by all, of those that several people labelled."""
    return PartCounts(int(row.get("unanimous") or 0), int(row.get("overlapped") or 0), labels_of(row))


def evaluate(rule: AgreementLowRule, context: RuleContext) -> Iterable[Finding]:
    """Raw agreement of each selected scope against ``rule.target``.

    Fires when the upper end of the Wilson interval ``rule.min_z`` wide is below the target (source: alerts.statistics).
    """

    def sentence(_row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        return (
            f"all agreed on {percent(cell.good / cell.total)} (Wilson {interval(*ends, rule.target)}) of "
            f"{plural(cell.total, 'task')} labelled by several people in {window_words(rule.window)}, "
            f"target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="tasks labelled by several people",
        good_target=rule.target,
        read=read,
        value=lambda cell: cell.good / cell.total,
        sentence=sentence,
        part=lambda cell: (
            f"{percent(cell.good / cell.total)} of {plural(cell.total, 'task')}" if cell.total else "none"
        ),
        z=rule.min_z,
    )
    return evaluate_share(rule, context, share)
