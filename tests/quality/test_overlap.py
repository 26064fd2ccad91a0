"""Overlap of a task's labels in the live rows: who counts, where, when, and what takes it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.core.effects import contributions
from tests.core.harness import CoreRun
from tests.oracle.case_events import audit, label, unlabel
from tests.quality.floor import facts_of

HERE = {"site": "KUL", "vendor": "bpo-a", "queue": "hate", "policy": "P3"}


def rows(*events: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """(overlapped, unanimous) by scope of the 24h window, where anything is."""
    run = CoreRun()
    run.send(events, flush_every=1)
    run.finish()
    found = {scope: row for (scope, window), row in run.windows()["accuracy"].items() if window == "24h"}
    return {key: (row["overlapped"], row["unanimous"]) for key, row in found.items() if row["overlapped"]}


def test_a_task_counts_in_the_scopes_that_all_its_labels_share() -> None:
    two = (
        label("l-1", 0, values=["spam"], **HERE),
        label("l-2", 5, by="ben", values=["ham"], **{**HERE, "vendor": "bpo-b"}),
    )
    found = rows(*two)
    assert found.keys() == {"all", "site=KUL", "queue=hate", "policy=P3", "queue=hate,policy=P3"}
    assert set(found.values()) == {(1, 0)}


def test_one_person_twice_is_one_judgement_and_the_latest_counts() -> None:
    again = label("l-2", 5, values=["ham"])
    assert rows(label("l-1", 0, values=["spam"]), again) == {}
    assert rows(label("l-1", 0, values=["spam"]), again, label("l-3", 6, by="ben", values=["ham"]))["all"] == (1, 1)


def test_corrections_and_withdrawals_change_it_to_what_it_would_have_been() -> None:
    first, second = label("l-1", 0, values=["spam"]), label("l-2", 5, by="ben", values=["ham"])
    assert rows(first, second)["all"] == (1, 0)
    assert rows(first, second, label("l-2", 5, by="ben", values=["spam"], id="again"))["all"] == (1, 1)
    assert rows(first, second, unlabel("l-2", 9)) == {}


def test_labels_without_values_are_no_decisions() -> None:
    """Case 04: nobody decided, so nobody agreed or disagreed."""
    bare, also, said = label("l-1", 0), label("l-2", 5, by="ben"), label("l-3", 6, by="cyd", values=["spam"])
    assert counts(bare, also) == (0, 0, 1, None)
    assert counts(bare, said) == (0, 0, 1, None)
    assert counts(bare, said, label("l-4", 9, by="dan", values=["spam"])) == (1, 1, 0, 1.0)
    assert counts(bare, said, label("l-1", 0, values=["ham"], id="again")) == (1, 0, 0, 0.0)


def test_case_04() -> None:
    lines = (Path(__file__).parents[1] / "data" / "cases" / "04-no-values-agreement.jsonl").read_text().splitlines()
    overlapped, unanimous, incomparable, ratio = counts(*map(json.loads, lines))
    assert (overlapped, unanimous, ratio) == (0, 0, None)
    assert incomparable == 2


def test_repeated_values_are_a_set() -> None:
    repeated = label("l-2", 5, by="ben", values=["ham", "spam", "ham"])
    assert counts(label("l-1", 0, values=["spam", "ham"]), repeated) == (1, 1, 0, 1.0)
    assert counts(label("l-1", 0, values=["ham"]), label("l-2", 5, by="ben", values=["ham", "ham"])) == (1, 1, 0, 1.0)


def test_a_label_without_values_is_confused_with_nothing() -> None:
    run = CoreRun()
    run.send([label("l-1", 0), audit("a-1", 5, "l-1", "incorrect", values=["spam"])], flush_every=1)
    run.finish()
    row = run.windows()["accuracy"]["all", "24h"]
    assert (row["audited"], row["correct"], row["values"], row["confusion"]) == (1, 0, {}, [])


def counts(*events: dict[str, Any]) -> tuple[int, int, int, float | None]:
    """(overlapped, unanimous, overlap_incomparable, agreement_ratio) of the whole floor."""
    run = CoreRun()
    run.send(events, flush_every=1)
    run.finish()
    row = run.windows()["accuracy"]["all", "24h"]
    return row["overlapped"], row["unanimous"], row["overlap_incomparable"], row["agreement_ratio"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 90)), max_size=6))
def test_it_stands_at_the_last_label_of_those_that_count(given_labels: list[tuple[str, str, int]]) -> None:
    events = [label(f"l-{n}", at, by=who, values=[value]) for n, (who, value, at) in enumerate(given_labels)]
    group = contributions("t-1", facts_of(events).get("t-1", []), 0).get("overlap")
    latest = {event["data"]["labeler_id"]: event for event in events}
    if len(latest) < 2:
        assert group is None
        return
    assert group is not None
    assert len(group.counters) == (4 if len({tuple(e["data"]["values"]) for e in latest.values()}) == 1 else 2)
    times = {fact.label_id: fact.time_ms for fact in facts_of(events)["t-1"]}  # type: ignore[union-attr]
    assert group.time_ms == max(times[event["data"]["label_id"]] for event in latest.values())
