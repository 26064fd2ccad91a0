"""Rules that judge by evidence: rows carry what the detector says, the rule says it in words."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.detectors import detectors_of
from alerts.rules_file import default_rules, parse_rules
from streams.core.detectors.bets import CRITICAL_RATIOS, DUE_RATIOS, ShareBets
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.packed import MOST_NANO, accuracy_pane, evidence_amount, evidence_counter
from tests.alerts.rows import NOW_MS, accuracy, one, rule, signals, sla

BPO = {"vendor": "bpo-a"}
SINCE_MS = NOW_MS - 7_320_000
"""Mon 23 Nov 2026 08:00 UTC."""


def reading(**fields: Any) -> dict[str, Any]:
    found = {"score": 213_456.7, "bar": 140_000.0, "firing": True, "since_ms": SINCE_MS, "fired_ms": NOW_MS}
    return {"the-rule": found | {"units": 82, "bad": 17} | fields}


def test_the_counts_are_of_the_window_and_evidence_says_since_when() -> None:
    signal = one(rule("accuracy_low", scope={"by": "vendor"}), accuracy(BPO, 451, 512, evidence=reading()))
    assert signal.firing
    assert signal.evidence == (
        "accuracy 88.1% (95% interval 85.0–90.7%) over 512 audits in the last 1h, target 95%; "
        "evidence 210,000 : 1 (bar 140,000) since Mon 23 Nov 08:00 UTC"
    )
    assert signal.since_ms == SINCE_MS
    assert signal.value == 451 / 512
    assert "probability" not in signal.evidence


ASSUMED = {"assumed": 512, "assumed_correct": 451, "assumed_critical": 61}


@pytest.mark.parametrize(
    ("audited", "fields", "said"),
    [
        (512, ASSUMED, " (assumed random: they say nothing of sampling)"),
        (524, {**ASSUMED, "targeted": 12, "targeted_correct": 0},
         " (assumed random: they say nothing of sampling; 12 targeted audits left out)"),
        (512, {}, ""),
    ],
)  # fmt: skip
def test_what_is_to_be_known_of_the_audits_is_named_beside_the_number(
    audited: int, fields: dict[str, int], said: str
) -> None:
    row = accuracy(BPO, 451, audited, critical=61, evidence=reading(), **fields)
    signal = one(rule("accuracy_low", scope={"by": "vendor"}), row)
    assert f"accuracy 88.1% (95% interval 85.0–90.7%) over 512 audits{said} in the last 1h" in signal.evidence


@pytest.mark.parametrize("kind", ["accuracy_low", "critical_errors"])
def test_the_least_probability_is_cut_as_the_weights_of_audits_are(kind: str) -> None:
    text = f"rules: [{{name: a, kind: {kind}, least_probability: 0.0001}}, {{name: b, kind: {kind}, least_probability: 0.01}}]"
    cut, plain = (detector.model for detector in detectors_of(parse_rules(text).rules))
    heaviest = evidence_counter("l", "p", 10_000 * NANO, technical=False)
    [pane] = accuracy_pane({heaviest: evidence_amount(wrong=True, critical=False)})
    assert cut.top_nano == pane.weight_nano == MOST_NANO
    assert plain.top_nano == 100 * NANO


def test_a_reading_without_evidence_of_recovery_holds_and_says_so() -> None:
    by_vendor = rule("accuracy_low", scope={"by": "vendor"})
    quiet = one(by_vendor, accuracy(BPO, 95, 100, evidence=reading(score=20.0, firing=False, recovered=False)))
    assert (quiet.firing, quiet.holds) == (False, True)
    assert quiet.evidence.endswith("; no evidence of recovery")
    for ended in ({"recovered": True}, {}):  # a row of an earlier release says nothing of it
        over = one(by_vendor, accuracy(BPO, 95, 100, evidence=reading(score=20.0, firing=False, **ended)))
        assert not over.holds
    assert not one(by_vendor, accuracy(BPO, 95, 100, evidence=reading(recovered=False))).holds  # it fires


def test_the_detector_decides_not_the_interval() -> None:
    quiet = accuracy({}, 1, 100, evidence=reading(score=20.0, firing=False))
    assert not one(rule("accuracy_low"), quiet).firing
    assert one(rule("accuracy_low"), accuracy({}, 100, 100, evidence=reading())).firing


def test_a_row_without_a_reading_says_so() -> None:
    signal = one(rule("accuracy_low"), accuracy({}, 1, 100))
    assert not signal.firing
    assert signal.evidence.endswith("; no evidence yet")
    other = accuracy({}, 1, 100, evidence={"another-rule": reading()["the-rule"]})
    assert not one(rule("accuracy_low"), other).firing


def test_more_audits_are_asked_for_where_they_would_soon_decide() -> None:
    near = one(
        rule("accuracy_low"), accuracy({}, 90, 100, evidence=reading(score=400.0, firing=False, wants_audits=True))
    )
    far = one(rule("accuracy_low"), accuracy({}, 90, 100, evidence=reading(score=300.0, firing=False)))
    assert near.evidence.endswith("; more random audits would soon decide")
    assert "more" not in far.evidence


def test_the_watch_list_names_what_is_high_together() -> None:
    """Three of four at a third of the bar: none pages, all three are worth a look."""
    scores = {"a": 60_000.0, "b": 50_000.0, "c": 47_000.0, "d": 100.0}
    rows = [accuracy({"vendor": v}, 90, 100, evidence=reading(score=s, firing=False)) for v, s in scores.items()]
    found = {s.scope["vendor"]: s.evidence for s in signals(rule("accuracy_low", scope={"by": "vendor"}), *rows)}
    assert [f"number {place} on the watch list" in found[v] for v, place in (("a", 1), ("b", 2), ("c", 3))] == [
        True
    ] * 3
    assert "watch list" not in found["d"]
    loud = [*rows, accuracy({"vendor": "e"}, 1, 100, evidence=reading(score=1e9))]
    (firing,) = [s for s in signals(rule("accuracy_low", scope={"by": "vendor"}), *loud) if s.firing]
    assert "watch list" not in firing.evidence


def test_nothing_since_is_left_out() -> None:
    fields = {"score": 0.8, "firing": False, "since_ms": None, "units": 0, "bad": 0}
    signal = one(rule("accuracy_low"), accuracy({}, 100, 100, evidence=reading(**fields)))
    assert signal.evidence.endswith("target 95%; evidence 0 : 1 (bar 140,000)")
    assert signal.since_ms == NOW_MS - 59 * 60_000


def test_critical_errors_and_sla_in_their_own_words() -> None:
    critical = one(rule("critical_errors"), accuracy({}, 480, 512, critical=11, evidence=reading(bad=5)))
    missed = one(rule("sla_attainment"), sla({}, 440, 60, evidence=reading(units=1, bad=1)))
    assert critical.evidence.endswith("; evidence 210,000 : 1 (bar 140,000) since Mon 23 Nov 08:00 UTC")
    assert missed.evidence.endswith("; evidence 210,000 : 1 (bar 140,000) since Mon 23 Nov 08:00 UTC")


def test_contributors_and_examples_come_with_it() -> None:
    whole = accuracy({}, 880, 1000, evidence=reading(), examples=["t-1"])
    signal = one(rule("accuracy_low"), whole, accuracy(BPO, 200, 300), accuracy({"vendor": "inhouse"}, 680, 700))
    assert [part.value for part in signal.contributors] == ["bpo-a"]
    assert signal.examples == ("t-1",)


def test_rules_become_detectors() -> None:
    text = """
