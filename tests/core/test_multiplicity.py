"""Judgements shown together, against a public package and by chance."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from streams.core.multiplicity import holm


def stands(chance: float, level: float) -> bool:
    return chance <= level


@pytest.mark.parametrize(
    ("chances", "found"),
    [
        ([0.01, 0.04, 0.03, 0.005], [True, False, False, True]),
        ([0.011, 0.02, 0.022, 0.09, 0.6], [False, False, False, False, False]),
        ([0.012, 0.013, 0.04, 0.2], [True, True, False, False]),
        ([0.2, 0.3], [False, False]),
        ([], []),
    ],
)
def test_holm_is_that_of_statsmodels(chances: list[float], found: list[bool]) -> None:
    """statsmodels 0.15.0, multipletests(chances, 0.05, "holm")."""
    assert holm([partial(stands, chance) for chance in chances]) == found


def test_where_nothing_differs_something_is_named_in_one_list_of_twenty() -> None:
    rng = Random(5)
    named = sum(any(holm([partial(stands, rng.random()) for _ in range(12)])) for _ in range(2000))
    assert 0.03 < named / 2000 < 0.06
