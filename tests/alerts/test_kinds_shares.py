"""accuracy_low, critical_errors, sla_attainment: when they fire and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.baseline import BaselineState
from alerts.evaluate import evaluate
from alerts.rules import Rule
from streams.core.binomial import exact_limits
from tests.alerts import rows as made
from tests.alerts.rows import NOW_MS, accuracy, one, sample, signals, sla, view


def rule(kind: str, **fields: Any) -> Rule:
    """A rule that judges by the exact test of a window; those that judge by evidence: test_kinds_evidence.py."""
    return made.rule(kind, method="interval", **fields)


BPO = {"vendor": "bpo-a"}


def test_evidence_reads_as_the_contract_says() -> None:
    signal = one(rule("accuracy_low", scope={"by": "vendor"}), accuracy(BPO, 451, 512))
    assert signal.firing
    assert signal.evidence == "accuracy 88.1% (95% interval 85.0–90.7%) over 512 audits in the last 1h, target 95%"
    assert signal.value == 451 / 512
    assert (signal.scope, signal.scope_key, signal.window) == (BPO, "vendor=bpo-a", "1h")
    assert signal.watermark_ms == NOW_MS
    assert signal.since_ms == NOW_MS - 59 * 60_000
    assert signal.board_path.startswith(
        "/d/floorwatch-live-floor?var-window=1h&var-scope=vendor%3Dbpo-a&var-by=vendor_queue&"
    )
    assert signal.runbook_path == "docs/runbooks/accuracy_low.md"


def test_too_few_audits_is_no_alarm() -> None:
    at_minimum = one(rule("accuracy_low", min_sample=50), accuracy({}, 0, 50))
    below = one(rule("accuracy_low", min_sample=50), accuracy({}, 0, 49))
    assert at_minimum.firing
    assert not below.firing
    assert below.evidence.endswith("target 95%; too few to judge (50 random audits needed)")


def test_no_audits_at_all_has_no_value() -> None:
    signal = one(rule("accuracy_low"), accuracy({}, 0, 0))
    assert (signal.firing, signal.value, signal.evidence) == (False, None, "no random audits in the last 1h")


def test_targeted_audits_neither_raise_an_alarm_nor_hide_one() -> None:
    """400 random audits at 97%, and 60 of 100 targeted ones wrong: what was picked because it looked wrong says nothing of the rest."""
    target = rule("accuracy_low", target=0.95)
    picked = {"targeted": 100, "targeted_correct": 40, **sample(388, 400)}
    good = one(target, accuracy({}, 428, 500, **picked))
    assert (good.firing, good.value) == (False, 0.97)
    assert "over 400 audits (100 targeted audits left out)" in good.evidence
    spared = {"targeted": 4000, "targeted_correct": 4000, **sample(360, 400), "labels": 12_000}
    assert one(target, accuracy({}, 4360, 4400, **spared)).firing


@pytest.mark.parametrize(("labels", "fires"), [(8_000, True), (20_000, False)])
def test_nobody_is_judged_or_named_while_most_audits_are_to_come(labels: int, fires: bool) -> None:
    """400 audits at 1/20 stand for 8,000 labels; of 20,000 the others are of work that is audited later."""
    row = accuracy({}, 340, 400, labels=labels)
    part = accuracy({"queue": "hate"}, 100, 160, labels=2 * labels // 5)
    rest = accuracy({"queue": "spam"}, 240, 240, labels=3 * labels // 5)
    signal = one(rule("accuracy_low", scope="all"), row, part, rest)
    assert signal.firing == fires
    assert signal.holds != fires, "an incident that is open stays as it is"
    assert bool(signal.contributors) == fires
    said = "; the audits of the window stand for about 8,000 of its 20,000 labels so far"
    assert (said in signal.evidence) != fires


def test_an_alarm_is_about_the_work_and_not_about_what_was_audited_more() -> None:
    """A flagged tenth (80% right) audited at 20%, the rest (98% right) at 1%: raw 86%, the work 96.2%."""
    drawn = {
        "weight_sum": 40_000.0,
        "weight_correct": 800 * 0.8 * 5 + 360 * 0.98 * 100 - 0.8 * 100,
        "sample_audited": {"4": 800, "64": 360},
        "sample_wrong": {"4": 160, "64": 8},
        "sample_weight": {"4": 4_000.0, "64": 36_000.0},
    }
    signal = one(rule("accuracy_low", target=0.95), accuracy({}, 992, 1160, **drawn))
    assert signal.value == pytest.approx(0.96)
    assert not signal.firing
    assert one(rule("accuracy_low", target=0.985), accuracy({}, 992, 1160, **drawn)).firing


def test_critical_errors_are_judged_and_laid_to_parts_by_the_work() -> None:
    """Queue a audits its flagged tenth, where all critical errors are, twenty times as often as the rest; b audits all alike."""
    rows = {
        "a": {
            "weight_sum": 40_000.0,
            "weight_critical": 60 * 5.0,
            "sample_audited": {"4": 800, "64": 360},
            "sample_critical": {"4": 60},
            "sample_weight": {"4": 4_000.0, "64": 36_000.0},
        },
        "b": {**sample(1_000, 1_000, critical=15, weight=40)},
    }
    a, b = (
        accuracy({"queue": name}, 0, 1_160 if name == "a" else 1_000, labels=40_000, critical=60, **row)
        for name, row in rows.items()
    )
    whole = {
        "weight_sum": 80_000.0,
        "weight_critical": 900.0,
        "sample_audited": {"4": 800, "32": 1_000, "64": 360},
        "sample_critical": {"4": 60, "32": 15},
        "sample_weight": {"4": 4_000.0, "32": 40_000.0, "64": 36_000.0},
    }
    floor = accuracy({}, 0, 2_160, labels=80_000, critical=75, **whole)
    target = rule("critical_errors", target=0.005, scope={"by": "queue"})
    found = {signal.scope["queue"]: signal for signal in signals(target, a, b)}
    assert found["a"].value == pytest.approx(300 / 40_000)
    assert found["b"].value == pytest.approx(15 / 1_000)
    assert found["b"].firing
    of_all = one(rule("critical_errors", target=0.005), a, b, floor)
    assert of_all.value == pytest.approx(900 / 80_000)
    assert [part.value for part in of_all.contributors][:1] == ["b"]


def test_exactly_at_the_boundary_does_not_fire() -> None:
    high = exact_limits(451, 512)[1]
    at = one(rule("accuracy_low", target=high - 1e-7), accuracy({}, 451, 512))
    just_above = one(rule("accuracy_low", target=high + 1e-7), accuracy({}, 451, 512))
    assert not at.firing
    assert just_above.firing


def test_an_end_that_would_round_onto_the_target_is_shown_with_more_digits() -> None:
    # 1781/1900: the upper end is 94.74 %; against 94.7 % it is above, and must not be shown as 94.7 %.
    signal = one(rule("accuracy_low", target=0.947), accuracy({}, 1781, 1900))
    assert not signal.firing
    assert "94.7%)" not in signal.evidence


def test_point_estimate_below_target_is_not_enough() -> None:
    signal = one(rule("accuracy_low"), accuracy({}, 94, 100))
    assert signal.value is not None
    assert signal.value < 0.95
    assert not signal.firing


def test_technical_errors_are_left_out_and_said() -> None:
    # 60 of 500 are wrong, but 50 of them for technical reasons: 440/450 is not a breach.
    signal = one(rule("accuracy_low"), accuracy({}, 440, 500, technical=50))
    assert not signal.firing
    assert signal.value == 440 / 450
    assert "over 450 audits (50 technical errors left out)" in signal.evidence


def test_selector_picks_scopes_of_exactly_its_dimensions() -> None:
    rows = [
        accuracy({}, 1, 100),
        accuracy(BPO, 1, 100),
        accuracy({"queue": "hate", "policy": "P3"}, 1, 100),
        accuracy({"queue": "hate"}, 1, 100),
    ]
    by_pair = signals(rule("accuracy_low", scope={"by": ["policy", "queue"]}), *rows)
    exact = signals(rule("accuracy_low", scope={"vendor": "bpo-a"}), *rows)
    other = signals(rule("accuracy_low", scope={"vendor": "bpo-b"}), *rows)
    assert [signal.scope_key for signal in by_pair] == ["queue=hate,policy=P3"]
    assert [signal.scope_key for signal in exact] == ["vendor=bpo-a"]
    assert other == []


def test_row_of_a_window_long_past_says_nothing() -> None:
    hour_ms = 3_600_000
    assert signals(rule("accuracy_low"), accuracy({}, 1, 100, end_ms=NOW_MS - hour_ms)) == []
    assert len(signals(rule("accuracy_low"), accuracy({}, 1, 100, end_ms=NOW_MS - hour_ms + 1))) == 1


def test_critical_errors_fire_on_the_lower_end() -> None:
    firing = one(rule("critical_errors"), accuracy({}, 480, 512, critical=11))
    assert firing.firing
    assert firing.value == 11 / 512
    assert firing.evidence == (
        "critical errors 2.15% (95% interval 1.1–3.7%): 11 in 512 audits in the last 1h, at most 0.5% allowed"
    )
    assert not one(rule("critical_errors"), accuracy({}, 511, 512, critical=1)).firing
    assert not one(rule("critical_errors"), accuracy({}, 0, 99, critical=99)).firing  # min_sample 100


def test_sla_counts_met_and_missed_but_not_what_is_due_later() -> None:
    row = {**sla({"queue": "hate"}, 440, 60, overdue_open=12), "due": 900}
    signal = one(rule("sla_attainment", scope={"by": "queue"}), row)
    assert signal.firing
    assert signal.value == 0.88
    assert signal.evidence == (
        "SLA attainment 88% (95% interval 84.9–90.7%): 60 missed (12 still open) of 500 tasks due in the last 1h, target 95%"
    )


def test_sla_needs_its_minimum_of_due_tasks_and_evidence() -> None:
    assert not one(rule("sla_attainment", min_sample=50), sla({}, 0, 49)).firing
    assert not one(rule("sla_attainment"), sla({}, 93, 7)).firing
    assert one(rule("sla_attainment"), sla({}, 80, 20)).firing


def test_contributors_name_the_parts_by_their_excess() -> None:
    rows = [
        accuracy({}, 880, 1000),
        accuracy({"vendor": "bpo-a"}, 200, 300),
        accuracy({"vendor": "inhouse"}, 680, 700),
        accuracy({"queue": "spam"}, 880, 1000),
        accuracy({"labeler": "l-1"}, 18, 20),
        accuracy({"labeler": "l-2"}, 10, 40),
    ]
    signal = one(rule("accuracy_low"), *rows)
    parts = {(part.dimension, part.value): part for part in signal.contributors}
    # spam is the only queue: another name for the whole. l-1 has no evidence against them, l-2 has.
    assert set(parts) == {("vendor", "bpo-a"), ("labeler", "l-2")}
    bpo = parts["vendor", "bpo-a"]
    assert bpo.effect_pp == -8.5  # (200 - 0.95*300)/1000
    assert bpo.labels == 6000
    assert bpo.detail == "66.7% of 300 audits; 100% of the excess"
    assert signal.contributors[0] == bpo


def test_contributors_of_a_vendor_come_from_the_joint_rows() -> None:
    rows = [
        accuracy(BPO, 170, 200),
        accuracy(BPO | {"queue": "hate"}, 70, 100),
        accuracy(BPO | {"queue": "spam"}, 100, 100),
        accuracy({"queue": "hate"}, 0, 500),
        accuracy({"vendor": "bpo-b", "queue": "hate"}, 0, 100),
    ]
    signal = one(rule("accuracy_low", scope={"vendor": "bpo-a"}), *rows)
    assert [(part.dimension, part.value, part.effect_pp) for part in signal.contributors] == [("queue", "hate", -12.5)]


def test_contributors_against_a_reference_window_split_rate_and_mix() -> None:
    rows = [
        accuracy({}, 850, 1000),
        accuracy({"vendor": "a"}, 400, 500),
        accuracy({"vendor": "b"}, 450, 500),
        accuracy({}, 960, 1000, window="24h"),
        accuracy({"vendor": "a"}, 480, 500, window="24h"),
        accuracy({"vendor": "b"}, 480, 500, window="24h"),
    ]
    signal = one(rule("accuracy_low", reference="24h"), *rows)
    # b fell too, but less than all else did: no cause beside a.
    assert [(part.value, part.effect_pp) for part in signal.contributors] == [("a", -8.0)]
    assert signal.contributors[0].detail == "80% of 500 audits; rate -8.0, mix +0.0, both +0.0 pp"


def test_examples_pass_through() -> None:
    signal = one(rule("accuracy_low"), accuracy({}, 1, 100, examples=["t-1", "t-2"]))
    assert signal.examples == ("t-1", "t-2")


def test_wider_scopes_come_before_narrower_ones() -> None:
    rows = [accuracy({"queue": "q", "policy": "p"}, 1, 100), accuracy({"queue": "q"}, 1, 100), accuracy({}, 1, 100)]
    rules = [rule("accuracy_low", scope={"by": ["queue", "policy"]}), rule("accuracy_low"), rule("sla_attainment")]
    found = evaluate(rules[1:2] + rules[0:1], view(*rows), NOW_MS, BaselineState())
    assert [signal.scope_key for signal in found] == ["all", "queue=q,policy=p"]
