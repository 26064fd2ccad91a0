"""sla_attainment: evidence that too many due tasks are missed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from alerts.contributors import PartCounts
from alerts.incident import Incident
from alerts.kinds.base import DetectorModel, Finding, KindSpec, RuleContext
from alerts.kinds.share_rule import ShareMeasure, ShareSeen, evaluate_share
from alerts.kinds.words import Phrase, count, figure, of, phrase
from alerts.rules import Budget, FalseAlarms, Method, Ratio, Reference, Rule
from alerts.view import Row
from streams.core.detectors.bets import DUE_RATIOS, ShareBets
from streams.core.formatting import interval, percent, plural
from streams.core.window_names import window_words
from streams.models.timestamps import HOUR_MS


class SlaAttainmentRule(Rule):
    """Fires on evidence that attainment is below ``target`` (or, by interval, when its upper end is)."""

    tables_read: ClassVar[tuple[str, ...]] = ("sla",)
    kind: Literal["sla_attainment"]
    target: Ratio = 0.95
    method: Method = "evidence"
    budget: FalseAlarms = Budget(per_day=96, days=28)
    min_sample: int = Field(default=50, ge=1, description="Least due tasks, by interval.")
    reference: Reference = None


def read(row: Row) -> PartCounts:
    """Met of decided tasks. Tasks due later in the last pane and still open are neither met nor missed yet."""
    met, missed = int(row["met"]), int(row["missed"])
    return PartCounts(met, met + missed, met + missed)


def detector(rule: SlaAttainmentRule) -> DetectorModel:
    """Bets on the share of due tasks that were missed, above the share that the target allows."""
    return DetectorModel("sla", ShareBets.of(1 - rule.target, DUE_RATIOS, period_ms=HOUR_MS, per_unit=False))


def figures(row: Row, cell: PartCounts) -> dict[str, float]:
    """Return the tasks that were late, those of them still open, and all decided."""
    return {"late": cell.total - cell.good, "still_open": int(row.get("overdue_open") or 0), "due": cell.total}


def evaluate(rule: SlaAttainmentRule, context: RuleContext) -> Iterable[Finding]:
    """Attainment of each selected scope against ``rule.target``; open tasks past their due time count as missed."""

    def sentence(row: Row, seen: ShareSeen) -> str:
        cell = seen.counts
        overdue = int(row.get("overdue_open") or 0)
        still_open = f" ({overdue:,} still open)" if overdue else ""
        return (
            f"SLA attainment {percent(seen.share)} (95% interval {interval(*seen.ends, rule.target)}): "
            f"{cell.total - cell.good:,} missed{still_open} of {plural(cell.total, 'task')} due in "
            f"{window_words(rule.window)}, target {percent(rule.target)}"
        )

    share = ShareMeasure(
        table="sla",
        noun="due tasks",
        good_target=rule.target,
        read=read,
        detector=detector,
        value=lambda seen: seen.share,
        sentence=sentence,
        figures=figures,
        part=lambda cell: f"{cell.total - cell.good:,} missed of {cell.total:,} due",
    )
    return evaluate_share(rule, context, share)


def say(incident: Incident) -> Phrase:
    """Return ``SLA 62.9% (target 95%)``, ``1,426 late``."""
    number = "unknown" if incident.value is None else percent(incident.value)
    late, still_open = of(incident, "late", "due", "task"), figure(incident, "still_open")
    line = f"Late: {late} due in {window_words(incident.window)}" if late else ""
    line += f", {still_open:,} still open" if line and still_open else ""
    return phrase(
        "SLA", number, percent(incident.target), extra=count(incident, "late", "late"), line=f"{line}." if line else ""
    )


KIND = KindSpec(
    SlaAttainmentRule,
    evaluate,
    "SLA missed too often",
    say,
    {
        "late": "tasks due in the window that were not done in time",
        "still_open": "those of them that are still open",
        "due": "tasks due in the window that are met or missed",
    },
    detector=detector,
)
