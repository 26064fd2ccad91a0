"""What a plan tells of recall is what its own probabilities keep to; a side without audits does not fail the others."""

from __future__ import annotations

import pytest

from floorwatch.analysis.audits.planning import PlanGoal, PlanResult, results_of
from floorwatch.analysis.audits.rates import APPROVED, FLAGGED, StrataTally, StratumCounts
from floorwatch.analysis.audits.recall import FlaggedWork, outlook
from floorwatch.analysis.audits.sizes import OutOfReach

FLAGGED_LABELS, APPROVED_LABELS = 1_000, 9_000


def counted(labels: int, audited: int, wrong: int) -> StratumCounts:
    """Audits of equal weight; every wrong one belongs on the other side."""
    each = labels / max(1, audited)
    return StratumCounts(labels, audited, audited * each, audited * each * each, wrong * each, missed=wrong * each)


def tally(*vendors: str, silent: str = "") -> StrataTally:
    """A tenth of the labels is flagged, one in ten of these wrongly; one in a hundred of the others is a miss."""
    found = StrataTally((0,))
    for vendor in vendors:
        audited = 0 if vendor == silent else 400
        found.counts[vendor, FLAGGED] = counted(FLAGGED_LABELS, audited, audited // 10)
        found.counts[vendor, APPROVED] = counted(APPROVED_LABELS, audited, audited // 100)
        found.labels += FLAGGED_LABELS + APPROVED_LABELS
    return found


def goal(*, total: int | None = None, half_width: float | None = None, low: float = 0.75) -> PlanGoal:
    return PlanGoal(total, half_width, None, 0.95, 0.8, 0.9, 5, low, None)


def told_by_its_own_probabilities(result: PlanResult) -> float:
    """The lower end that the final π of both sides keep to, worked out apart from the plan."""
    least = {
        side: min(one.probability for one in result.plan.strata if one.stratum.key[-1] == side)
        for side in (FLAGGED, APPROVED)
    }
    work = FlaggedWork(FLAGGED_LABELS, 1 - 40.5 / 401, least[FLAGGED], APPROVED_LABELS, 4.5 / 401)
    return outlook(work, int(APPROVED_LABELS * least[APPROVED] + 1e-9), 0.9)[0]


@pytest.mark.parametrize("asked", [goal(total=900), goal(half_width=0.02), goal(half_width=0.01, low=0.6)])
def test_the_recall_told_is_that_of_the_probabilities_in_the_plan(asked: PlanGoal) -> None:
    (result,) = results_of(tally("a"), asked, 0, {})
    assert result.recall is not None
    assert asked.recall_low is not None
    assert result.recall.low >= asked.recall_low
    assert result.recall.low == pytest.approx(told_by_its_own_probabilities(result), abs=0.01)
    assert asked.total is None or result.plan.audits <= asked.total


def test_a_total_that_a_recall_does_not_fit_into_is_refused() -> None:
    with pytest.raises(
        OutOfReach, match=r"recall needs \d+ audits of approved labels beside \d+ of flagged ones, more than the 300"
    ):
        results_of(tally("a"), goal(total=300), 0, {})


def test_a_vendor_without_audits_is_planned_with_the_rates_of_the_floor() -> None:
    results = results_of(tally("a", "b", silent="b"), goal(half_width=0.02, low=0.5), 1, {})
    assert [result.scope for result in results] == [("a",), ("b",)]
    recalls = [result.recall.recall for result in results if result.recall is not None]
    assert recalls[0] == pytest.approx(recalls[1], abs=0.02)
