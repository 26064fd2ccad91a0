"""The naive oracle on every hand-written case."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from floorwatch.simulate.compare import differences
from floorwatch.simulate.oracle import Oracle
from streams.models.events import decode_log_event
from streams.models.measures import TABLES
from streams.models.measures.records import Family
from tests.oracle.cases import CASES, CHECKED_FIELDS, START_MS, Case

_HOUR_MS = 3_600_000


def test_case_names_are_unique() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("table", CHECKED_FIELDS)
def test_every_field_that_is_counted_has_a_case(table: str) -> None:
    """So the oracle counts every measure: one that it leaves out is 0 there, and a case says otherwise."""
    named = {name for case in CASES for (of, _, _), row in case.rows.items() if of == table for name in row}
    for name, measure in TABLES[table].measures.items():
        source = measure.source
        if isinstance(source, Family) and source.sparse and any(one.startswith(f"{name}.") for one in named):
            named |= {f"{name}.{member}" for member in source.members}
    assert [name for name in CHECKED_FIELDS[table] if name not in named] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_events_are_of_the_contract(case: Case) -> None:
    for event in case.events:
        assert decode_log_event(json.dumps(event).encode()).subject == event["subject"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows(case: Case) -> None:
    panes = Oracle.from_events(case.events).panes(3600)
    expected = {
        table: {(scope, START_MS + hour * _HOUR_MS): row for (of, scope, hour), row in case.rows.items() if of == table}
        for table in CHECKED_FIELDS
    }
    actual = {
        table: {key: row for key, row in rows.items() if key[0] == "all" or key in expected[table]}
        for table, rows in panes.items()
    }
    assert list(map(str, differences(expected, actual, CHECKED_FIELDS))) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.windows], ids=lambda case: case.name)
def test_windows(case: Case) -> None:
    windows = Oracle.from_events(case.events).windows()
    for (table, scope, window), fields in case.windows.items():
        row = windows[table].get((scope, window), {})
        assert {name: row.get(name, 0) for name in fields} == fields


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts(case: Case) -> None:
    oracle = Oracle.from_events(json.dumps(event) for event in case.events)
    assert (oracle.duplicates, oracle.conflicts, oracle.refused) == (case.duplicates, case.conflicts, case.refused)
    assert oracle.accepted == len(case.events) - case.duplicates - case.conflicts - case.refused
