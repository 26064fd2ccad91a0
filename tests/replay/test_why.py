"""Why: whatever row is asked for, the tasks listed add up to it in every counter."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest
import typer
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from floorwatch.cli.options import scope_of
from floorwatch.replay.why import MEASURES, NoSuchRow, RowAddress, why
from streams.core.counters import ASSUMED, AUDITED, CLASS_AUDITED, SAMPLING_CLASSES, Counters
from streams.core.policy import DEFAULT_SCOPES, HOUR_MS, CorePolicy
from streams.core.scope_state import WindowRow
from streams.core.scopes import BadScope, parse_scope, parse_scope_key, scope_key
from streams.core.tables import window_rows
from streams.models.topics import partition_of
from tests.oracle.case_events import START_MS as CASE_MS
from tests.oracle.case_events import audit, created, label
from tests.replay.memory import START_MS, MemoryLog, PlainRun, floor_log, log_of

POLICY = CorePolicy()


def ask(scope: dict[str, str], place: RowAddress, table: str = "accuracy", measure: str = "wrong", log=None):
    return asyncio.run(why(log or logged(), POLICY, scope, place, MEASURES[table][measure], measure))


def logged() -> MemoryLog:
    return floor_log(11, days=0.5)


@functools.cache
def present() -> PlainRun:
    return PlainRun(logged())


@functools.cache
def _prefix(until_ms: int) -> PlainRun:
    return PlainRun(logged(), until_ms)


@hypothesis_settings(max_examples=15)
@given(st.data())
@pytest.mark.slow
def test_the_listed_contributions_add_up_to_the_row(data: st.DataObject) -> None:
    # Of scopes that keep audits alone the command refuses to speak: their rows are not a sum of what tasks contribute.
    listed = sorted(key for key, state in present().floor.scopes.items() if not state.audits_only)
    state = present().floor.scopes[data.draw(st.sampled_from(listed))]
    table = data.draw(st.sampled_from(sorted(MEASURES)))
    measure = data.draw(st.sampled_from(sorted(MEASURES[table])))
    if data.draw(st.booleans()):
        place = RowAddress(window=data.draw(st.sampled_from(["1h", "24h", "7d", "day"])))
    else:
        place = RowAddress(pane_ms=data.draw(st.sampled_from(sorted(state.panes[2]))))
    found = ask(state.scope, place, table, measure)
    assert (found.unequal, found.ahead) == ({}, [])
    assert found.total == found.row


@pytest.mark.slow
@pytest.mark.parametrize("table", sorted(MEASURES))
@pytest.mark.parametrize("hours", [2, 5, 9])
def test_the_tasks_behind_a_past_number_add_up_too(table: str, hours: int) -> None:
    until_ms = START_MS + hours * HOUR_MS
    measure = next(iter(MEASURES[table]))
    found = asyncio.run(
        why(logged(), POLICY, {}, RowAddress(window="24h"), MEASURES[table][measure], measure, until_ms)
    )
    row = _prefix(until_ms).windows(table, "24h")["all"]
    assert found.total == found.row == row[measure]
    assert (found.unequal, found.ahead) == ({}, [])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)], ids=["before", "after"])
def test_a_partition_far_ahead_of_the_others_is_named_and_not_compared(order: tuple[int, int, int]) -> None:
    """Found by the fuzz campaign: the row still holds what was told before its pane was let go of, and nothing told after."""
    ahead_min, due_at = 60 * 24 * 20, "2026-12-23T10:00:00Z"
    other = next(name for name in map(str, range(99)) if partition_of(name.encode(), 2) != partition_of(b"t-1", 2))
    events = [label("l-1", 0, task=other), created(-60, id="again"), created(ahead_min, due_at=due_at)]
    log = log_of(((CASE_MS + 30 * 24 * HOUR_MS, json.dumps(events[n]).encode()) for n in order), 2)
    for measure in ("due", "open"):
        found = ask({}, RowAddress(window="24h"), "sla", measure, log=log)
        assert (found.unequal, found.ahead) == ({}, [partition_of(b"t-1", 2)])


@pytest.mark.slow
def test_measures_are_those_of_the_tables() -> None:
    """A row's count of a measure is the sum of the counters named for it."""
    counters: Counters = {n: 3 * n for n in range(1, 200)}
    counters |= {n: 10_000 + n for n in (AUDITED, ASSUMED, *range(CLASS_AUDITED, CLASS_AUDITED + SAMPLING_CLASSES))}
    rows = window_rows(WindowRow(present().floor.scopes["all"], "1h", 0, HOUR_MS, counters), HOUR_MS)
    for table, measures in MEASURES.items():
        for name, parts in measures.items():
            head, _, inner = name.partition(".")
            if name == "open" or head.endswith("_nano"):
                continue
            shown = rows[table][head]
            if isinstance(shown, dict):
                shown = shown[inner] if inner else sum(shown.values())
            assert sum(counters[counter] for counter in parts) == shown, name


