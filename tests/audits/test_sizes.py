"""Sample sizes: recounted outcome by outcome with the functions that the product shows and judges by."""

from __future__ import annotations

import math

import pytest

from floorwatch.analysis.audits import sizes
from floorwatch.analysis.audits.sizes import (
    OutOfReach,
    audits_for_half_width,
    audits_for_power,
    chance_within,
    detectable,
    half_width_within,
    least_wrong_below,
    most_wrong_within,
    power_of,
)
from floorwatch.sims.intervals import chances
from streams.core.binomial import interval_limits, judged_below


def recounted_within(audits: int, accuracy: float, wanted: float) -> float:
    """The chance of a narrow enough interval, summed over every outcome."""
    limits = [interval_limits(audits - wrong, audits) for wrong in range(audits + 1)]
    return math.fsum(
        chance
        for chance, (low, high) in zip(chances(audits, accuracy), limits, strict=True)
        if high - low <= 2 * wanted
    )


def recounted_power(audits: int, accuracy: float, target: float) -> float:
    found = enumerate(chances(audits, accuracy))
    return math.fsum(chance for wrong, chance in found if judged_below(audits - wrong, audits, target))


@pytest.mark.parametrize(
    ("audits", "accuracy", "wanted"), [(60, 0.9, 0.08), (119, 0.95, 0.05), (300, 0.97, 0.02), (40, 0.6, 0.2)]
)
def test_the_chance_of_a_narrow_interval_is_that_of_its_outcomes(audits: int, accuracy: float, wanted: float) -> None:
    assert chance_within(audits, accuracy, wanted) == pytest.approx(
        recounted_within(audits, accuracy, wanted), abs=1e-9
    )


@pytest.mark.parametrize(
    ("audits", "accuracy", "target"), [(30, 0.8, 0.95), (200, 0.9, 0.95), (200, 0.95, 0.95), (57, 0.5, 0.6)]
)
def test_the_power_is_that_of_its_outcomes(audits: int, accuracy: float, target: float) -> None:
    assert power_of(audits, accuracy, target) == pytest.approx(recounted_power(audits, accuracy, target), abs=1e-9)


@pytest.mark.parametrize(("accuracy", "wanted"), [(0.95, 0.02), (0.95, 0.05), (0.9, 0.04), (0.99, 0.01), (0.5, 0.1)])
def test_the_size_for_a_half_width_is_the_least_from_which_on_it_holds(accuracy: float, wanted: float) -> None:
    found = audits_for_half_width(accuracy, wanted)
    assert all(chance_within(found + more, accuracy, wanted) >= 0.9 for more in range(120))
    assert chance_within(found - 1, accuracy, wanted) < 0.9


@pytest.mark.parametrize(("accuracy", "target"), [(0.92, 0.95), (0.9, 0.95), (0.8, 0.95), (0.96, 0.98), (0.0, 0.5)])
def test_the_size_for_a_power_is_the_least_from_which_on_it_holds(accuracy: float, target: float) -> None:
    found = audits_for_power(accuracy, target)
    assert all(power_of(found + more, accuracy, target) >= 0.8 for more in range(120))
    assert power_of(found - 1, accuracy, target) < 0.8


def test_a_size_for_the_usual_formula_would_not_keep_the_promise() -> None:
    """The fault planted: 1.96²·p·(1−p)/h² asks for 457 audits for ± 2 points at 95%; half of the intervals are wider."""
    usual = math.ceil(1.96**2 * 0.95 * 0.05 / 0.02**2)
    assert usual == 457
    assert chance_within(usual, 0.95, 0.02) < 0.5
    assert audits_for_half_width(0.95, 0.02) == 581


def test_limits_of_outcomes() -> None:
    assert most_wrong_within(10, 0.001) == -1
    assert most_wrong_within(10, 0.5) == 10
    assert least_wrong_below(1, 0.95) is None
    assert least_wrong_below(2, 0.95) == 2


def test_what_a_number_of_audits_sees() -> None:
    seen = detectable(562, 0.95)
    assert seen.accuracy is not None
    assert seen.accuracy == pytest.approx(0.92, abs=0.0005)
    assert power_of(562, seen.accuracy, 0.95) == pytest.approx(0.8, abs=1e-4)
    assert detectable(1, 0.95) == detectable(0, 0.95) == (None, None)
    assert half_width_within(581, 0.95) <= 0.02 < half_width_within(500, 0.95)


def test_what_cannot_be_had_is_told() -> None:
    with pytest.raises(OutOfReach, match="not below the target"):
        audits_for_power(0.95, 0.95)
    with pytest.raises(OutOfReach, match="up to 1,000,000 sees"):
        audits_for_power(0.94999, 0.95)
    with pytest.raises(OutOfReach, match="up to 1,000,000 makes"):
        audits_for_half_width(0.9, 0.0001)


def test_sizes_up_to_the_bound_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling passed over what lies between the last power of two and the bound: 581 was refused with a bound of 1,000."""
    monkeypatch.setattr(sizes, "MOST", 1_000)
    assert audits_for_half_width(0.95, 0.02) == 581
    assert audits_for_power(0.92, 0.95) == 562
    monkeypatch.setattr(sizes, "MOST", 580)
    with pytest.raises(OutOfReach, match="up to 580"):
        audits_for_half_width(0.95, 0.02)
    monkeypatch.setattr(sizes, "MOST", 574)  # 573 and 574 hold, 575 to 580 do not
    with pytest.raises(OutOfReach, match="up to 574"):
        audits_for_half_width(0.95, 0.02)
