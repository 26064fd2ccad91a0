"""critical_errors: evidence that more labels carry a critical error than allowed."""

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
from streams.core.detectors.bets import CRITICAL_RATIOS, ShareBets
from streams.core.estimates import critical_drawn, critical_share
from streams.core.formatting import interval, percent, plural
from streams.core.rca.slices import critical_tally
from streams.core.stand_for import awaited_audits
from streams.core.window_names import window_words


class CriticalErrorsRule(Rule):
    """Fires on evidence that the critical-error ratio is above ``target`` (or, by interval, when its lower end is)."""

    tables_read: ClassVar[tuple[str, ...]] = ("accuracy",)
    kind: Literal["critical_errors"]
    target: Ratio = 0.005
    method: Method = "evidence"
    budget: FalseAlarms = Budget()
    least_probability: LeastProbability = None
    min_sample: int = Field(default=100, ge=1, description="Least audits, by interval.")
    reference: Reference = None


def read(row: Row) -> PartCounts:
    """Labels without a critical error, of those that audits drew at random."""
    drawn = critical_drawn(row)
    return PartCounts(drawn.audits - drawn.wrong, drawn.audits, labels_of(row))


def sampled(row: Row) -> PartCounts:
    """The audits with a known probability, by weight. Parts are compared by these."""
    return PartCounts.of(critical_tally(row), labels_of(row))


def detector(rule: CriticalErrorsRule) -> DetectorModel:
    """Bets on the share of labels with a critical error, above the share allowed."""
    bets = ShareBets.of(rule.target, CRITICAL_RATIOS, top_nano=top_nano(rule.least_probability))
    return DetectorModel("critical_errors", bets)


def evaluate(rule: CriticalErrorsRule, context: RuleContext) -> Iterable[Finding]:
    """Estimated critical-error ratio of each selected scope against ``rule.target``, the most allowed."""

    def sentence(row: Row, seen: ShareSeen) -> str:
        cell = seen.counts
        return (
            f"critical errors {percent(1 - seen.share, 2)} (95% interval {interval(*seen.bad_ends, rule.target)}): "
            f"{cell.total - cell.good:,} in {plural(cell.total, 'audit')}{sample_words(row, cell.total)} in "
            f"{window_words(rule.window)}, at most {percent(rule.target, 2)} allowed"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="random audits",
        good_target=1 - rule.target,
        read=read,
        estimate=critical_share,
        awaited=awaited_audits,
        sampled=sampled,
        detector=detector,
        value=lambda seen: 1 - seen.share,
        sentence=sentence,
        figures=lambda _row, cell: {"critical": cell.total - cell.good, "audited": cell.total},
        part=lambda cell: f"{cell.total - cell.good:,} critical in {plural(cell.total, 'audit')}",
    )
    return evaluate_share(rule, context, share)


def say(incident: Incident) -> Phrase:
    """Return ``critical errors 1.2% (at most 0.5%)``, ``6 of 512 audits``."""
    number = "unknown" if incident.value is None else percent(incident.value, 2)
    seen = of(incident, "critical", "audited", "audit")
    return phrase(
        "critical errors",
        number,
        percent(incident.target, 2),
        held="at most",
        extra=seen,
        line=f"Critical errors: {seen} in {window_words(incident.window)}." if seen else "",
    )


KIND = KindSpec(
    CriticalErrorsRule,
    evaluate,
    "Too many critical errors",
    say,
    {"critical": "random audits that found a critical error", "audited": "random audits of the window"},
    high=True,
    detector=detector,
    coaching=True,
)