def test_a_wrong_label_is_listed_with_who_and_why() -> None:
    events = [
        created(0, queue="hate", vendor="bpo-a"),
        label("l-1", 5, by="ana", values=["safe"]),
        audit("a-1", 6, "l-1", "incorrect", error_class="false_negative", severity="critical", values=["hate"]),
        label("l-2", 7, by="bo", task="t-2", vendor="bpo-a", values=["hate"]),
        audit("a-2", 8, "l-2", "correct", task="t-2"),
    ]
    log = log_of((CASE_MS + 30 * 24 * HOUR_MS, json.dumps(event).encode()) for event in events)
    found = ask({"vendor": "bpo-a"}, RowAddress(pane_ms=CASE_MS + 1000), log=log)
    assert [item.as_json() for item in found.items] == [
        {
            "task": "t-1",
            "label": "l-1",
            "labeler": "ana",
            "time": "2026-11-23T10:05:00Z",
            "verdict": "safe: incorrect (false_negative, critical), right is hate",
            "contribution": 1,
        }
    ]
    assert (found.row, found.total, found.span.start_ms) == (1, 1, CASE_MS)


def test_a_contribution_that_goes_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from floorwatch.replay import why as module

    real = module.groups_in
    lost: list[str] = []

    def losing(task_id, *arguments):
        for name, group in real(task_id, *arguments):
            if name.startswith("audit:") and not lost:
                lost.append(task_id)
                continue
            yield name, group

    monkeypatch.setattr(module, "groups_in", losing)
    found = ask({}, RowAddress(window="24h"), measure="audited")
    assert found.unequal["audited"] == (found.row, found.row - 1)


def test_rows_that_are_not_there_are_explained() -> None:
    with pytest.raises(NoSuchRow, match=r"no row of scope vendor=nobody; .*[Uu]se one of vendor=bpo-a"):
        ask({"vendor": "nobody"}, RowAddress(window="24h"))
    with pytest.raises(NoSuchRow, match="has no pane of 60 min"):
        ask({}, RowAddress(pane_ms=1000 * HOUR_MS))


def test_scopes_are_read_as_people_write_them() -> None:
    assert parse_scope("all") == parse_scope("") == {}
    assert list(parse_scope("queue=hate, vendor=bpo-a").items()) == [("vendor", "bpo-a"), ("queue", "hate")]
    assert parse_scope_key("vendor=bpo-a,queue=hate") == {"vendor": "bpo-a", "queue": "hate"}
    assert parse_scope("queue,vendor=", bare=True) == {"vendor": "", "queue": ""}
    odd = {"queue": "a,b=c|50%"}
    assert parse_scope(scope_key(tuple(odd), tuple(odd.values()))) == odd  # a key that was shown can be given back


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bpo-a", "write dimension=value"),
        ("vndor=x", "vndor is not a dimension"),
        ("=x", "is not a dimension"),
        ("queue=a,queue=b", "queue is named twice"),
        ("queue=", "queue has no value"),
        ("queue=a,", "write dimension=value"),
    ],
)
def test_what_is_no_scope(text: str, said: str) -> None:
    with pytest.raises(BadScope, match=said):
        parse_scope(text)


def test_a_scope_that_is_not_kept_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        scope_of("--scope", "team=t,market=m", kinds=DEFAULT_SCOPES)
    assert "--scope team=t,market=m: no rows are kept by team,market; kept are: all; site" in capsys.readouterr().err
