"""Counts merge, can be taken back, and agree with the accuracy table where both count the same."""

from __future__ import annotations

import functools
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from floorwatch.analysis.quality.counts import Counts, add
from floorwatch.analysis.quality.decisions import confusion, overview, value_quality
from floorwatch.analysis.quality.tally import Tallies, count_task, merge
from streams.core.facts import Fact
from tests.oracle.case_events import label
from tests.quality.floor import counted, facts_of, tasks_of
from tests.replay.memory import PlainRun, floor_log


@functools.cache
def tasks() -> dict[str, list[Fact]]:
    return tasks_of(floor_log(31, days=0.5, rate=0.1))


@functools.cache
def row() -> dict[str, Any]:
    return PlainRun(floor_log(31, days=0.5, rate=0.1)).windows("accuracy", "24h")["all"]


@functools.cache
def everything() -> Counts:
    return counted(tasks())


@pytest.mark.slow
def test_what_the_accuracy_table_counts_too_is_equal() -> None:
    """Two ways over the same facts: rows of the ledger, counts of the quality framework."""
    found = overview(everything())
    assert row()["audited"] > 100
    assert (found.labels, found.audited, found.decided) == (row()["labels"], row()["audited"], row()["appeals_decided"])
    assert everything().get(("audited", 1), 0) == row()["correct"]
    assert everything().get(("appeal", "overturned"), 0) == row()["appeals_overturned"]
    assert everything().get(("appeal", "opened"), 0) == row()["appeals_opened"]
    by_class: dict[str, int] = dict.fromkeys(row()["wrong"], 0)
    by_severity: dict[str, int] = dict.fromkeys(row()["severity"], 0)
    for error, severity, count in found.errors:
        by_class[error] += count
        by_severity[severity] += count
    assert by_class == row()["wrong"]
    assert by_severity == row()["severity"]
    assert found.technical == row()["wrong"]["technical"]


@pytest.mark.slow
def test_confusion_and_values_are_the_tables_summed_over_policies() -> None:
    pairs: dict[tuple[str, str | None], int] = {}
    for one in confusion(everything()):
        key = (one.given, one.truth)
        pairs[key] = pairs.get(key, 0) + one.audits
    assert pairs == {(given, truth): count for given, truth, count in row()["confusion"]}
    sums: dict[str, list[int]] = {}
    for value in value_quality(everything()):
        into = sums.setdefault(value.value, [0, 0, 0, 0])
        for at, amount in enumerate((value.tp, value.fp, value.fn, value.precision.unsaid)):
            into[at] += amount
    assert sums == {value: [of["tp"], of["fp"], of["fn"], of["unsaid"]] for value, of in row()["values"].items()}


@pytest.mark.slow
@hypothesis_settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_parts_in_any_split_and_order_merge_to_the_whole(seed: int) -> None:
    random = Random(seed)
    parts: list[Tallies] = [{}, {}, {}]
    names = list(tasks())
    random.shuffle(names)
    for name in names:
        count_task(random.choice(parts), name, tasks()[name], lambda _: ["all"])
    whole: Tallies = {}
    for part in parts:
        merge(whole, part)
    assert whole["all"] == everything()


def test_correcting_a_task_fact_by_fact_ends_where_counting_it_once_does() -> None:
    tallies: Tallies = {}
    for name, facts in tasks().items():
        for upto in range(1, len(facts) + 1):
            count_task(tallies, name, facts[: upto - 1], lambda _: ["all"], -1)
            count_task(tallies, name, facts[:upto], lambda _: ["all"])
    assert tallies["all"] == everything()


def test_what_is_taken_away_leaves_nothing() -> None:
    left: Counts = dict(everything())
    add(left, everything().items(), -1)
    assert left == {}


@pytest.mark.parametrize("group", ["vendor", "labeler"])
def test_groups_of_a_dimension_add_up_to_the_whole_where_labels_are_counted_singly(group: str) -> None:
    from streams.core.policy import DIMENSIONS

    at = DIMENSIONS.index(group)
    tallies: Tallies = {}
    for name, facts in tasks().items():
        count_task(tallies, name, facts, lambda judged: [judged.dims[at] or "–"])
    assert len(tallies) > 2
    total: Counts = {}
    for counts in tallies.values():
        add(total, counts.items())
    for key in (("labels",), ("audited", 1), ("audited", 0), ("first", 1), ("appeal", "decided")):
        assert total.get(key, 0) == everything().get(key, 0), key


def test_two_labels_of_the_same_person_are_one_opinion_the_later() -> None:
    events = [
        label("l-1", 1, by="ana", values=["hate"]),
        label("l-2", 2, by="bo", values=["safe"]),
        label("l-3", 3, by="ana", values=["safe"]),
    ]
    counts = counted(facts_of(events))
    assert {key[1:]: n for key, n in counts.items() if key[0] == "unit"} == {("safe", "safe"): 1}
    assert {key[1:]: n for key, n in counts.items() if key[0] == "pair"} == {("ana", "bo", "safe", "safe"): 1}
    alone = counted(facts_of([events[0], events[2]]))
    assert not [key for key in alone if key[0] in ("unit", "pair", "guide-unit")]


@pytest.mark.slow
def test_the_live_rows_count_the_same_overlap() -> None:
    """The rows behind agreement_low against the items and patterns of the quality framework."""
    patterns = {key[1:]: items for key, items in everything().items() if key[0] == "unit"}
    assert row()["overlapped"] == sum(patterns.values()) > 30
    assert row()["unanimous"] == sum(items for values, items in patterns.items() if len(set(values)) == 1)
    assert 0 < row()["unanimous"] < row()["overlapped"]
    assert row()["agreement_ratio"] == row()["unanimous"] / row()["overlapped"]
