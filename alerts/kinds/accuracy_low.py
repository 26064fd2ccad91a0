"""accuracy_low: evidence that true accuracy is below target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from alerts.contributors import PartCounts
from alerts.kinds.base import DetectorModel, Finding, KindSpec, RuleContext, assumed_words, labels_of, top_nano
from alerts.kinds.share_rule import ShareMeasure, evaluate_share
from alerts.rules import Budget, FalseAlarms, LeastProbability, Method, Ratio, Reference, Rule
from alerts.view import Row
from streams.core.detectors.bets import ACCURACY_RATIOS, ShareBets
from streams.core.formatting import interval, percent, plural
from streams.core.rca.slices import row_tally
from streams.core.window_names import window_words


class AccuracyLowRule(Rule):
    """Fires on evidence that accuracy is below ``target`` (or, by interval, when its upper end is)."""

    kind: Literal["accuracy_low"]
    target: Ratio = 0.95
    method: Method = "evidence"
    budget: FalseAlarms = Budget()
    least_probability: LeastProbability = None
    min_sample: int = Field(default=50, ge=1, description="Least audits, by interval.")
    reference: Reference = None


def read(row: Row) -> PartCounts:
    """Correct of audited labels; technical errors are left out, as they are not held against a person."""
    technical = int((row.get("wrong") or {}).get("technical") or 0)
    return PartCounts(int(row["correct"]), int(row["audited"]) - technical, labels_of(row))


def sampled(row: Row) -> PartCounts:
    """The audits that are a sample of the work, by weight. Parts are compared by these."""
    return PartCounts.of(row_tally("accuracy", row), labels_of(row))


def detector(rule: AccuracyLowRule) -> DetectorModel:
    """Bets on the share of wrong labels, above the share that the target allows."""
    bets = ShareBets.of(1 - rule.target, ACCURACY_RATIOS, top_nano=top_nano(rule.least_probability))
    return DetectorModel("accuracy", bets)


def evaluate(rule: AccuracyLowRule, context: RuleContext) -> Iterable[Finding]:
    """Raw audited accuracy of each selected scope against ``rule.target``: by evidence, or by the exact test.

    Source of both: ``evaluate_share``.
    """

    def sentence(row: Row, cell: PartCounts, ends: tuple[float, float]) -> str:
        technical = int(row["audited"]) - cell.total
        left_out = f" ({plural(technical, 'technical error')} left out)" if technical else ""
        return (
            f"accuracy {percent(cell.good / cell.total)} (95% interval {interval(*ends, rule.target)}) over "
            f"{plural(cell.total, 'audit')}{assumed_words(row)}{left_out} in {window_words(rule.window)}, target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="audits",
        good_target=rule.target,
        read=read,
        sampled=sampled,
        detector=detector,
        value=lambda cell: cell.good / cell.total,
        sentence=sentence,
        part=lambda cell: f"{percent(cell.tally.share)} of {plural(cell.total, 'audit')}" if cell.total else "none",
    )
    return evaluate_share(rule, context, share)


KIND = KindSpec(AccuracyLowRule, evaluate, "Accuracy below target", detector, coaching=True)
