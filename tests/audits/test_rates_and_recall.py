"""Error rates of strata, shrunk where audits are few; and the least π of approved items for a recall."""

from __future__ import annotations

import numpy as np
import pytest

from floorwatch.analysis.audits.planned_labels import FlagRule, PlannedLabel, Verdict
from floorwatch.analysis.audits.rates import (
    MOST_STRATA,
    StrataTally,
    TooManyStrata,
    WrongShare,
    expected_rates,
    grouped,
    strata_of,
    variance_between,
)
from floorwatch.analysis.audits.recall import FlaggedWork, least_probability, outlook, recall_interval
from floorwatch.analysis.audits.sizes import OutOfReach
from streams.core.counters import UNKNOWN_TRUTH, joined
from streams.core.policy import DIMENSIONS

VENDOR = DIMENSIONS.index("vendor")
RULE = FlagRule(None)


def label(number: int, vendor: str, value: str, verdict: Verdict | None = None) -> PlannedLabel:
    dims = tuple(vendor if at == VENDOR else "" for at in range(len(DIMENSIONS)))
    return PlannedLabel(f"t{number}", f"l{number}", number, dims, joined([value]), verdict, verdict is not None)


def verdict(wrong: bool, weight: float = 10.0, truth: str = "", **more: bool) -> Verdict:
    return Verdict(wrong, more.get("technical", False), truth or UNKNOWN_TRUTH, weight, more.get("assumed", False))


def tally(*parts: tuple[str, str, int, int, int], weight: float = 10.0, assumed: bool = False) -> StrataTally:
    """(vendor, value, labels, audited, wrong) each."""
    found, number = StrataTally((VENDOR,)), 0
    for vendor, value, labels, audited, wrong in parts:
        for at in range(labels):
            number += 1
            said = verdict(at < wrong, weight, assumed=assumed) if at < audited else None
            one = label(number, vendor, value, said)
            found.add(one, flagged=RULE.flagged(one.values), deserved=RULE.deserved(one.verdict))
    return found


def test_a_stratum_with_many_audits_keeps_its_rate_and_one_with_few_takes_the_common_one() -> None:
    found = expected_rates(
        tally(("a", "safe", 2_000, 1_000, 100), ("b", "safe", 2_000, 1_000, 10), ("c", "safe", 50, 5, 0)), 0.05
    )
    assert found["a", "approved"] == pytest.approx(0.1, abs=0.005)
    assert found["b", "approved"] == pytest.approx(0.01, abs=0.005)
    assert 0.03 < found["c", "approved"] < 0.055


def test_strata_that_differ_by_chance_alone_share_one_rate() -> None:
    found = expected_rates(
        tally(*((vendor, "safe", 100, 20, wrong) for vendor, wrong in zip("abcd", (0, 1, 1, 2), strict=True))), 0.05
    )
    assert max(found.values()) - min(found.values()) < 0.002
    assert min(found.values()) > 0.04


def test_no_rate_is_nothing_and_flagged_ones_are_a_class_of_their_own() -> None:
    found = expected_rates(tally(("a", "safe", 500, 100, 0), ("a", "hate", 50, 40, 12), ("b", "hate", 9, 0, 0)), 0.05)
    assert 0 < found["a", "approved"] < 0.01
    assert found["b", "flagged"] == pytest.approx(0.3, abs=0.02)


def test_without_audits_the_target_is_assumed_and_without_weights_assumed_ones_count() -> None:
    assert set(expected_rates(tally(("a", "safe", 10, 0, 0)), 0.05).values()) == {0.05}
    unsaid = tally(("a", "safe", 500, 100, 10), weight=0.0, assumed=True)
    assert not unsaid.weighted
    assert unsaid.audits == 100
    assert expected_rates(unsaid, 0.05)["a", "approved"] == pytest.approx(0.101, abs=0.003)


def test_technical_errors_and_targeted_audits_say_nothing() -> None:
    found = StrataTally((VENDOR,))
    for number, said in enumerate((verdict(True, technical=True), verdict(True, 0.0), verdict(False))):
        found.add(label(number, "a", "safe", said), flagged=False, deserved=None)
    counts = found.counts["a", "approved"]
    assert (counts.labels, counts.audited, counts.wrong_weight, counts.targeted) == (3, 1, 0.0, 1)


def test_weights_count_where_probabilities_differ() -> None:
    """Ten wrong of ten at π .5 among 90 right of 90 at π .1: 20 of 920 labels are wrong, not 10 of 100."""
    found = StrataTally((VENDOR,))
    for number in range(100):
        said = verdict(number < 10, 2.0 if number < 10 else 10.0)
        found.add(label(number, "a", "safe", said), flagged=False, deserved=None)
    assert found.counts["a", "approved"].evidence(weighted=True).share == pytest.approx(20 / 920)


