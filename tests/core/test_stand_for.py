"""What the audits of a row stand for, and what a whole made of such rows is."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.counters import ASSUMED, AUDITED, CLASS_AUDITED, CLASS_WEIGHT_NANO, CORRECT, LABELS, NANO, WEIGHT_NANO
from streams.core.estimates import accuracy_share
from streams.core.row_layout import parts_of
from streams.core.stand_for import assumed_part, stand_for
from streams.core.tables import accuracy

FOUR = 2
"""Class of sampling probability of 1/4 down to 1/8."""


def drawn(labels: int, audits: int, weight: int) -> dict[int, int]:
    return {
        LABELS: labels,
        AUDITED: audits,
        CORRECT: audits,
        WEIGHT_NANO: audits * weight * NANO,
        CLASS_AUDITED + FOUR: audits,
        CLASS_WEIGHT_NANO + FOUR: audits * weight * NANO,
    }


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        pytest.param(drawn(400, 50, 4), None, id="half of the labels"),
        pytest.param(drawn(350, 50, 4), None, id="more than half"),
        pytest.param(drawn(480, 50, 4), None, id="less than half, as chance may have it"),
        pytest.param(drawn(560, 50, 4), "few", id="surely less than half"),
        pytest.param(drawn(560, 50, 4) | {ASSUMED: 1, AUDITED: 51}, None, id="assumed random: they stand for the rest"),
        pytest.param(drawn(180, 50, 4), None, id="a few more than there are"),
        pytest.param(drawn(90, 50, 4), "many", id="far more than there are"),
        pytest.param(drawn(2, 1, 4), None, id="one audit may well weigh much"),
        pytest.param(drawn(0, 50, 4), None, id="labels that never came"),
    ],
)
def test_a_row_says_whether_audits_stand_for_its_labels(counts: dict[int, int], said: str | None) -> None:
    row = accuracy(parts_of(dict(counts)))
    assert (row["audits_stand_for"], stand_for(row)) == (said, said)
    assert accuracy(parts_of(dict(counts)), labels_known=False)["audits_stand_for"] is None


def mixed(known: int, known_right: int, silent: int, silent_right: int) -> dict[str, Any]:
    return {
        "labels": 1_000,
        "audited": known + silent,
        "correct": known_right + silent_right,
        "weight_sum": 10.0 * known,
        "weight_correct": 10.0 * known_right,
        "sample_audited": {"8": known},
        "sample_wrong": {"8": known - known_right},
        "sample_weight": {"8": 10.0 * known},
        "assumed": silent,
        "assumed_correct": silent_right,
    }


def test_the_whole_of_two_kinds_of_audits_can_lie_outside_of_its_parts_and_one_of_them_is_marked() -> None:
    """docs/statistics.md, awaited audits: of the whole, silent audits stand for other labels than of the parts."""
    parts = [mixed(90, 90, 99, 0), mixed(10, 0, 9, 9)]
    whole = {
        name: {"8": sum(part[name]["8"] for part in parts)} if isinstance(one, dict) else sum(p[name] for p in parts)
        for name, one in parts[0].items()
    }
    shares = [accuracy_share(row) for row in (*parts, whole)]
    assert [round(share.estimate.value, 2) for share in shares if share is not None] == [0.9, 0.9, 0.49]
    assert [assumed_part(row) for row in (*parts, whole)] == pytest.approx([0.1, 0.9, 0.5])
