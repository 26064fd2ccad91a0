"""One audit with a tiny sampling probability does not own a row: the interval says how little is known then."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streams.core.estimates import accuracy_share

HONEST, WEIGHT = 500, 20.0


def of(hits: int, count: int, share: float) -> float:
    """The binomial chance of so many."""
    return math.comb(count, hits) * share**hits * (1 - share) ** (count - hits)


def row(wrong: int, tiny_wrong: int, tiny: int, weight: float) -> dict[str, Any]:
    """A row of 500 audits at 5% and some that name a probability of 1/weight."""
    audited, right = HONEST + tiny, (HONEST - wrong, tiny - tiny_wrong)
    last = str(1 << min(19, int(weight).bit_length() - 1))
    return {
        "labels": 10_000,
        "audited": audited,
        "correct": sum(right),
        "weight_sum": HONEST * WEIGHT + tiny * weight,
        "weight_correct": right[0] * WEIGHT + right[1] * weight,
        "sample_audited": {"16": HONEST, last: tiny},
        "sample_wrong": {"16": wrong, last: tiny_wrong},
        "sample_weight": {"16": HONEST * WEIGHT, last: tiny * weight},
    }


@pytest.mark.parametrize("weight", [1e3, 1e4, 1e6])
@pytest.mark.parametrize("accuracy", [0.90, 0.95, 0.99])
@pytest.mark.parametrize("tiny", [1, 3])
def test_the_interval_holds_the_accuracy_of_all_labels_where_one_audit_stands_for_most_of_them(
    weight: float, accuracy: float, tiny: int
) -> None:
    covered = 0.0
    for tiny_wrong in range(tiny + 1):
        for wrong in range(80):
            chance = of(tiny_wrong, tiny, 1 - accuracy) * of(wrong, HONEST, 1 - accuracy)
            share = accuracy_share(row(wrong, tiny_wrong, tiny, weight)) if chance > 1e-7 else None
            covered += chance if share and share.estimate[1] <= accuracy <= share.estimate[2] else 0.0
    assert covered >= 0.95


@pytest.mark.parametrize("tiny_wrong", [0, 1])
def test_it_is_wide_and_judges_nothing(tiny_wrong: int) -> None:
    """Without the lie 95% is known to within 2 points; with it neither a good nor a bad vendor is called either."""
    share = accuracy_share(row(25, tiny_wrong, 1, 1e6))
    assert share is not None
    _, low, high = share.estimate
    assert high - low > 0.9
    low, high = share.limits(0.025)
    assert low < 0.5
    assert high > 0.95
