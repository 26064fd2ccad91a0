"""Judgements shown together, against a public package and by chance."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from streams.core.multiplicity import benjamini_hochberg, holm


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


def test_benjamini_and_hochberg_is_their_own_example() -> None:
    """Journal of the Royal Statistical Society B 57 (1995), section 3.1: at .05 the four smallest of fifteen stand."""
    chances = [
        0.0344,
        0.0001,
        0.324,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0004,
        0.0459,
        0.0019,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1.0,
    ]
    found = benjamini_hochberg(chances, 0.05)
    assert sorted(chance for chance, stands in zip(chances, found, strict=True) if stands) == [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
    ]
    assert benjamini_hochberg(chances, 0.05, most=0.001).count(True) == 2
    assert benjamini_hochberg([0.02, 0.03, 0.04], 0.05) == [True, True, True]
    assert benjamini_hochberg([], 0.05) == []


def test_of_those_that_stand_the_stated_share_is_wrong() -> None:
    """A hundred judgements, a fifth of them true: 0.1·0.8 of those that stand are wrong; where none is true, in 10% one stands."""
    rng, wrong, rounds = Random(8), 0.0, 400
    for _ in range(rounds):
        chances = [rng.random() ** 6 if at < 20 else rng.random() for at in range(100)]
        stands = benjamini_hochberg(chances, 0.1)
        wrong += sum(stands[20:]) / max(1, sum(stands))
    assert 0.05 < wrong / rounds < 0.11
    named = sum(any(benjamini_hochberg([rng.random() for _ in range(50)], 0.1)) for _ in range(1000))
    assert 0.07 < named / 1000 < 0.13
