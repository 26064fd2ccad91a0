"""An unknown value is not a value: a decision called ``?`` is one, and a share that hangs on what nobody said is not said."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from floorwatch.analysis.people.coaching_evidence import evidence_of
from floorwatch.analysis.people.standing_labels import standing_labels_of
from floorwatch.analysis.quality.decisions import confusion, value_quality
from streams.core import counters as c
from streams.core.facts import fact_of, plain_label, same_content, unpack_one
from streams.core.overlap import overlap
from streams.core.policy import CorePolicy
from streams.core.row_layout import parts_of
from streams.core.tables import accuracy
from streams.models.events import decode_log_event
from tests.core.harness import CoreRun
from tests.core.test_measures import audit, event, label
from tests.quality.floor import counted, facts_of

VALUES = st.lists(st.sampled_from(["?", "hate", "spam"]), min_size=1, max_size=3)
JUDGED = st.lists(st.tuples(VALUES, st.none() | VALUES), min_size=1, max_size=12)


def judged(number: int, values: list[str], truth: list[str] | None) -> list[dict[str, Any]]:
    given_label = label(f"t{number}", 2, None, values[0])
    given_label["data"]["values"] = values
    checked = audit(f"t{number}", "incorrect", None, "")
    checked["data"] |= {
        "values": truth,
        "verdict": "correct" if truth is not None and set(truth) == set(values) else "incorrect",
    }
    return [given_label, checked]


def row_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    run = CoreRun(1, CorePolicy(scopes=((),)))
    run.send(events)
    run.flush(0)
    row: dict[str, Any] = run.windows()["accuracy"]["all", "1h"]
    return row


def words(values: list[str]) -> str:
    return "+".join(sorted(set(values)))


@pytest.mark.slow
@hypothesis_settings(max_examples=60)
@given(JUDGED)
def test_a_decision_of_any_name_is_never_taken_for_an_unknown_one(
    cases: list[tuple[list[str], list[str] | None]],
) -> None:
    events = [one for number, case in enumerate(cases) for one in judged(number, *case)]
    expected = Counter((words(values), None if truth is None else words(truth)) for values, truth in cases)
    row = row_of(events)
    assert {(given_words, truth): n for given_words, truth, n in row["confusion"]} == expected
    for value in ("?", "hate", "spam"):
        known = [(value in values, value in truth) for values, truth in cases if truth is not None]
        unsaid = sum(value in values for values, truth in cases if truth is None)
        counts = {"tp": (True, True), "fp": (True, False), "fn": (False, True)}
        told = {name: known.count(pair) for name, pair in counts.items()}
        if any(told.values()) or unsaid:
            assert {name: row["values"][value][name] for name in (*counts, "unsaid")} == {**told, "unsaid": unsaid}
    counts_of = counted(facts_of(events))
    assert {(one.given, one.truth): one.audits for one in confusion(counts_of)} == expected


def test_a_sole_question_mark_is_packed_alike_on_both_ways() -> None:
    made = decode_log_event(json.dumps(label("t", 2, None, "?")).encode())
    fact: Any = fact_of(3, made)
    found = plain_label(3, made, fact.time_ms)
    assert found is not None
    assert unpack_one(found[-1]).values == fact.values == "\x1e?"


def test_rows_and_facts_of_before_still_read() -> None:
    sep = c.PAIR_SEPARATOR
    old = {f"C:?{sep}hate": 2, f"C:\x1e?{sep}hate": 1, f"C:hate{sep}?": 1, f"C:hate{sep}\x1e?": 4}
    row = accuracy(parts_of({c.AUDITED: 8, **old}))
    assert row["confusion"] == [["hate", "?", 4], ["?", "hate", 3], ["hate", None, 1]]
    new: Any = fact_of(3, decode_log_event(json.dumps(label("t", 2, None, "?")).encode()))
    before = msgspec.structs.replace(new, values="?", offset=1)
    assert same_content(before, new)
    assert same_content(new, before)
    assert not same_content(before, msgspec.structs.replace(new, values="hate"))
    other = msgspec.structs.replace(new, label_id="l-2")
    dims = [(*(None,) * 7, "ana"), (*(None,) * 7, "bo")]
    told = overlap([before, other], dims)
    assert told is not None
    assert c.UNANIMOUS in told[2]


def test_what_wrong_audits_do_not_say_is_no_hundred_percent() -> None:
    """Eight right, two wrong without the right value: 10 of 10 is not what was found."""
    cases: list[tuple[list[str], list[str] | None]] = [(["hate"], ["hate"])] * 8 + [(["hate"], None)] * 2
    events = [one for number, case in enumerate(cases) for one in judged(number, *case)]
    assert row_of(events)["values"]["hate"] == {
        "tp": 8, "fp": 0, "fn": 0, "unsaid": 2, "precision_ratio": None, "recall_ratio": None, "recall_low_ratio": None,
        "recall_high_ratio": None,
    }  # fmt: skip
    (hate,) = value_quality(counted(facts_of(events)))
    for share in (hate.precision, hate.recall):
        assert (share.estimate, share.unsaid, share.cannot_say, share.enough) == (None, 2, True, False)


@pytest.mark.parametrize(
    ("truth", "precision"), [(["safe"], 1.0), (["safe", "spam"], 1.0), (["ham"], 0.96), (None, 0.96)]
)
def test_one_value_that_is_wrong_counts_and_the_interval_holds_whatever_is_right(
    truth: list[str] | None, precision: float
) -> None:
    """Found by a statistician: 768 right, 32 wrong that name no right value, and precision read 100%."""
    cases: list[tuple[list[str], list[str] | None]] = [(["safe"], ["safe"])] * 96 + [(["safe"], truth)] * 4
    events = [one for number, case in enumerate(cases) for one in judged(number, *case)]
    row = row_of(events)["values"]["safe"]
    safe = next(one for one in value_quality(counted(facts_of(events))) if one.value == "safe")
    assert safe.precision.estimate is not None
    assert row["precision_ratio"] == safe.precision.estimate.value == precision
    assert (row["unsaid"], safe.precision.unsaid) == (4 * (truth is None), 4 * (truth is None))
    if truth is None:
        assert safe.precision.estimate.low < 0.95
        assert safe.precision.estimate.high > 0.999, "another value may only be missing beside it"


@pytest.mark.parametrize("verdict", ["overturned appeal", "no values"])
def test_a_few_of_many_widen_the_interval_to_whatever_they_may_be(verdict: str) -> None:
    cases: list[tuple[list[str], list[str] | None]] = [(["hate"], ["hate"])] * 99 + [(["spam"], ["spam"])] * 99
    events = [one for number, case in enumerate(cases) for one in judged(number, *case)]
    events += judged(500, ["hate"], None if verdict == "no values" else ["hate"])
    if verdict != "no values":
        events.append(
            event("appeal.decided", "t500", 1_795_430_000_000, appeal_id="p", outcome="overturned", against="label",
                  label_id="l-t500-2")
        )  # fmt: skip
    found = {one.value: one for one in value_quality(counted(facts_of(events)))}
    hate, spam = found["hate"].precision, found["spam"].precision
    assert hate.estimate is not None
    assert spam.estimate is not None
    assert (hate.estimate.value, spam.estimate.value) == (0.99, 1.0)
    assert hate.estimate.low < spam.estimate.low  # as if the one were against it
    recall = found["spam"].recall
    assert recall.estimate is None  # no miss was seen, which is no 100%
    assert recall.at_least is not None
    assert recall.at_least < spam.estimate.low  # it may be a spam that was missed
    row = row_of(events)["values"]
    assert (row["hate"]["unsaid"], row["hate"]["precision_ratio"], row["spam"]["recall_ratio"]) == (1, 0.99, None)
    assert 0.9 < row["spam"]["recall_low_ratio"] < 1


def test_the_report_says_cannot_say_and_what_to_send() -> None:
    from rich.console import Console

    from floorwatch.analysis.quality.quality_report import ALL, report
    from floorwatch.analysis.quality.quality_text import render
    from floorwatch.replay.recount import Range

    cases: list[tuple[list[str], list[str] | None]] = [(["hate"], ["hate"])] * 40 + [(["hate"], None)] * 10
    events = [one for number, case in enumerate(cases) for one in judged(number, *case)]
    console = Console(width=200)
    with console.capture() as capture:
        for block in render(report({ALL: counted(facts_of(events))}, Range(0, 1), None)):
            console.print(block)
    text = capture.get()
    assert text.count("cannot say") == 3
    assert "Send `values` with audits that say incorrect" in text
    assert "100.0% (" not in text


def test_coaching_evidence_tells_a_question_mark_from_what_nobody_said() -> None:
    tasks = facts_of([*judged(1, ["hate"], ["?"]), *judged(2, ["hate"], None)])
    works = [work for task, facts in tasks.items() for work in standing_labels_of(task, facts)]
    assert {(one.given, one.truth) for one in evidence_of(works, {}).confusions} == {("hate", "?"), ("hate", None)}


def test_a_vendor_of_any_name_is_not_the_group_of_labels_without_one() -> None:
    from floorwatch.analysis.quality.quality_report import ALL, NOBODY, report
    from floorwatch.analysis.quality.quality_text import render
    from floorwatch.replay.recount import Range

    one = counted(facts_of(judged(1, ["hate"], ["hate"])))
    found = report({ALL: one, "–": one, "(not given)": one, NOBODY: one}, Range(0, 1), "vendor")
    assert {group.name for group in found.groups} == {"", "–", "(not given)", None}
    assert next(group for group in found.groups if group.name is None).overview.labels == 1
    assert list(render(found))
