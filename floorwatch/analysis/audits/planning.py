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
from streams.core.formatting import plural

Key = tuple[str, ...]

_ROUNDS = 8


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
            said.append(plural(self.total, "audit"))
        if self.half_width is not None:
            said.append(
                f"interval of accuracy no wider than {200 * self.half_width:g} points, with a chance of {100 * self.assurance:g}%"
            )
        if self.see is not None:
            said.append(
                f"a drop to {100 * self.see:g}% seen below {100 * self.target:g}%, with a chance of {100 * self.power:g}%"
            )
        if self.recall_low is not None:
            said.append(
                f"recall known to be at least {100 * self.recall_low:g}%, with a chance of {100 * self.assurance:g}%"
            )
        if self.recall_half_width is not None:
            said.append(
                f"interval of recall no wider than {200 * self.recall_half_width:g} points, with a chance of {100 * self.assurance:g}%"
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
    assumed = 1 - goal.target if tally.audits else _assumed_wrong(goal)
    strata = strata_of(tally, expected_rates(tally, assumed), costs, {})
    return [_result(scope, own, tally, goal) for scope, own in sorted(grouped(strata, range(each)).items())]


def _result(scope: Key, strata: list[AuditStratum], tally: StrataTally, goal: PlanGoal) -> PlanResult:
    where = f" of {', '.join(part or 'no name' for part in scope)}" if scope else ""
    recall = None
    try:
        best = _best(strata, goal)
        if goal.recall_low is not None or goal.recall_half_width is not None:
            best, recall = _with_recall(strata, best, tally, goal)
    except OutOfReach as error:
        raise OutOfReach(f"The goal{where} is out of reach: {error}") from None
    labels = sum(one.labels for one in strata)
    even = [Planned(one, max(1, min(one.labels, round(one.labels * best.audits / labels)))) for one in strata]
    return PlanResult(scope, best, half_width_of(even, goal.assurance), recall)


def _with_recall(
    strata: Sequence[AuditStratum], rest: Plan, tally: StrataTally, goal: PlanGoal
) -> tuple[Plan, RecallPlan]:
    """Return the plan that keeps the interval of recall, too, and what it keeps to.

    The π of flagged labels that the goal of recall is worked out with stays as a lower bound, so the audits of approved labels are not
    taken from them. What is told is worked out with the least π of each side in the plan: no label weighs more.

    Raises:
        OutOfReach: The interval cannot be kept, or not with ``goal.total`` audits.
    """
    work = _flagged_work(strata, rest, tally, goal)
    for _ in range(_ROUNDS):
        recall = least_probability(
            work, at_least=goal.recall_low, half_width=goal.recall_half_width, assurance=goal.assurance
        )
        bounds = {FLAGGED: work.flagged_probability, APPROVED: recall.probability}
        best = _best([one._replace(least=max(one.least, bounds[one.key[-1]])) for one in strata], goal)
        if goal.total is not None and best.audits > max(goal.total, rest.audits):
            raise OutOfReach(
                f"recall needs {_audits(best.strata, APPROVED):,} audits of approved labels beside "
                f"{_audits(best.strata, FLAGGED):,} of flagged ones, more than the {goal.total:,} together"
            )
        work = work._replace(flagged_probability=_least_of(best.strata, FLAGGED))
        low, width = outlook(work, int(work.approved * _least_of(best.strata, APPROVED) + 1e-9), goal.assurance)
        # More audits may promise a little less, as both numbers of wrong ones are whole. Then the bounds are looked for once more.
        if (goal.recall_low or 0.0) <= low and width <= (goal.recall_half_width or 1.0):
            return best, recall._replace(low=low, half_width=width)
    raise OutOfReach("no probabilities were found that keep the interval of recall")


def _best(strata: Sequence[AuditStratum], goal: PlanGoal) -> Plan:
    """Return the plan with the most audits of those for each part of the goal."""
    return max(_plans(strata, goal), key=lambda one: one.audits)


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


def _least_of(planned: Sequence[Planned], side: str) -> float:
    return min(one.probability for one in planned if one.stratum.key[-1] == side)


def _flagged_work(strata: Sequence[AuditStratum], rest: Plan, tally: StrataTally, goal: PlanGoal) -> FlaggedWork:
    """Return what the goal of recall is about.

    The flagged ones are audited as densely as the plan for the rest of the goal would have it.
    """
    sides = {side: [one for one in strata if one.key[-1] == side] for side in (FLAGGED, APPROVED)}
    if not all(sides.values()):
        raise OutOfReach("recall needs flagged and approved labels, and there is only one kind")
    labels = {side: sum(one.labels for one in own) for side, own in sides.items()}
    amiss = {side: _amiss(side, own, tally, goal) for side, own in sides.items()}
    checked = _audits(rest.strata, FLAGGED) / labels[FLAGGED]
    return FlaggedWork(labels[FLAGGED], 1 - amiss[FLAGGED], checked, labels[APPROVED], amiss[APPROVED])


def _amiss(side: str, own: Sequence[AuditStratum], tally: StrataTally, goal: PlanGoal) -> float:
    """Return the expected share on the wrong side: without audits here that of the whole floor, without any what the target leaves."""
    for keys in ([one.key for one in own], [key for key in tally.counts if key[-1] == side]):
        seen = pooled((tally.counts[key] for key in keys), weighted=tally.weighted, of_missed=True)
        if seen.worth:
            return (seen.share * seen.worth + 0.5) / (seen.worth + 1)
    return _assumed_wrong(goal)


def _assumed_wrong(goal: PlanGoal) -> float:
    """Return the share of wrong ones to assume where no audit tells it."""
    if goal.target >= 1:
        raise OutOfReach("no audit tells how often labels are wrong, and a target of 100% assumes that none is")
    return 1 - goal.target
