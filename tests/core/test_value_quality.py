"""Precision and recall of values in rows: by weight, bounded by the audits of labels that were not given the value."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

import pytest

from streams.core import counters as c
from streams.core.counters import Counters, add_counters
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import decision_counters
from streams.core.proportions import WeightClass, recall_of
from streams.core.row_layout import parts_of
from streams.core.tables import accuracy
from streams.core.value_quality import Pair


class Audit(NamedTuple):
    given: str
    truth: str
    weight: float = 0.0
    assumed: bool = False


def verdict(audit: Audit) -> LabelVerdict:
    wrong = audit.given != audit.truth
    return LabelVerdict(wrong, 0, 0, audit.truth, round(audit.weight * c.NANO), False, 0, audit.assumed)


def row_of(audits: Iterable[Audit], labels: int = 0) -> dict[str, Any]:
    counters: Counters = {c.LABELS: labels} if labels else {}
    for audit in audits:
        flat = decision_counters(audit.given, verdict(audit))
        add_counters(counters, {counter: int(amount) for counter, amount in zip(flat[::2], flat[1::2], strict=True)})
    return accuracy(parts_of(counters))


def drawn(given: str, truth: str, count: int, weight: float) -> list[Audit]:
    return [Audit(given, truth, weight)] * count


def test_recall_is_of_the_work_and_not_of_the_audits() -> None:
    """The situation of issue 14: 5% violating, true recall 80%, flagged items audited at 20%, approved ones at 1%."""
    audits = [*drawn("spam", "spam", 160, 5), *drawn("spam", "safe", 40, 5), *drawn("safe", "spam", 2, 100)]
    audits += drawn("safe", "safe", 188, 100)
    spam = row_of(audits)["values"]["spam"]
    assert (spam["tp"], spam["fp"], spam["fn"]) == (160, 40, 2)
    assert spam["recall_ratio"] == pytest.approx(0.8)  # 98.8% of the audits
    assert spam["precision_ratio"] == pytest.approx(0.8)
    assert spam["recall_low_ratio"] < 0.6
    assert spam["recall_high_ratio"] > 0.95
    expected = recall_of([WeightClass(200, 40, 1_000)], [WeightClass(190, 2, 19_000)])
    assert expected is not None
    found = [spam[f"recall_{name}ratio"] for name in ("", "low_", "high_")]
    assert found == pytest.approx([expected.value, expected.low, expected.high])


def test_no_miss_seen_is_no_hundred_percent() -> None:
    audits = [*drawn("spam", "spam", 180, 5), *drawn("spam", "safe", 20, 5), *drawn("safe", "safe", 190, 100)]
    spam = row_of(audits)["values"]["spam"]
    assert spam["recall_ratio"] is None
    assert spam["recall_low_ratio"] == pytest.approx(0.73, abs=0.01)  # as recall_of says of the same audits
    assert spam["recall_high_ratio"] == 1.0


def test_where_nothing_else_was_audited_recall_is_not_known() -> None:
    spam = row_of(drawn("spam", "spam", 180, 5))["values"]["spam"]
    assert (spam["recall_ratio"], spam["recall_low_ratio"], spam["recall_high_ratio"]) == (None, None, None)
    assert spam["precision_ratio"] == 1.0


def test_targeted_audits_are_counted_and_say_nothing_of_the_work() -> None:
    sampled = [*drawn("spam", "spam", 160, 5), *drawn("safe", "spam", 2, 100), *drawn("safe", "safe", 188, 100)]
    picked = [Audit("safe", "spam")] * 50 + [Audit("spam", "safe")] * 70
    one, other = row_of(sampled)["values"]["spam"], row_of(sampled + picked)["values"]["spam"]
    assert (other["fn"], other["fp"]) == (52, 70)
    shares = {name for name in one if name.endswith("ratio")}
    assert {name: one[name] for name in shares} == {name: other[name] for name in shares}
    alone = row_of(picked)["values"]["spam"]
    assert {name: alone[name] for name in shares} == dict.fromkeys(shares)


def test_what_is_assumed_random_stands_for_the_labels_that_are_left() -> None:
    sampled = [*drawn("spam", "spam", 90, 10), *drawn("safe", "safe", 100, 10), *drawn("safe", "spam", 10, 10)]
    assumed = [Audit("spam", "spam", assumed=True)] * 10 + [Audit("safe", "spam", assumed=True)] * 10
    row = row_of(sampled + assumed, labels=4_000)  # 2,000 of them are left for 20 audits
    assert row["values"]["spam"]["recall_ratio"] == pytest.approx((900 + 1_000) / (900 + 1_000 + 100 + 1_000))
    alone = row_of(assumed, labels=4_000)["values"]["spam"]
    assert alone["recall_ratio"] == 0.5


def test_recall_holds_for_every_weight_that_the_others_may_leave() -> None:
    """Of 1,200 labels 14 audits of π = 0.02 leave 500 to the others, which miss much; by chance it may be 30."""
    sampled = drawn("spam", "spam", 14, 50)
    assumed = [Audit("spam", "spam", assumed=True)] * 36 + [Audit("safe", "spam", assumed=True)] * 24
    spam = row_of(sampled + assumed, labels=1_200)["values"]["spam"]
    assert spam["recall_ratio"] == pytest.approx((700 + 300) / 1_200)
    assert spam["recall_low_ratio"] < 0.75
    assert spam["recall_high_ratio"] > 0.925


@pytest.mark.parametrize("seed", range(4))
def test_the_shares_are_those_of_a_recount(seed: int) -> None:
    rng = Random(seed)
    values = ["hate", "safe", "spam", c.joined(["hate", "spam"])]
    weights = [1.0, 3.0, 3.333333333, 20.0, 100.0]
    audits = []
    for _ in range(rng.randint(1, 300)):
        known = rng.random() < 0.7
        audits.append(Audit(rng.choice(values), rng.choice(values), rng.choice(weights) if known else 0.0))
    row = row_of(audits)
    for value in ("hate", "safe", "spam"):
        right = wrong = missed = 0.0
        for audit in audits:
            given, deserved = value in c.values_of(audit.given), value in c.values_of(audit.truth)
            right += audit.weight * (given and deserved)
            wrong += audit.weight * (given and not deserved)
            missed += audit.weight * (deserved and not given)
        found = row["values"][value]
        assert found["precision_ratio"] == (pytest.approx(right / (right + wrong)) if right + wrong else None)
        if missed:
            assert found["recall_ratio"] == pytest.approx(right / (right + missed))
            assert found["recall_low_ratio"] <= found["recall_ratio"] <= found["recall_high_ratio"]
    assert sum(count for _, _, count in row["confusion"]) == len(audits)


def test_the_order_in_which_pairs_were_counted_changes_nothing() -> None:
    """Rows after a restart have their counters in another order; the sums of weights are rounded."""
    weights = (3.333333333, 7.142857143, 1.1, 1.428571429, 3.0)
    counters: Counters = {c.LABELS: 100}
    for number, weight in enumerate(weights):
        for given, truth in (("spam", f"spam|{number}"), (f"{number}", "spam"), (f"spam|{number}", f"{number}")):
            flat = decision_counters(given, verdict(Audit(given, truth, weight)))
            add_counters(counters, {name: int(amount) for name, amount in zip(flat[::2], flat[1::2], strict=True)})
    expected = accuracy(parts_of(counters))["values"]
    random = Random(3)
    for _ in range(40):
        names = random.sample(list(counters), len(counters))
        assert accuracy(parts_of({name: counters[name] for name in names}))["values"] == expected


def test_a_weight_without_a_count_is_no_error() -> None:
    """Of a row that was counted by other rules, and is brought over, parts may be gone."""
    assert Pair(weight=c.NANO).sums(1.0) == (1.0, 1.0, 1.0)


def test_pairs_counted_by_an_earlier_release_are_read() -> None:
    pair, missed = f"spam{c.PAIR_SEPARATOR}spam", f"safe{c.PAIR_SEPARATOR}spam"
    old = {f"C:{pair}": 100, f"W:{pair}": 500 * c.NANO, f"C:{missed}": 5, f"W:{missed}": 100 * c.NANO, c.AUDITED: 105}
    row = accuracy(parts_of(old))
    assert row["values"]["spam"]["recall_ratio"] == pytest.approx(500 / 600)
    assert row["confusion"] == [["spam", "spam", 100], ["safe", "spam", 5]]
