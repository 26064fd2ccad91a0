"""A whole plan: strata from what was counted, for the goal, in each part of the floor for which it is to be met.

Source: ``allocation``, ``recall`` and ``rates`` beside this module, each with its formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from floorwatch.analysis.audits.allocation import (
    AuditStratum,
    Plan,
    Planned,
    for_half_width,
    for_power,
    half_width_of,
    narrowest,
)
from floorwatch.analysis.audits.rates import APPROVED, FLAGGED, StrataTally, expected_rates, grouped, pooled, strata_of
from floorwatch.analysis.audits.recall import FlaggedWork, RecallPlan, least_probability, outlook
from floorwatch.analysis.audits.sizes import OutOfReach

Key = tuple[str, ...]

_USUAL_PART = 50


@dataclass(frozen=True)
class PlanGoal:
    """What a plan is for.

    Attributes:
        total: So many audits; None where an interval or a drop decides.
        half_width: Wanted half-width as a ratio.
        see: Accuracy that should be seen below the target, 0..1.
        target: The target, 0..1.
        power: Chance of seeing it.
        assurance: Chance that an interval is no wider than told.
        minimum: Least audits of each stratum.
        recall_low: Wanted lower end of the interval of recall, 0..1.
        recall_half_width: Wanted half-width of it, as a ratio.
    """

    total: int | None
    half_width: float | None
    see: float | None
    target: float
    power: float
    assurance: float
    minimum: int
    recall_low: float | None
    recall_half_width: float | None

    def words(self) -> list[str]:
        """Return the goal in words, one sentence each."""
        said = []
        if self.total is not None:
            said.append(f"{self.total:,} audits")
        if self.half_width is not None:
            said.append(
                f"interval of accuracy no wider than {200 * self.half_width:g} points, with a chance of {self.assurance:.0%}"
            )
        if self.see is not None:
            said.append(
                f"a drop to {100 * self.see:g}% seen below {100 * self.target:g}%, with a chance of {self.power:.0%}"
            )
        if self.recall_low is not None:
            said.append(
                f"recall known to be at least {100 * self.recall_low:g}%, with a chance of {self.assurance:.0%}"
            )
        if self.recall_half_width is not None:
            said.append(
                f"interval of recall no wider than {200 * self.recall_half_width:g} points, with a chance of {self.assurance:.0%}"
            )
        return said


@dataclass(frozen=True)
class PlanResult:
    """One part of the floor for which the goal is met by itself.

    Attributes:
        scope: Values of the dimensions of ``--for-each``.
        plan: Its strata with their audits.
        even: Half-width that as many audits of one probability give, as a ratio.
        recall: What the approved items must be audited with; None without a goal for recall.
    """

    scope: Key
    plan: Plan
    even: float
    recall: RecallPlan | None


def results_of(tally: StrataTally, goal: PlanGoal, each: int, costs: Mapping[str, float]) -> list[PlanResult]:
    """Return the plan of every part of the floor for which the goal is to be met, in order of name.

    Args:
        tally: What was counted; at least one label.
        goal: The goal.
        each: How many of the first dimensions make the parts; 0 for the whole floor.
        costs: What an audit costs, by value of a dimension, or by flagged and approved.

    Raises:
        OutOfReach: The goal cannot be met; the message says of what and how far it goes.
    """
    strata = strata_of(tally, expected_rates(tally, 1 - goal.target), costs, {})
    return [_result(scope, own, tally, goal) for scope, own in sorted(grouped(strata, range(each)).items())]


def _result(scope: Key, strata: list[AuditStratum], tally: StrataTally, goal: PlanGoal) -> PlanResult:
    where = f" of {', '.join(part or 'no name' for part in scope)}" if scope else ""
    try:
        work = _flagged_work(strata, tally, goal)
        recall = (
            None
            if work is None
            else least_probability(
                work, at_least=goal.recall_low, half_width=goal.recall_half_width, assurance=goal.assurance
            )
        )
        if recall is not None:
            strata = [one._replace(least=recall.probability) if one.key[-1] == APPROVED else one for one in strata]
        best = max(_plans(strata, goal), key=lambda one: one.audits)
    except OutOfReach as error:
        raise OutOfReach(f"The goal{where} is out of reach: {error}") from None
    if recall is not None and work is not None:
        low, width = outlook(work, _audits(best.strata, APPROVED), goal.assurance)
        recall = recall._replace(low=low, half_width=width)
    labels = sum(one.labels for one in strata)
    even = [Planned(one, max(1, min(one.labels, round(one.labels * best.audits / labels)))) for one in strata]
    return PlanResult(scope, best, half_width_of(even, goal.assurance), recall)


def _plans(strata: Sequence[AuditStratum], goal: PlanGoal) -> list[Plan]:
    """Return a plan for each part of the goal."""
    least, assurance = goal.minimum, goal.assurance
    found = []
    if goal.half_width is not None:
        found.append(for_half_width(strata, goal.half_width, minimum=least, assurance=assurance))
    if goal.see is not None:
        power = goal.power
        found.append(for_power(strata, goal.see, goal.target, power=power, minimum=least, assurance=assurance))
    if goal.total is not None:
        found.append(narrowest(strata, goal.total, minimum=least, assurance=assurance))
    return found


def _audits(planned: Sequence[Planned], side: str) -> int:
    return sum(one.audits for one in planned if one.stratum.key[-1] == side)


def _flagged_work(strata: Sequence[AuditStratum], tally: StrataTally, goal: PlanGoal) -> FlaggedWork | None:
    """Return what the goal of recall is about; None without one.

    The flagged ones are audited as densely as the rest of the goal would have it.
    """
    if goal.recall_low is None and goal.recall_half_width is None:
        return None
    sides = {side: [one for one in strata if one.key[-1] == side] for side in (FLAGGED, APPROVED)}
    if not all(sides.values()):
        raise OutOfReach("recall needs flagged and approved labels, and there is only one kind")
    labels = {side: sum(one.labels for one in own) for side, own in sides.items()}
    amiss = {}
    for side, own in sides.items():
        seen = pooled((tally.counts[one.key] for one in own), weighted=tally.weighted, of_missed=True)
        amiss[side] = (seen.share * seen.worth + 0.5) / (seen.worth + 1)
    usual = max(goal.minimum * len(strata), sum(labels.values()) // _USUAL_PART)
    dense = max(_plans(strata, goal), key=lambda one: one.audits) if _has_rest(goal) else narrowest(strata, usual)
    checked = _audits(dense.strata, FLAGGED) / labels[FLAGGED]
    return FlaggedWork(labels[FLAGGED], 1 - amiss[FLAGGED], checked, labels[APPROVED], amiss[APPROVED])


def _has_rest(goal: PlanGoal) -> bool:
    return (goal.half_width, goal.see, goal.total) != (None, None, None)
