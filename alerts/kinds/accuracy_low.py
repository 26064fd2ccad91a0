"""accuracy_low: evidence that true accuracy is below target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from alerts.contributors import PartCounts
from alerts.incident import Incident
from alerts.kinds.base import DetectorModel, Finding, KindSpec, RuleContext, labels_of, sample_words, top_nano
from alerts.kinds.share_rule import ShareMeasure, ShareSeen, evaluate_share
from alerts.kinds.words import Phrase, of, phrase
from alerts.rules import Budget, FalseAlarms, LeastProbability, Method, Ratio, Reference, Rule
from alerts.view import Row
from streams.core.detectors.bets import ACCURACY_RATIOS, ShareBets
from streams.core.estimates import accuracy_drawn, accuracy_share
from streams.core.formatting import interval, percent, plural
from streams.core.rca.slices import row_tally
from streams.core.stand_for import awaited_audits
from streams.core.window_names import window_words


class AccuracyLowRule(Rule):
    """Fires on evidence that accuracy is below ``target`` (or, by interval, when its upper end is)."""

    tables_read: ClassVar[tuple[str, ...]] = ("accuracy",)
    kind: Literal["accuracy_low"]
    target: Ratio = 0.95
    method: Method = "evidence"
    budget: FalseAlarms = Budget()
    least_probability: LeastProbability = None
    min_sample: int = Field(default=50, ge=1, description="Least audits, by interval.")
    reference: Reference = None


def read(row: Row) -> PartCounts:
    """Correct of the labels that audits drew at random; technical errors are left out, as they are not held against a person."""
    drawn = accuracy_drawn(row)
    return PartCounts(drawn.audits - drawn.wrong, drawn.audits, labels_of(row))


def sampled(row: Row) -> PartCounts:
    """The audits that are a sample of the work, by weight. Parts are compared by these."""
    return PartCounts.of(row_tally("accuracy", row), labels_of(row))


def detector(rule: AccuracyLowRule) -> DetectorModel:
    """Bets on the share of wrong labels, above the share that the target allows."""
    bets = ShareBets.of(1 - rule.target, ACCURACY_RATIOS, top_nano=top_nano(rule.least_probability))
    return DetectorModel("accuracy", bets)


def evaluate(rule: AccuracyLowRule, context: RuleContext) -> Iterable[Finding]:
    """Estimated accuracy of each selected scope against ``rule.target``: by evidence, or by the limits of one window.

    Source of both: ``evaluate_share``; of the estimate: ``streams.core.estimates``.
    """

    def sentence(row: Row, seen: ShareSeen) -> str:
        total = seen.counts.total
        return (
            f"accuracy {percent(seen.share)} (95% interval {interval(*seen.ends, rule.target)}) over "
            f"{plural(total, 'audit')}{sample_words(row, total)} in {window_words(rule.window)}, target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="random audits",
        good_target=rule.target,
        read=read,
        estimate=accuracy_share,
        awaited=awaited_audits,
        sampled=sampled,
        detector=detector,
        value=lambda seen: seen.share,
        sentence=sentence,
        figures=lambda _row, cell: {"wrong": cell.total - cell.good, "audited": cell.total},
        part=lambda cell: f"{percent(cell.tally.share)} of {plural(cell.total, 'audit')}" if cell.total else "none",
    )
    return evaluate_share(rule, context, share)


def say(incident: Incident) -> Phrase:
    """Return ``accuracy 88.1% (target 95%)``, ``61 of 512 wrong``."""
    number = "unknown" if incident.value is None else percent(incident.value)
    wrong = of(incident, "wrong", "audited", "audit")
    return phrase(
        "accuracy",
        number,
        percent(incident.target),
        extra=f"{wrong.removesuffix(' audits').removesuffix(' audit')} wrong" if wrong else "",
        line=f"Wrong: {wrong} in {window_words(incident.window)}." if wrong else "",
    )


KIND = KindSpec(
    AccuracyLowRule,
    evaluate,
    "Accuracy below target",
    say,
    {"wrong": "random audits that found the label wrong", "audited": "random audits of the window"},
    detector=detector,
    coaching=True,
)
