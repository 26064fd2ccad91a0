"""The estimate of a row and its interval: random audits by 1/π, the assumed ones by the labels that are left, targeted ones never."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import counters as c
from streams.core import row_layout, tables
from streams.core.binomial import interval_limits
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import decision_counters
from streams.core.estimates import accuracy_share, critical_share
from streams.core.proportions import Interval

RISKY = {
    "labels": 20_000,
    "weight_sum": 20_000.0,
    "weight_correct": 19_240.0,
    "sample_audited": {"4": 400, "64": 180},
    "sample_wrong": {"4": 80, "64": 4},
    "sample_weight": {"4": 2_000.0, "64": 18_000.0},
}
"""A flagged tenth (80% right) audited at 20%, the rest (98% right) at 1%."""


def estimate(row: dict[str, Any]) -> Interval:
    found = accuracy_share(row)
    assert found is not None
    return found.estimate


def test_the_estimate_is_of_the_work_and_its_interval_sees_the_weights() -> None:
    value, low, high = estimate(RISKY)
    assert value == pytest.approx(0.962)
    # Errors of weight 100 make it wider than 580 equal audits would, and the raw share (85.5%) is far outside.
    assert low < 0.945 < 0.97 < high
    assert low > 0.9


def test_targeted_audits_change_nothing() -> None:
    picked = {"targeted": 300, "targeted_correct": 20, "targeted_technical": 9, "audited": 880, "correct": 516}
    assert estimate({**RISKY, **picked}) == estimate(RISKY)
    assert (
        accuracy_share({"labels": 400, "audited": 300, "correct": 20, "targeted": 300, "targeted_correct": 20}) is None
    )
    assert accuracy_share({"labels": 400, "audited": 0}) is None


@pytest.mark.parametrize("weight", [1.0, 3.333333333, 20.0, 1_234.567])
def test_audits_of_one_weight_are_the_plain_share(weight: float) -> None:
    name = str(1 << int(weight).bit_length() - 1)
    row = {
        "labels": 9_999,
        "weight_sum": 100 * weight,
        "weight_correct": 95 * weight,
        "sample_audited": {name: 100},
        "sample_wrong": {name: 5},
        "sample_weight": {name: 100 * weight},
    }
    assert estimate(row) == Interval(0.95, *interval_limits(95, 100))
    assert estimate({"labels": 7, "assumed": 100, "assumed_correct": 95}) == Interval(0.95, *interval_limits(95, 100))


def test_technical_errors_are_left_out_of_each_class() -> None:
    technical = {"sample_technical": {"4": 40}, "weight_technical": 200.0, "assumed": 5, "assumed_technical": 5}
    assert estimate({**RISKY, **technical}).value == pytest.approx(19_240 / 19_800)
    assert accuracy_share({"labels": 5, "assumed": 5, "assumed_technical": 5}) is None


def test_what_is_assumed_random_stands_for_the_labels_that_are_left() -> None:
    mixed = {**RISKY, "labels": 30_000, "assumed": 50, "assumed_correct": 25}
    assert estimate(mixed).value == pytest.approx((19_240 + 5_000) / 30_000)
    assert estimate(mixed)[1] < estimate(RISKY)[1]


def test_what_is_assumed_random_counts_once_at_least() -> None:
    assert estimate({**RISKY, "assumed": 50, "assumed_correct": 25}).value == pytest.approx((19_240 + 25) / 20_050)


def test_where_labels_are_not_counted_what_is_assumed_weighs_as_the_others_do() -> None:
    mixed = {**RISKY, "labels": None, "audited": 638, "correct": 525, "assumed": 58, "assumed_correct": 29}
    assert estimate(mixed).value == pytest.approx((19_240 + 1_000) / 22_000)


def test_rows_of_a_release_without_classes_have_an_estimate_too() -> None:
    row = {"labels": 999, "audited": 120, "correct": 97, "targeted": 20, "targeted_correct": 2, "weight_sum": 500.0}
    found = estimate({**row, "weight_correct": 475.0})
    assert found == Interval(0.95, *interval_limits(95, 100))


TWO_TOOLS = {
    "labels": 1_200,
    "audited": 74,
    "weight_sum": 700.0,
    "weight_correct": 700.0,
    "sample_audited": {"32": 14},
    "sample_wrong": {"32": 0},
    "sample_weight": {"32": 700.0},
    "assumed": 60,
    "assumed_correct": 36,
}
"""1,000 labels of a tool that sends π = 0.02 and errs in 1%, 200 of a silent one that errs in 40%: by chance 14 audits, not 20."""


def test_how_many_labels_the_others_leave_is_an_estimate_too() -> None:
    """The truth is 92.5%; taken as known, Σ1/π of 700 leaves 500 labels for the silent tool and an interval far below."""
    share = accuracy_share(TWO_TOOLS)
    assert share is not None
    value, low, high = share.estimate
    assert value == pytest.approx((700 + 500 * 0.6) / 1_200)
    assert low < value < 0.925 < high < 1
    known = share._replace(remainder=None)
    assert known.limits()[1] < 0.925 < share.limits()[1]
    assert known.limits()[0] > share.limits()[0]
    for tail in (0.2, 0.025, 1e-3, 1e-5):
        assert share.limits(tail)[1] > known.limits(tail)[1]
        assert share.chance_below(share.limits(tail)[1]) == pytest.approx(tail, rel=1e-3)


def test_the_share_of_critical_errors_knows_it_too() -> None:
    critical = {"weight_critical": 0.0, "sample_critical": {}, "assumed_critical": 24}
    share = critical_share({**TWO_TOOLS, **critical})
    assert share is not None
    assert share._replace(remainder=None).limits()[1] < 0.925 < share.estimate.high


def test_with_labels_all_spoken_for_the_silent_tool_may_still_have_many() -> None:
    row = {**TWO_TOOLS, "weight_sum": 1_250.0, "weight_correct": 1_250.0, "sample_audited": {"32": 25}}
    share = accuracy_share({**row, "sample_weight": {"32": 1_250.0}})
    assert share is not None
    assert share.estimate.value == pytest.approx((1_250 + 36) / 1_310)
    assert share.estimate.low < 0.86  # 850 labels of the 1,250 are within chance


def test_where_every_label_of_the_others_is_audited_the_rest_is_known() -> None:
    row = {**TWO_TOOLS, "weight_sum": 14.0, "weight_correct": 14.0, "sample_audited": {"1": 14}}
    share = accuracy_share({**row, "sample_wrong": {}, "sample_weight": {"1": 14.0}})
    assert share is not None
    assert share.remainder is None


def test_rows_without_classes_have_limits_too() -> None:
    row = {**TWO_TOOLS, "weight_critical": 0.0, "assumed_critical": 24, "correct": 50}
    plain = {name: value for name, value in row.items() if not name.startswith("sample_")}
    for share in (accuracy_share(plain), critical_share(plain)):
        assert share is not None
        assert share.estimate.low < share.estimate.value < share.estimate.high


def test_one_kind_of_audits_has_no_remainder() -> None:
    assert all(
        share is not None and share.remainder is None
        for share in map(accuracy_share, (RISKY, {"labels": 900, "assumed": 100, "assumed_correct": 95}))
    )


INHOUSE = {
    "labels": 9_940,
    "audited": 631,
    "weight_sum": 9_300.0,
    "weight_correct": 9_066.0,
    "sample_audited": {"2": 1, "4": 197, "8": 13, "16": 419},
    "sample_wrong": {"4": 6, "8": 1, "16": 10},
    "sample_weight": {"2": 2.0, "4": 788.0, "8": 130.0, "16": 8_380.0},
    "assumed": 1,
    "assumed_correct": 1,
}
"""A vendor whose tool lost what it says of sampling in one of 631 audits."""


@pytest.mark.parametrize("right", [0, 1])
@pytest.mark.parametrize("labels", [9_200, 9_940, 15_000])
def test_one_audit_that_lost_its_probability_counts_about_as_the_others(labels: int, right: int) -> None:
    """Alone it stood for all labels that Σ1/π left: 66.4 to 99.0%. Labels whose audits are still to come made it 8 to 99%."""
    value, low, high = estimate({**INHOUSE, "labels": labels, "assumed_correct": right})
    alone = estimate({**INHOUSE, "assumed": 0, "assumed_correct": 0})
    assert value == pytest.approx(alone.value, abs=0.002)
    assert 0.9 * (alone.high - alone.low) < high - low < 1.25 * (alone.high - alone.low)


def test_the_fewer_audits_say_nothing_the_less_they_may_stand_for() -> None:
    """Of one it is three times as much as of the others, of eight ten times: they may be all that is known of a source."""
    lows = [estimate({**INHOUSE, "assumed": n, "assumed_correct": n}).low for n in range(1, 13)]
    assert all(0.92 < low < lows[0] < 0.96 for low in lows[1:])
    assert all(abs(estimate({**INHOUSE, "assumed": n, "assumed_correct": n}).value - 0.975) < 0.001 for n in (1, 13))


def test_many_audits_that_say_nothing_are_a_class_of_their_own() -> None:
    few, many = ({**INHOUSE, "audited": 630 + n, "assumed": n, "assumed_correct": n // 2} for n in (13, 14))
    assert estimate(few).value == pytest.approx((9_066 + 6 * 9_300 / 630) / (9_300 + 13 * 9_300 / 630))
    assert estimate(many).value == pytest.approx((9_066 + 320) / 9_940)


def test_beside_fewer_than_twenty_audits_one_is_no_stray() -> None:
    row = {"weight_sum": 190.0, "weight_correct": 180.0, "sample_audited": {"8": 19}, "sample_weight": {"8": 190.0}}
    beside = {"sample_wrong": {"8": 1}, "labels": 250, "assumed": 1, "assumed_correct": 1}
    assert estimate({**row, **beside}).value == pytest.approx(240 / 250)


def test_where_the_others_stand_for_less_than_half_of_the_labels_one_is_no_stray() -> None:
    """Flagged work, all audited, and of the rest a few whose tool says nothing."""
    flagged = {"weight_sum": 200.0, "weight_correct": 170.0, "sample_audited": {"1": 200}, "sample_wrong": {"1": 30}}
    row = {**flagged, "labels": 2_200, "sample_weight": {"1": 200.0}, "assumed": 4, "assumed_correct": 4}
    assert estimate(row).value == pytest.approx((170 + 2_000) / 2_200)


def test_a_stray_audit_widens_critical_errors_and_judged_limits_as_little() -> None:
    critical = {"weight_critical": 20.0, "sample_critical": {"16": 1}, "assumed_critical": 0}
    for share_in in (critical_share, accuracy_share):
        with_it, without = (
            share_in({**INHOUSE, **critical}),
            share_in({**INHOUSE, **critical, "assumed": 0, "assumed_correct": 0}),
        )
        assert with_it is not None
        assert without is not None
        for tail in (0.025, 1e-4):
            assert 0 <= without.limits(tail)[0] - with_it.limits(tail)[0] < 0.03


def test_technical_stray_audits_say_nothing() -> None:
    stray = {**INHOUSE, "assumed_correct": 0, "assumed_technical": 1}
    assert estimate(stray) == estimate({**INHOUSE, "assumed": 0, "assumed_correct": 0})


classes = st.dictionaries(
    st.integers(0, 10),
    st.tuples(st.integers(1, 400), st.integers(0, 400), st.integers(0, 400), st.floats(1, 1.99)),
    max_size=3,
)


@settings(max_examples=15)
@given(classes, st.integers(0, 300), st.integers(0, 300), st.integers(0, 50_000))
def test_every_row_has_an_interval_around_its_estimate(
    found: dict[int, tuple[int, int, int, float]], assumed: int, right: int, labels: int
) -> None:
    row: dict[str, Any] = {"labels": labels, "assumed": assumed, "assumed_correct": min(right, assumed)}
    row |= {name: {} for name in ("sample_audited", "sample_wrong", "sample_technical", "sample_weight")}
    row |= dict.fromkeys(("weight_sum", "weight_correct", "weight_technical"), 0.0)
    counted = assumed
    for octave, (audited, most_wrong, most_technical, part) in found.items():
        name, weight = str(1 << octave), part * (1 << octave)
        wrong = min(most_wrong, audited)
        technical = min(most_technical, wrong)
        counted += audited - technical
        row["sample_audited"][name], row["sample_wrong"][name] = audited, wrong
        row["sample_technical"][name], row["sample_weight"][name] = technical, audited * weight
        row["weight_sum"] += audited * weight
        row["weight_correct"] += (audited - wrong) * weight
        row["weight_technical"] += technical * weight
    share = accuracy_share(row)
    assert (share is None) == (counted == 0)
    if share is not None:
        value, low, high = share.estimate
        assert 0 <= low <= value + 1e-9
        assert value - 1e-9 <= high <= 1


AUDIT = st.builds(
    lambda weight, wrong, technical, assumed, critical: decision_counters(
        "",
        LabelVerdict(
            wrong=wrong,
            error_code=c.ERROR_CLASSES.index("technical") if technical and wrong else 0,
            severity_code=c.SEVERITIES.index("critical") if critical and wrong else 0,
            truth="",
            weight_nano=weight * c.NANO,
            gold=False,
            audited_ms=0,
            assumed=assumed,
        ),
    ),
    st.sampled_from([0, 0, 1, 5, 7, 100]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(AUDIT, max_size=6), st.lists(AUDIT, min_size=2, max_size=6), st.booleans())
def test_a_row_shows_the_estimate_of_its_own_counts_whatever_was_shown_before(
    audits: list[tuple[c.Counter, ...]], others: list[tuple[c.Counter, ...]], labels_known: bool
) -> None:
    """Rows that differ in one audit, or in their labels, one after the other."""
    for other, labels in product(others, (10, 11)):
        counters: c.Counters = {c.LABELS: labels}
        for one in (*audits, other):
            c.add_counters(counters, dict(zip(one[::2], map(int, one[1::2]), strict=True)))
        found = tables.accuracy(row_layout.parts_of(counters), labels_known=labels_known)
        share = accuracy_share(found)
        shown = [found[f"accuracy_{part}_ratio"] for part in ("estimate", "low", "high")]
        assert shown == (list(share.estimate) if share else [None] * 3)
        spared = critical_share(found)
        critical = [found[f"critical_error_{part}_ratio"] for part in ("estimate", "high", "low")]
        assert critical == ([1 - part for part in spared.estimate] if spared else [None] * 3)