def test_strata_carry_costs_and_groups() -> None:
    counted = tally(("a", "safe", 10, 5, 0), ("a", "hate", 10, 5, 1), ("b", "safe", 10, 5, 0))
    found = strata_of(counted, expected_rates(counted, 0.05), {"flagged": 3.0, "a": 2.0}, {"approved": 0.5})
    assert [(one.key, one.cost, one.least) for one in found] == [
        (("a", "approved"), 2.0, 0.5),
        (("a", "flagged"), 6.0, 0.0),
        (("b", "approved"), 1.0, 0.5),
    ]
    assert {scope: len(own) for scope, own in grouped(found, range(1)).items()} == {("a",): 2, ("b",): 1}


def test_tallies_of_two_hours_merge_to_that_of_both() -> None:
    parts = [("a", "safe", 10, 5, 1), ("b", "hate", 7, 4, 2)]
    first, second, both = tally(parts[0]), tally(parts[1]), tally(*parts)
    first.merge(second)
    assert first.counts == both.counts
    assert first.labels == both.labels == 17


def test_too_many_strata_are_refused() -> None:
    found = StrataTally((VENDOR,))
    for number in range(MOST_STRATA):
        found.add(label(number, f"v{number}", "safe"), flagged=False, deserved=None)
    with pytest.raises(TooManyStrata, match="more than 2,000 strata"):
        found.add(label(0, "one more", "safe"), flagged=False, deserved=None)


@pytest.mark.parametrize(
    ("rule", "values", "flagged"),
    [
        (FlagRule(None), ["safe"], False),
        (FlagRule(None), ["Approved"], False),
        (FlagRule(None), [], False),
        (FlagRule(None), ["hate"], True),
        (FlagRule(None), ["safe", "hate"], True),
        (FlagRule(None, frozenset({"fine"})), ["safe"], True),
        (FlagRule("hate"), ["spam"], False),
        (FlagRule("hate"), ["spam", "hate"], True),
    ],
)
def test_what_flags_an_item(rule: FlagRule, values: list[str], flagged: bool) -> None:
    assert rule.flagged(joined(values)) is flagged


WORK = FlaggedWork(1_000, 0.9, 0.2, 19_000, 0.0052)


def test_the_least_probability_keeps_the_lower_end_and_less_does_not() -> None:
    plan = least_probability(WORK, at_least=0.7)
    audits = round(plan.probability * WORK.approved)
    assert plan.low >= 0.7
    assert all(outlook(WORK, audits + more)[0] >= 0.7 for more in range(0, audits, 7))
    assert any(outlook(WORK, audits - less)[0] < 0.7 for less in range(1, audits // 25))
    narrow = least_probability(WORK, half_width=0.1)
    assert outlook(WORK, round(narrow.probability * WORK.approved))[1] <= 0.1
    assert least_probability(WORK, at_least=0.8).probability > plan.probability


def test_the_interval_is_that_of_the_product() -> None:
    found = recall_interval(WORK, 190, 0)
    assert found is not None
    assert found.value is None
    assert round(found.low, 2) == 0.73
    assert WORK.recall == pytest.approx(900 / (900 + 19_000 * 0.0052))


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ({"at_least": 0.95}, "a recall of 90.1% is expected"),
        ({"half_width": 0.001}, "auditing all 19,000 approved labels gives"),
    ],
)
def test_a_recall_out_of_reach_is_told(goal: dict[str, float], said: str) -> None:
    with pytest.raises(OutOfReach, match=said):
        least_probability(WORK, **goal)


@pytest.mark.parametrize(("strata", "worth", "audits"), [(3, 50, (60, 300)), (6, 200, (60, 300)), (4, 9, (2, 6))])
def test_strata_that_differ_are_found_to_differ_as_much_as_they_do(
    strata: int, worth: int, audits: tuple[int, int]
) -> None:
    """Simulated, true shares of a beta distribution: the mean estimate is right. With k for k − 1 it is up to a third short."""
    rng, found = np.random.default_rng(5), []
    for _ in range(3_000):
        sizes = rng.integers(*audits, strata)
        wrong = rng.binomial(sizes, rng.beta(0.2 * worth, 0.8 * worth, strata))
        known = [WrongShare(bad / n, float(n)) for bad, n in zip(wrong, sizes, strict=True)]
        found.append(variance_between(known, 0.16))
    assert np.mean(found) == pytest.approx(0.16 / (worth + 1), rel=0.1)
