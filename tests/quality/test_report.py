"""The report: what is said, and that too little is said to be too little. On the broker: the command itself."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from rich.console import Console

from floorwatch.analysis.quality.agreement import agreement
from floorwatch.analysis.quality.counts import Counts
from floorwatch.analysis.quality.quality_report import ALL, QualityReport, as_json, quality_of, report
from floorwatch.analysis.quality.quality_text import agreement_words, render
from floorwatch.replay.recount import Range
from floorwatch.simulate.config import Scenario
from streams.core import counters as c
from streams.core.policy import HOUR_MS, CorePolicy
from tests.quality.test_comparison import EASY, HARD, stratum
from tests.quality.test_guidelines import RISING, guide
from tests.replay.memory import START_MS, MemoryLog, floor_log

POLICY = CorePolicy()


def ask(log: MemoryLog | None = None, **options) -> QualityReport:
    return asyncio.run(quality_of(log or floor_log(31, days=0.5, rate=0.1), POLICY, **options))[0]


def text_of(found: QualityReport) -> str:
    console = Console(file=io.StringIO(), width=220, highlight=False)
    for block in render(found):
        console.print(block)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_floor_is_reported_whole_and_by_vendor() -> None:
    found = ask(by="vendor")
    assert found.groups[0].name == ALL
    assert {group.name for group in found.groups[1:]} == {"inhouse", "bpo-a", "bpo-b"}
    assert sum(group.overview.labels for group in found.groups[1:]) == found.groups[0].overview.labels
    shown = text_of(found)
    for said in (
        "Accuracy, with 95% intervals",
        "Decision values (weighted",
        "Krippendorff's α",
        "judged by several auditors",
    ):
        assert said in shown


@pytest.mark.slow
def test_ranges_and_policies_select_labels() -> None:
    whole = ask()
    late = ask(since_ms=START_MS + 6 * HOUR_MS)
    window = ask(window_ms=2 * HOUR_MS)
    assert whole.groups[0].overview.labels > late.groups[0].overview.labels > window.groups[0].overview.labels > 0
    name = max(whole.values, key=lambda one: one.tp).policy
    one = ask(only_policy=name)
    assert {value.policy for value in one.values} == {name}
    early = ask(until_ms=START_MS + 6 * HOUR_MS)
    assert early.groups[0].overview.audited < whole.groups[0].overview.audited


@pytest.mark.slow
def test_a_vendor_whose_quality_drops_is_found_on_a_common_mix() -> None:
    """The simulated scenario: from the start bpo-a is right a quarter less often on half of the policies."""
    drop = Scenario("vendor_quality_drop", 0.0, policies=("hate", "harassment", "spam", "ip"), factor=0.75)
    log = floor_log(6, days=1, rate=0.5, scenarios=(drop,), audit_delay_scale=0.05)
    found = {one.vendor: one for one in ask(log).comparison.standings}
    assert found["bpo-a"].stands_out == "worse"
    assert "worse" not in {found["inhouse"].stands_out, found["bpo-b"].stands_out}
    raw, standardised = found["bpo-a"].raw_ratio, found["bpo-a"].standardised
    assert raw is not None
    assert standardised is not None
    assert standardised.low < raw < standardised.high + 0.05


def test_of_an_empty_log_nothing_is_claimed() -> None:
    shown = text_of(ask(MemoryLog([[]])))
    assert "Too few random audits to say anything of accuracy" in shown
    assert "no item was labelled by two people" in shown
    assert "no audit names who made it" in shown
    assert "Vendors cannot be compared fairly" in shown
    assert "100.0%" not in shown


def test_vendors_and_guidelines_are_told_in_words() -> None:
    counts: Counts = {
        **stratum("bpo-a", HARD, 9_000, 900, 810),
        **stratum("bpo-a", EASY, 1_000, 400, 396),
        **stratum("bpo-b", HARD, 1_000, 400, 320),
        **stratum("bpo-b", EASY, 9_000, 900, 873),
        **stratum("tiny", EASY, 10, 2, 2),
        **guide("2026-10", RISING, 95, 5),
    }
    shown = " ".join(text_of(report({ALL: counts}, Range(0, 1), None)).split())
    assert "Guideline of policy P3 version 2026-10 looks stale: people agree with each other (95% raw)" in shown
    assert "(13% of the decided ones in the first half, 50% in the second)" in shown
    assert "better than the others" in shown
    assert "worse than the others" in shown
    assert "tiny is left out: too few audits to say: 2, at least 30 are needed." in shown
    assert "no audit named its sampling probability" in shown


@pytest.mark.parametrize(
    ("audits", "said", "mark"),
    [
        (
            50,
            "Awaits audits: those with a known probability stand for about 200 of 1,000 labels so far.",
            "(awaits audits)",
        ),
        (250, None, None),
        (
            500,
            "Audits stand for 2,000 labels (Σ1/probability), and there are 1,000",
            "(audits stand for too many labels)",
        ),
    ],
)
def test_it_is_told_where_audits_stand_for_few_labels_or_too_many(
    audits: int, said: str | None, mark: str | None
) -> None:
    counts: Counts = {("labels",): 1_000}
    weight = audits * 4 * c.NANO
    drawn = {c.AUDITED: audits, c.CORRECT: audits, c.WEIGHT_NANO: weight, c.WEIGHT_CORRECT_NANO: weight}
    drawn |= {c.CLASS_AUDITED + 2: audits, c.CLASS_WEIGHT_NANO + 2: weight}
    counts |= {("row", counter): amount for counter, amount in drawn.items()}
    found = report({ALL: counts}, Range(0, 1), None)
    shown = " ".join(text_of(found).split())
    for words in ("Awaits audits", "Audits stand for", "(awaits audits)", "(audits stand for too many labels)"):
        assert (words in shown) == any(words in one for one in (said, mark) if one is not None), words
    assert said is None or said in shown
    assert found.groups[0].overview.accuracy is not None, "the estimate stays"


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ([], "nothing was labelled by two people"),
        ([(("a", "a"), 3)], "too few items to say: 3"),
        ([(("a", "a"), 40)], "always gave the same value"),
        ([(("a", "a"), 40), (("b", "b"), 40)], "reliable"),
        ([(("a", "a"), 40), (("b", "b"), 40), (("a", "b"), 12)], "tentative"),
        ([(("a", "a"), 95), (("a", "b"), 5)], "one value is so common"),
        ([(("a", "a"), 40), (("b", "b"), 20), (("a", "b"), 40)], "not reliable"),
    ],
)
def test_agreement_in_words(patterns: list, said: str) -> None:
    assert said in agreement_words(agreement(patterns))


def test_json_holds_everything_and_says_where_there_is_too_little() -> None:
    body = json.loads(json.dumps(as_json(ask(by="labeler"))))
    assert body["groups"][0]["overview"]["enough"] is True
    assert any(group["overview"]["enough"] is False for group in body["groups"])
    accuracy = body["groups"][0]["overview"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert body["calibration"]["auditors"][0].keys() >= {"auditor", "reviewed", "strict", "lenient", "enough"}
