"""The coverage of intervals: the table in the docs is what the code that ships covers (in short: test_sims.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from floorwatch.sims import intervals, row_estimates
from floorwatch.sims.intervals import CLAIMED, DESIGNS, enumerated, page_with_table
from streams.core.binomial import TAIL, share_limits
from streams.core.proportions import sides_of

ROOT = Path(__file__).parents[2]


def test_the_table_in_the_docs_is_the_one_of_the_code() -> None:
    text = (ROOT / intervals.PAGE).read_text(encoding="utf-8")
    assert page_with_table(text) == text, "run `floorwatch sims intervals --picture` and commit the page"


def test_what_is_enumerated_is_what_a_recount_by_hand_finds() -> None:
    """Two audits at 50%: none, one or two right with 1/4, 1/2, 1/4; every interval of two holds 50%, and nothing is judged."""
    assert enumerated(0.5, 2) == (0.5, 2, pytest.approx(1.0), 0.0, 0.0)


@pytest.mark.parametrize("design", DESIGNS[:2], ids=lambda design: design.name)
def test_intervals_that_ignore_the_weights_do_not_cover(design: intervals.Design) -> None:
    """The fault planted: raw counts of risk-based audits, as the column beside "accuracy" had them."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        classes = [one._replace(weight=float(one.n)) for one in design.classes(rng)]
        low, high = share_limits(*sides_of(classes))
        held += low <= design.accuracy <= high
    assert held / 100 < 0.2


def test_a_recall_without_a_miss_is_never_a_hundred_percent() -> None:
    rng = np.random.default_rng(4)
    flagging = row_estimates.FLAGGINGS["20,000 items, 2% deserve it, true recall 90%"]
    shown = [flagging.row(rng)["values"]["bad"] for _ in range(30)]
    assert all(value["recall_ratio"] is None for value in shown if value["fn"] == 0)
    assert any(value["fn"] == 0 for value in shown)
    assert CLAIMED == 0.925
    assert TAIL == 0.025
