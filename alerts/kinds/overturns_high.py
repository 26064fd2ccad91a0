"""overturns_high: appeals against what was decided succeed too often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

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


class OverturnsHighRule(Rule):
    """Fires when surely more than ``target`` of the decided appeals overturn what was decided.

    Judged by the exact limit at the chance of ``min_z``: looked at every minute, the usual 1.96 would lie in most quarters
    (docs/quality.md). Rows count appeals at the time of the label, hence a long window.
    """

    tables_read: ClassVar[tuple[str, ...]] = ("accuracy",)
    kind: Literal["overturns_high"]
    window: WindowName = "7d"
    target: Ratio = 0.2
    method: Literal["interval"] = "interval"
    min_z: MinZ = 4.0
    min_sample: int = Field(default=20, ge=1, description="Least decided appeals.")
    reference: Reference = None


def read(row: Row) -> PartCounts:
    """Appeals that changed nothing, of all decided."""
    decided = int(row.get("appeals_decided") or 0)
    return PartCounts(decided - int(row.get("appeals_overturned") or 0), decided, labels_of(row))


def evaluate(rule: OverturnsHighRule, context: RuleContext) -> Iterable[Finding]:
    """Overturned share of the decided appeals of each selected scope against ``rule.target``, the most allowed.

    Fires when the exact lower limit, at the chance that ``rule.min_z`` tells, is above the target (``streams.core.binomial``).
    Appeals are not a sample of the labels: this is a number about appeals, not about accuracy.
    """

    def sentence(_row: Row, seen: ShareSeen) -> str:
        cell = seen.counts
        return (
            f"{percent(1 - seen.share)} of decided appeals overturned (95% interval {interval(*seen.bad_ends, rule.target)}): "
            f"{cell.total - cell.good:,} of {cell.total:,} about labels of {window_words(rule.window)}, "
            f"at most {percent(rule.target)} wanted"
        )

    share = ShareMeasure(
        table="accuracy",
        noun="appeals",
        good_target=1 - rule.target,
        read=read,
        value=lambda seen: 1 - seen.share,
        sentence=sentence,
        figures=lambda _row, cell: {"overturned": cell.total - cell.good, "decided": cell.total},
        part=lambda cell: f"{cell.total - cell.good:,} overturned of {plural(cell.total, 'appeal')}",
        z=rule.min_z,
    )
    return evaluate_share(rule, context, share)


def say(incident: Incident) -> Phrase:
    """Return ``35% of appeals succeed (at most 20%)``, ``14 of 40``."""
    number = "unknown" if incident.value is None else percent(incident.value)
    seen = of(incident, "overturned", "decided", "appeal")
    return phrase(
        "",
        number,
        percent(incident.target),
        after="of appeals succeed",
        held="at most",
        extra=seen.removesuffix(" appeals").removesuffix(" appeal"),
        line=f"Overturned: {seen} about labels of {window_words(incident.window)}." if seen else "",
    )


KIND = KindSpec(
    OverturnsHighRule,
    evaluate,
    "Appeals succeed too often",
    say,
    {"overturned": "decided appeals that changed the label", "decided": "decided appeals about labels of the window"},
    high=True,
)
