"""The switching rules of ISO 2859-1, lot after lot: a lot of 1,150 at AQL 1.0 (normal 80/2, tightened 80/1, reduced 32/1)."""

from __future__ import annotations

import pytest

from floorwatch.analysis.audits.iso2859 import Severity
from floorwatch.analysis.audits.switching import LotStanding, standing_after


def after(*wrong: int, steady: bool = False, lot: int = 1_150, aql: float = 1.0) -> LotStanding:
    return standing_after(lot, aql, "II", wrong, steady=steady)


def test_two_of_five_lots_not_accepted_lead_to_tightened_inspection() -> None:
    assert after(3, 0, 0, 0, 3).severity is Severity.tightened
    assert after(3, 0, 0, 0, 0, 3).severity is Severity.normal, "the first is no longer among the last five"
    assert after(3, 3).severity is Severity.tightened
    assert after(2, 2, 2, 2, 2).severity is Severity.normal


def test_five_accepted_lots_in_a_row_lead_back() -> None:
    assert after(3, 3, 1, 1, 1, 1).severity is Severity.tightened
    back = after(3, 3, 1, 1, 1, 1, 1)
    assert (back.severity, back.score) == (Severity.normal, 0)
    assert after(3, 3, 1, 1, 2, 1, 1, 1).severity is Severity.tightened, (
        "under tightened inspection 2 wrong are too many"
    )
    assert after(3, 3, 1, 1, 1, 1, 1, 3).severity is Severity.normal, "the count begins anew"


def test_five_lots_not_accepted_under_tightened_inspection_stop() -> None:
    assert not after(3, 3, 2, 2, 0, 2, 2).stopped
    stopped = after(3, 3, 2, 2, 0, 2, 2, 2, 0, 0)
    assert stopped.stopped
    assert len(stopped.accepted) == 8


def test_the_score_grows_by_lots_that_the_next_smaller_aql_accepts_too() -> None:
    """Ac 2 at 1.0 and 1 at .65: one wrong adds 3, two are accepted and set the score to 0."""
    assert after(*[1] * 9).score == 27
    assert after(*[1] * 9, 2).score == 0
    assert after(*[1] * 10).severity is Severity.normal
    assert after(*[1] * 10).score == 30
    assert after(*[1] * 10, steady=True).severity is Severity.reduced
    # Ac 1: an accepted lot adds 2.
    assert after(*[1] * 14, aql=0.65).score == 28
    assert after(*[1] * 15, aql=0.65, steady=True).severity is Severity.reduced
    assert after(*[1] * 3, 2, 0, aql=0.65).score == 2


def test_the_next_smaller_aql_is_that_of_the_same_sample() -> None:
    """Letter L at 10%: an arrow to K (125, Ac 21); at 6.5% K accepts with 14."""
    assert after(14, lot=5_000, aql=10.0).score == 3
    assert after(15, lot=5_000, aql=10.0).score == 0


def test_a_lot_not_accepted_ends_reduced_inspection() -> None:
    assert after(*[1] * 10, 1, 0, steady=True).severity is Severity.reduced
    back = after(*[1] * 10, 2, steady=True)
    assert (back.severity, back.score, back.accepted[-1]) == (Severity.normal, 0, False)


def test_more_wrong_than_the_sample_has_is_told() -> None:
    with pytest.raises(ValueError, match="lot 2: 81 wrong of a sample of 80"):
        after(0, 81)
