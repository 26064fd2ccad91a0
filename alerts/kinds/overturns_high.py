"""overturns_high: appeals against what was decided succeed too often."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.contributors import PartCounts
from alerts.kinds.base import Finding, RuleContext, labels_of
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import OverturnsHighRule
from alerts.view import Row
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words


def read(row: Row) -> PartCounts:
    """Appeals that changed nothing, of all decided."""
    decided = int(row.get("appeals_decided") or 0)
    return PartCounts(decided - int(row.get("appeals_overturned") or 0), decided, labels_of(row))


def _bad(cell: PartCounts) -> float:
    return (cell.total - cell.good) / cell.total


def evaluate(rule: OverturnsHighRule, context: RuleContext) -> Iterable[Finding]:
    """Overturned share of the decided appeals of each selected scope against ``rule.target``, the most allowed.

    Fires when the lower end of the Wilson interval ``rule.min_z`` wide is above the target (source: alerts.statistics).
    Appeals are not a sample of the labels: this is a number about appeals, not about accuracy.
    """

    def sentence(_row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        return (
            f"{percent(_bad(cell))} of decided appeals overturned (Wilson {interval(1 - ends[1], 1 - ends[0], rule.target)}): "
            f"{cell.total - cell.good:,} of {cell.total:,} about labels of {window_words(rule.window)}, "
            f"at most {percent(rule.target)} wanted"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="appeals",
        good_target=1 - rule.target,
        read=read,
        value=_bad,
        sentence=sentence,
        part=lambda cell: f"{cell.total - cell.good:,} overturned of {plural(cell.total, 'appeal')}",
        z=rule.min_z,
    )
    return evaluate_share(rule, context, share)