rules:
- {name: a, kind: accuracy_low, scope: {by: queue, vendor: bpo-a}, window: 8h, target: 0.9,
   budget: {per_day: 3000, days: 10}}
- {name: b, kind: accuracy_low, method: interval}
- {name: c, kind: critical_errors}
- {name: d, kind: sla_attainment, scope: {by: queue}}
- {name: e, kind: rushing}
"""
    found = {detector.name: detector for detector in detectors_of(parse_rules(text).rules)}
    assert list(found) == ["a", "c", "d"]
    assert (found["a"].bar, found["a"].window, found["a"].measure) == (30_000.0, "8h", "accuracy")
    assert found["a"].model.allowed == pytest.approx(0.1)
    assert found["a"].watches({"queue": "hate", "vendor": "bpo-a"})
    assert not found["a"].watches({"queue": "hate", "vendor": "bpo-b"})
    assert not found["a"].watches({"vendor": "bpo-a"})
    assert found["c"].model.lambdas == ShareBets.of(0.005, CRITICAL_RATIOS).lambdas
    assert (found["d"].bar, found["d"].model.period_ms, found["d"].model.per_unit) == (2_688.0, 3_600_000, False)
    assert found["d"].model.lambdas == ShareBets.of(1 - 0.95, DUE_RATIOS).lambdas


def test_shipped_rules_judge_by_evidence() -> None:
    rules = [rule for rule in default_rules().rules if getattr(rule, "method", "") == "evidence"]
    assert [rule.name for rule in rules] == [detector.name for detector in detectors_of(rules)]
    assert len(rules) == 8
    assert all(rule.for_evaluations == 1 for rule in rules)  # the detector has waited already


def test_a_message_counts_on_one_basis() -> None:
    """The detector counts from another moment on, and what one person did in an hour once: 82 beside 512 reads as a contradiction."""
    rows = {
        "accuracy_low": accuracy(BPO, 451, 512, evidence=reading()),
        "critical_errors": accuracy(BPO, 480, 512, critical=11, evidence=reading()),
        "sla_attainment": sla(BPO, 440, 60, evidence=reading()),
    }
    for kind, row in rows.items():
        said = one(rule(kind, scope={"by": "vendor"}), row).evidence
        assert "82" not in said, kind
        assert said.count(" in the last ") == 1, kind
        assert said.count(" since ") == 1, kind
