"""Allocation: Neyman's whole numbers against every other division, bounds, and what a plan promises."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.analysis.audits.allocation import (
    AuditStratum,
    Planned,
    expected,
    for_half_width,
    for_power,
    half_width_of,
    narrowest,
    neyman,
    seen_below,
)
from floorwatch.analysis.audits.sizes import OutOfReach, audits_for_half_width
from floorwatch.sims.audit_plans import carried_out
from streams.core.binomial import WeightClass
from streams.core.proportions import accuracy_of_classes

FLAGGED = AuditStratum(("flagged",), 2_000, 0.2)
APPROVED = AuditStratum(("approved",), 18_000, 0.02)

strata = st.lists(
    st.builds(
        AuditStratum,
        st.just(("s",)),
        st.integers(1, 12),
        st.floats(0.01, 0.99),
        st.sampled_from([1.0, 2.0, 5.0]),
        st.just(0.0),
    ),
    min_size=1,
    max_size=3,
)


def variance(planned: list[tuple[AuditStratum, int]]) -> float:
    return sum((one.labels * one.spread) ** 2 / audits for one, audits in planned)


@pytest.mark.slow
@given(strata, st.integers(1, 30))
def test_no_other_division_of_as_many_audits_has_a_smaller_variance(found: list[AuditStratum], audits: int) -> None:
    """Where costs are alike: every division of the same number is tried."""
    alike = [one._replace(cost=1.0) for one in found]
    mine = neyman(alike, audits)
    total = sum(one.audits for one in mine)
    assert total == max(len(alike), min(audits, sum(one.labels for one in alike)))
    least = min(
        variance(list(zip(alike, parts, strict=True)))
        for parts in product(*(range(1, one.labels + 1) for one in alike))
        if sum(parts) == total
    )
    assert variance(list(mine)) <= least * (1 + 1e-9)


@given(strata, st.integers(1, 30), st.integers(0, 6), st.floats(0, 0.5))
def test_bounds_are_kept(found: list[AuditStratum], audits: int, minimum: int, least: float) -> None:
    bounded = [one._replace(least=least) for one in found]
    for one in neyman(bounded, audits, minimum=minimum):
        assert min(one.stratum.labels, max(1, minimum)) <= one.audits <= one.stratum.labels
        assert one.probability >= least - 1e-9


def test_dear_audits_are_made_less_often() -> None:
    cheap, dear = (neyman([FLAGGED._replace(cost=cost), APPROVED], 1_000) for cost in (1.0, 4.0))
    assert cheap[0].audits == pytest.approx(241, abs=1)
    assert dear[0].audits / dear[1].audits == pytest.approx(cheap[0].audits / cheap[1].audits / 2, rel=0.01)


def test_a_stratum_that_is_never_wrong_is_not_left_nearly_unaudited() -> None:
    """The product's interval allows for one more error of the largest weight: Neyman alone would be wider."""
    clean = AuditStratum(("clean",), 50_000, 0.0005)
    planned = narrowest([FLAGGED, clean], 600)
    assert planned.audits == 600
    alone = neyman([FLAGGED, clean], 600)
    assert planned.half_width < half_width_of(alone) * 0.9
    assert planned.strata[1].audits > 1.2 * alone[1].audits


def test_one_stratum_takes_what_the_plain_size_takes() -> None:
    whole = for_half_width([AuditStratum(("all",), 20_000, 0.05)], 0.02)
    assert whole.audits == pytest.approx(audits_for_half_width(0.95, 0.02), rel=0.03)
    assert whole.half_width <= 0.02
    assert whole.accuracy == pytest.approx(0.95)


def test_an_allocation_needs_fewer_audits_than_one_probability() -> None:
    planned = for_half_width([FLAGGED, APPROVED], 0.02)
    even = [Planned(one, round(one.labels * planned.audits / 20_000)) for one in (FLAGGED, APPROVED)]
    assert planned.half_width < 0.95 * half_width_of(even)
    assert planned.audits < 0.9 * audits_for_half_width(planned.accuracy, 0.02)


def test_the_expected_estimate_is_that_of_the_product() -> None:
    planned = [Planned(FLAGGED, 200), Planned(APPROVED, 150)]
    shown = accuracy_of_classes([WeightClass(200, 40, 2_000.0), WeightClass(150, 3, 18_000.0)])
    assert shown is not None
    assert expected(planned).estimate == pytest.approx(shown.estimate)


def test_a_power_is_kept_and_needs_more_for_less() -> None:
    sizes = [for_power([FLAGGED, APPROVED], see, 0.965).audits for see in (0.9, 0.93, 0.945)]
    assert all(one < following for one, following in pairwise(sizes))
    planned = for_power([FLAGGED, APPROVED], 0.93, 0.965)
    assert seen_below(planned.strata, 0.93, 0.965)
    assert not seen_below(narrowest([FLAGGED, APPROVED], planned.audits // 2).strata, 0.93, 0.965)


def test_what_a_plan_promises_holds_when_it_is_carried_out() -> None:
    """In short; the simulation audit_plans measures it with more runs and designs."""
    found = carried_out(for_half_width([FLAGGED, APPROVED], 0.02), np.random.default_rng(5), 200)
    assert np.mean(found.half_widths <= 0.02) > 0.82
    assert found.covered > 0.9


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: for_half_width([FLAGGED], 0.001), "auditing all 2,000 labels gives"),
        (lambda: for_power([FLAGGED], 0.9, 0.9), "not below the target"),
        (lambda: for_power([FLAGGED._replace(labels=20)], 0.79, 0.8), "auditing all 20 labels does not see"),
    ],
)
def test_what_is_out_of_reach_is_told(ask, said: str) -> None:
    with pytest.raises(OutOfReach, match=said):
        ask()


def test_the_plan_for_a_drop_sees_it_whatever_the_assurance_of_its_interval() -> None:
    """The number of audits was looked for with the allocation of another assurance than the plan then had."""
    found = [
        AuditStratum((name,), labels, wrong)
        for name, labels, wrong in (("a", 50_000, 0.2), ("b", 500, 0.05), ("c", 9_000, 0.002))
    ]
    assert seen_below(for_power(found, 0.791, 0.821, assurance=0.99).strata, 0.791, 0.821)
