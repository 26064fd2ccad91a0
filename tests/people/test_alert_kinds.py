"""exposure_cap and rushing: what rows can say, and what they say of what they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from alerts.kinds.registry import KIND_OF
from streams.core.estimates import accuracy_share, row_without
from streams.core.policy import DEFAULT_SCOPES, CorePolicy
from streams.core.tables import window_rows
from tests.alerts.rows import MINUTE_MS, NOW_MS, accuracy, common, one, rule, signals
from tests.core.harness import CoreRun
from tests.oracle.case_events import at, label

HOUR = 3_600_000


def handled(
    scope: dict[str, str], window: str, handle_ms: int, handled: int = 200, p50: float = 30_000, p90: float = 57_000
):
    return {
        "table": "throughput", **common(scope, window), "labels": handled, "handled": handled, "handle_ms_sum": handle_ms,
        "handle_ms_p50": p50, "handle_ms_p90": p90,
    }  # fmt: skip


def cap(**fields: Any):
    return rule("exposure_cap", **fields)


ANA = {"labeler": "ana"}
GORE, SPAM = {"policy": "gore", "labeler": "ana"}, {"policy": "spam", "labeler": "ana"}


def test_policies_count_with_their_weight_where_rows_tell_them_apart():
    rows = [handled(ANA, "24h", 6 * HOUR), handled(GORE, "24h", 2 * HOUR), handled(SPAM, "24h", 4 * HOUR)]
    found = one(cap(weights={"gore": 1.5, "spam": 0.1}), *rows)
    assert not found.firing
    assert found.value == pytest.approx(2 * 3600 * 1.5 + 4 * 3600 * 0.1)
    assert found.evidence == "3 h 24 min severity-weighted in the last 24h, the cap is 4 h; nothing in the last hour"
    found = one(cap(weights={"gore": 2}, other_weight=0), *rows)
    assert found.firing
    assert found.evidence == "4 h severity-weighted in the last 24h, the cap is 4 h: reached"
    assert [(part.value, part.effect_pp) for part in found.contributors] == [("gore", -100.0)]


def test_the_pace_of_the_last_hour_warns_before_the_cap():
    rows = [handled(ANA, "24h", 3 * HOUR), handled(GORE, "24h", 3 * HOUR), handled(GORE, "1h", HOUR // 2)]
    found = one(cap(), *rows)
    assert found.firing
    assert "reached about Mon 23 Nov 12:02 UTC at the pace of the last hour" in found.evidence
    assert not one(cap(ahead="90m"), *rows).firing


def test_without_rows_by_policy_everything_counts_and_that_is_said():
    found = one(cap(weights={"gore": 2}, other_weight=0.5), handled(ANA, "24h", 9 * HOUR))
    assert found.firing
    assert found.value == pytest.approx(4.5 * 3600)
    assert found.evidence.endswith("No rows by policy,labeler (tables.scopes): every policy counts with weight 0.5")


def test_another_persons_rows_do_not_count_and_old_rows_end():
    other = handled({"policy": "gore", "labeler": "bo"}, "24h", 9 * HOUR)
    found = {signal.scope_key: signal for signal in signals(cap(), handled(ANA, "24h", HOUR), other)}
    assert list(found) == ["labeler=ana"]
    assert found["labeler=ana"].value == pytest.approx(3600)
    gone = handled(ANA, "24h", 9 * HOUR) | {"end": common(ANA, "24h", NOW_MS - 25 * HOUR + MINUTE_MS)["end"]}
    assert signals(cap(), gone) == []


def rush(**fields: Any):
    return rule("rushing", **fields)


def floor(scope: dict[str, str], *, own: float = 20_000, everybody: float = 30_000, right: int = 150, n: int = 400):
    """The person took 30 s in the week, ``own`` today; everybody 30 s, ``everybody`` today; 1,900 of 2,000 right before."""
    parent = {name: value for name, value in scope.items() if name != "labeler"}
    person = {"labeler": scope["labeler"]}
    return [
        handled(scope, "24h", 1, n, own, own * 1.9), handled(scope, "7d", 1, 2000, 30_000, 57_000),
        handled(parent, "24h", 1, 9000, everybody, everybody * 1.9), handled(parent, "7d", 1, 60_000, 30_000, 57_000),
        accuracy(person, right, 200, window="24h", examples=["t-1"]),
        accuracy(person, 1900 + right, 2200, window="7d"),
    ]  # fmt: skip


MIX = {"queue": "q", "policy": "p", "labeler": "ana"}
BY_MIX = {"by": ["queue", "policy", "labeler"]}


def test_faster_with_more_errors_fires_and_says_both():
    found = one(rush(scope=BY_MIX), *floor(MIX))
    assert found.firing
    assert found.value == pytest.approx(2 / 3)
    assert found.examples == ("t-1",)
    assert found.evidence == (
        "0.67× the handle time of the last 7d against everybody, on the same queue and policy; z -11.5; accuracy -20.0 "
        "points (95% interval -26.7 to -14.1); alarm at 90%, z -5 and accuracy down beyond chance"
    )


def test_faster_alone_everybody_faster_or_worse_alone_do_not_fire():
    assert not one(rush(scope=BY_MIX), *floor(MIX, right=190)).firing
    assert not one(rush(scope=BY_MIX), *floor(MIX, everybody=20_000)).firing
    assert not one(rush(scope=BY_MIX), *floor(MIX, own=29_000)).firing
    assert not one(rush(scope=BY_MIX), *floor(MIX, n=99)).firing


def test_a_labeller_alone_is_watched_with_a_word_of_warning():
    found = one(rush(), *floor(ANA))
    assert found.firing
    assert "whatever the mix of work (select queue, policy, labeler to fix it)" in found.evidence


def test_technical_errors_are_not_held_against_anybody():
    rows = floor(MIX, right=150)
    person = {"labeler": MIX["labeler"]}
    rows[-2] = accuracy(person, 150, 200, technical=45, window="24h", examples=["t-1"])
    rows[-1] = accuracy(person, 2050, 2200, technical=45, window="7d")
    assert not one(rush(scope=BY_MIX), *rows).firing


def test_targeted_audits_say_nothing_of_whether_errors_rose():
    """Forty wrong labels more in the window, all of them picked: the random audits are as right as before."""
    rows = floor(MIX, right=190)
    rows[-2:] = [row | {"audited": row["audited"] + 40, "targeted": 40, "targeted_correct": 0} for row in rows[-2:]]
    found = one(rush(scope=BY_MIX), *rows)
    assert not found.firing
    assert "accuracy +0.0 points" in found.evidence


def test_a_row_less_a_part_of_it_is_the_row_of_the_rest():
    week = {
        "labels": 1000, "audited": 90, "correct": 80, "weight_sum": 900.0, "weight_correct": 850.0,
        "sample_audited": {"4": 50, "16": 40}, "sample_wrong": {"4": 8, "16": 2}, "sample_weight": {"4": 250.0, "16": 650.0},
    }  # fmt: skip
    day = {
        "labels": 100, "audited": 20, "correct": 15, "weight_sum": 150.0, "weight_correct": 125.0,
        "sample_audited": {"4": 18, "16": 2}, "sample_wrong": {"4": 5}, "sample_weight": {"4": 90.0, "16": 60.0},
    }  # fmt: skip
    rest = row_without(week, day)
    assert rest is not None
    assert (rest["labels"], rest["weight_correct"], rest["sample_audited"]) == (900, 725.0, {"4": 32, "16": 38})
    assert accuracy_share(rest).estimate.value == pytest.approx(725 / 750)
    assert row_without(day, week) is None


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ({"assumed": 5, "assumed_correct": 5}, {"assumed": 1, "assumed_correct": 0}),
        ({"assumed": 5, "assumed_correct": 3}, {"assumed": 4, "assumed_correct": 4}),
        ({"assumed": 5, "assumed_technical": 1}, {"assumed": 5}),
        ({"sample_audited": {"4": 9}, "sample_wrong": {"4": 1}}, {"sample_audited": {"4": 2}, "sample_wrong": {"4": 2}}),
        ({"sample_audited": {"4": 9}, "sample_wrong": {"4": 9}}, {"sample_audited": {"4": 2}, "sample_wrong": {"4": 1}}),
        ({"sample_audited": {"4": 9}, "sample_wrong": {"4": 1}, "sample_technical": {"4": 1}},
         {"sample_audited": {"4": 2}, "sample_wrong": {"4": 1}}),
        ({"weight_sum": 90.0, "weight_correct": 90.0}, {"weight_sum": 10.0, "weight_correct": 5.0}),
        ({"weight_sum": 90.0, "weight_correct": 4.0}, {"weight_sum": 10.0, "weight_correct": 5.0}),
    ],
)  # fmt: skip
def test_rows_of_two_moments_that_contradict_each_other_are_not_compared(whole, part):
    """A verdict is overturned after the longer window's row is published and before the shorter one's."""
    assert row_without({"labels": 100, "audited": 20} | whole, {"labels": 10, "audited": 5} | part) is None


def test_one_labeller_whose_rows_contradict_each_other_does_not_stop_the_rule():
    contradicting = [
        accuracy({"labeler": "ana"}, right, audited, window=window, assumed=audited, assumed_correct=right)
        for window, right, audited in (("24h", 0, 1), ("7d", 5, 5))
    ]
    found = one(rush(scope=BY_MIX), *floor(MIX)[:4], *contradicting)
    assert not found.firing
    assert "too few audits to say whether errors rose" in found.evidence


def test_too_few_to_judge_is_said():
    assert "too few, now or before, to judge" in one(rush(scope=BY_MIX), *floor(MIX, n=5)).evidence
    assert "too few audits to say whether errors rose" in one(rush(scope=BY_MIX), *floor(MIX)[:4]).evidence


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("exposure_cap", {"scope": "all"}, "exposure is a person's"),
        ("exposure_cap", {"weights": {"gore": -1}}, "greater than or equal to 0"),
        ("rushing", {"scope": {"by": "queue"}}, "its scope names labeler"),
        ("rushing", {"window": "7d"}, "the reference must be longer than the window"),
    ],
)
def test_rules_that_make_no_sense_are_refused(kind, fields, said):
    with pytest.raises(ValidationError, match=said):
        rule(kind, **fields)


def test_both_kinds_have_a_headline():
    assert {"exposure_cap", "rushing"} <= KIND_OF.keys()


@pytest.mark.parametrize("split", [True, False])
def test_rows_of_the_core_feed_the_kind_by_policy_where_the_scope_is_configured(split):
    """From events through the core to the finding: three hours of gore, then three of spam."""
    scopes = (*DEFAULT_SCOPES, ("policy", "labeler")) if split else DEFAULT_SCOPES
    run = CoreRun(policy=CorePolicy(scopes=scopes))
    run.send(
        label(
            f"l-{n}", 10 * (n + 1), by="ana", task=f"t-{n}", policy="gore" if n < 18 else "spam", started_at=at(10 * n)
        )
        for n in range(36)
    )
    run.finish()
    now_ms = run.floor.watermark_ms
    rows = [row for window in run.floor.all_windows() for row in window_rows(window, now_ms).values()]
    the_rule = cap(weights={"gore": 1, "spam": 0.1}, other_weight=0.5)
    found = {signal.scope_key: signal for signal in signals(the_rule, *rows, at_ms=now_ms)}["labeler=ana"]
    assert found.value == pytest.approx(3 * 3600 * 1.1 if split else 6 * 3600 * 0.5)
    assert ("No rows by policy,labeler" in found.evidence) is not split
