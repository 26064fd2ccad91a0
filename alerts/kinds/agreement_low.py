"""agreement_low: people who label the same task decide it differently too often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from alerts.contributors import PartCounts
from alerts.incident import Incident
from alerts.kinds.base import Finding, KindSpec, RuleContext, labels_of
from alerts.kinds.share_rule import ShareMeasure, ShareSeen, evaluate_share
from alerts.kinds.words import Phrase, of, phrase
from alerts.rules import MinZ, Ratio, Reference, Rule
from alerts.view import Row
from config.tables import WindowName
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words


class AgreementLowRule(Rule):
    """Fires when surely less than ``target`` of the tasks labelled by several people were decided alike by all of them.

    Judged as ``overturns_high``. Raw agreement: where values are so skewed that chance agrees too, ``floorwatch quality``
    shows Krippendorff's alpha beside it.
    """

    tables_read: ClassVar[tuple[str, ...]] = ("accuracy",)
    kind: Literal["agreement_low"]
    window: WindowName = "7d"
    target: Ratio = 0.8
    method: Literal["interval"] = "interval"
    min_z: MinZ = 4.0
    min_sample: int = Field(default=30, ge=1, description="Least tasks labelled by several people.")
    reference: Reference = None

    @model_validator(mode="after")
    def _not_of_one(self) -> AgreementLowRule:
        if "labeler" in self.scope.names:
            raise ValueError("nobody agrees alone: its scope cannot name labeler; use {by: policy} or {by: team}")
        return self


def read(row: Row) -> PartCounts:
    """Tasks decided alike by all, of those that several people labelled."""
    return PartCounts(int(row.get("unanimous") or 0), int(row.get("overlapped") or 0), labels_of(row))


def evaluate(rule: AgreementLowRule, context: RuleContext) -> Iterable[Finding]:
    """Raw agreement of each selected scope against ``rule.target``.

    Fires when the exact upper limit, at the chance that ``rule.min_z`` tells, is below the target (``streams.core.binomial``).
    """

    def sentence(_row: Row, seen: ShareSeen) -> str:
        cell = seen.counts
        return (
            f"all agreed on {percent(seen.share)} (95% interval {interval(*seen.ends, rule.target)}) of "
            f"{plural(cell.total, 'task')} labelled by several people in {window_words(rule.window)}, "
            f"target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="tasks labelled by several people",
        good_target=rule.target,
        read=read,
        value=lambda seen: seen.share,
        sentence=sentence,
        figures=lambda _row, cell: {"disputed": cell.total - cell.good, "shared": cell.total},
        part=lambda cell: (
            f"{percent(cell.good / cell.total)} of {plural(cell.total, 'task')}" if cell.total else "none"
        ),
        z=rule.min_z,
    )
    return evaluate_share(rule, context, share)


def say(incident: Incident) -> Phrase:
    """Return ``agreement 71% (target 80%)``, ``29 of 100 tasks disputed``."""
    number = "unknown" if incident.value is None else percent(incident.value)
    seen = of(incident, "disputed", "shared", "task")
    return phrase(
        "agreement",
        number,
        percent(incident.target),
        extra=f"{seen} disputed" if seen else "",
        line=f"Labelled by several people and decided differently: {seen}." if seen else "",
    )


KIND = KindSpec(
    AgreementLowRule,
    evaluate,
    "Labellers disagree too often",
    say,
    {"disputed": "tasks that several people decided differently", "shared": "tasks labelled by several people"},
)
