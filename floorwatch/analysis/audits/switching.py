"""The switching rules of ISO 2859-1: which inspection the next lot gets, by what the lots before it showed.

Source: ISO 2859-1:1999, clause 9.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from floorwatch.analysis.audits.iso2859 import AQLS, AcceptancePlan, Severity, acceptance_plan, single_plan

ENOUGH_SCORE = 30
"""Switching score from which on reduced inspection may begin."""

_LAST, _REFUSED = 5, 2
_ACCEPTED_IN_A_ROW, _STOP = 5, 5


class LotStanding(NamedTuple):
    """Where a vendor stands after some lots.

    Attributes:
        severity: The inspection of the next lot.
        score: The switching score of normal inspection.
        stopped: Five lots were not accepted under tightened inspection: no lot is accepted by sample until the vendor has improved.
        accepted: Of each lot whether it was accepted, the oldest first; those after the stop are not judged.
    """

    severity: Severity
    score: int
    stopped: bool
    accepted: tuple[bool, ...]


class _Lots:
    """Walks through lots of one vendor."""

    def __init__(self, *, steady: bool) -> None:
        self.severity, self.score, self.stopped, self.accepted = Severity.normal, 0, False, list[bool]()
        self._steady, self._since, self._refused = steady, list[bool](), 0

    def take(self, plan: AcceptancePlan, wrong: int) -> None:
        good = plan.accepts(wrong)
        self.accepted.append(good)
        self._since.append(good)
        if self.severity is Severity.normal:
            self._normal(plan, wrong, good=good)
        elif self.severity is Severity.tightened:
            self._tightened(good=good)
        elif not good:
            self._go(Severity.normal)

    def _normal(self, plan: AcceptancePlan, wrong: int, *, good: bool) -> None:
        if plan.accept >= 2:
            # Of the same sample, so of the letter that the arrows led to.
            _, _, stricter, _ = single_plan(plan.plan_letter, AQLS[AQLS.index(plan.aql) - 1])
            self.score = self.score + 3 if wrong <= stricter else 0
        else:
            self.score = self.score + 2 if good else 0
        if self._since[-_LAST:].count(False) >= _REFUSED:
            self._go(Severity.tightened)
        elif self.score >= ENOUGH_SCORE and self._steady:
            self._go(Severity.reduced)

    def _tightened(self, *, good: bool) -> None:
        self._refused += not good
        if self._refused >= _STOP:
            self.stopped = True
        elif len(self._since) >= _ACCEPTED_IN_A_ROW and all(self._since[-_ACCEPTED_IN_A_ROW:]):
            self._go(Severity.normal)

    def _go(self, severity: Severity) -> None:
        self.severity, self.score, self._since, self._refused = severity, 0, [], 0


def standing_after(lot: int, aql: float, level: str, wrong: Sequence[int], *, steady: bool = False) -> LotStanding:
    """Return where a vendor stands after lots of one size.

    Args:
        lot: Labels of each lot, at least 2.
        aql: One of ``AQLS``, percent.
        level: Inspection level.
        wrong: Wrong ones found in the sample of each lot, the oldest first; inspection begins as normal.
        steady: Work is steady and whoever is responsible agrees to reduced inspection. Without it, a score that is high enough changes
            nothing.

    Raises:
        ValueError: An argument is not in the tables, or more wrong ones than the sample has.

    Example:
        >>> standing_after(1_150, 1.0, "II", [0, 3, 1, 4]).severity.value
        'tightened'
    """
    lots = _Lots(steady=steady)
    for at, found in enumerate(wrong, 1):
        if lots.stopped:
            break
        plan = acceptance_plan(lot, aql, level, lots.severity)
        if not 0 <= found <= plan.size:
            raise ValueError(f"lot {at}: {found} wrong of a sample of {plan.size}")
        lots.take(plan, found)
    return LotStanding(lots.severity, lots.score, lots.stopped, tuple(lots.accepted))
