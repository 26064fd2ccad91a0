"""overturns_high and agreement_low: when they fire and what they say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from alerts.rules_file import default_rules, parse_rules
from streams.core.binomial import exact_limits
from tests.alerts.rows import accuracy, one, rule, signals

HATE = {"policy": "hate"}


def appeals(overturned: int, decided: int, **more):
    return accuracy(HATE, 0, 0, window="7d", appeals_decided=decided, appeals_overturned=overturned, **more)


def overlap(unanimous: int, tasks: int):
    return accuracy(HATE, 0, 0, window="7d", overlapped=tasks, unanimous=unanimous)


def test_overturned_appeals_in_words() -> None:
    signal = one(rule("overturns_high", scope={"by": "policy"}), appeals(60, 120, examples=["t-1"]))
    assert signal.firing
    assert signal.evidence == (
        "50% of decided appeals overturned (95% interval 41.0–59.0%): 60 of 120 about labels of the last 7d, at most 20% wanted"
    )
    assert (signal.value, signal.target, signal.examples) == (0.5, 0.2, ("t-1",))


def test_it_fires_by_the_wide_interval_not_by_the_shown_one() -> None:
    between = appeals(17, 50)
    assert 1 - exact_limits(33, 50)[1] > 0.2 > 1 - exact_limits(33, 50, 3.17e-5)[1]
    assert not one(rule("overturns_high", scope={"by": "policy"}), between).firing
    assert one(rule("overturns_high", scope={"by": "policy"}, min_z=1.96), between).firing


def test_few_appeals_or_none_are_no_alarm() -> None:
    few = one(rule("overturns_high", scope={"by": "policy"}), appeals(19, 19))
    assert not few.firing
    assert few.evidence.endswith("; too few to judge (20 appeals needed)")
    assert one(rule("overturns_high", scope={"by": "policy"}), appeals(0, 0)).evidence == "no appeals in the last 7d"
    assert one(rule("overturns_high", scope={"by": "policy"}), appeals(20, 20)).firing


def test_disagreement_in_words() -> None:
    signal = one(rule("agreement_low", scope={"by": "policy"}), overlap(120, 200))
    assert signal.firing
    assert signal.evidence == (
        "all agreed on 60% (95% interval 53.0–66.7%) of 200 tasks labelled by several people in the last 7d, target 80%"
    )
    assert signal.value == 0.6
    assert not one(rule("agreement_low", scope={"by": "policy"}), overlap(150, 200)).firing
    none = one(rule("agreement_low", scope={"by": "policy"}), overlap(0, 0))
    assert not none.firing
    assert none.evidence == "no tasks labelled by several people in the last 7d"


def test_rows_of_an_older_worker_say_nothing() -> None:
    """A row written before the upgrade lacks the counts: nothing is judged, nothing breaks."""
    assert not one(rule("agreement_low", scope={"by": "policy"}), accuracy(HATE, 1, 2, window="7d")).firing


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("overturns_high", {"appeals_decided": 60, "appeals_overturned": 40}),
        ("agreement_low", {"overlapped": 60, "unanimous": 10}),
    ],
)
def test_parts_of_which_only_audits_are_kept_have_no_labels_and_are_named_all_the_same(
    kind: str, counts: dict[str, int]
) -> None:
    vendor, doubled = {"vendor": "bpo-a"}, {name: 2 * count for name, count in counts.items()}
    whole = accuracy(vendor, 80, 100, window="7d", **doubled)
    parts = [
        accuracy({**vendor, "policy": policy}, 40, 50, window="7d", **counts) | {"labels": None}
        for policy in ("hate", "spam")
    ]
    (signal,) = signals(rule(kind, scope=vendor), whole, *parts)
    assert signal.firing
    assert {part.value for part in signal.contributors} == {"hate", "spam"}


def test_nobody_agrees_alone() -> None:
    with pytest.raises(ValidationError, match="nobody agrees alone"):
        parse_rules("rules: [{name: a, kind: agreement_low, scope: {by: labeler}}]")


def test_both_are_among_the_shipped_rules() -> None:
    assert {"overturns_high", "agreement_low"} <= {rule.kind for rule in default_rules().rules}
