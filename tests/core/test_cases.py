"""Every rule of docs/meaning.md on the product's core: the same hand-written cases the oracle must meet."""

from __future__ import annotations

import json

import pytest

from streams.models.acceptance import Refusal, parse_event
from tests.core.harness import CoreRun
from tests.oracle.cases import CASES, CHECKED_FIELDS, START_MS, Case

HOUR_MS = 3_600_000


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, batch: int) -> None:
    accepted = [
        event for event in case.events if not isinstance(parse_event(json.dumps(event).encode(), None), Refusal)
    ]
    assert len(case.events) - len(accepted) == case.refused
    run = CoreRun()
    run.send(accepted, flush_every=batch)
    run.finish()
    panes = run.panes()
    for (table, scope, hour), expected in case.rows.items():
        actual = panes[table].get((scope, START_MS + hour * HOUR_MS), {})
        for name in CHECKED_FIELDS[table]:
            assert actual.get(name, 0) == pytest.approx(expected.get(name, 0), abs=1e-9), (table, scope, hour, name)
    for table, fields in CHECKED_FIELDS.items():
        for (scope, start_ms), row in panes[table].items():
            hour = (start_ms - START_MS) // HOUR_MS
            if scope == "all" and (table, scope, hour) not in case.rows:
                assert not any(row.get(name) for name in fields), (table, hour, row)
    windows = run.windows()
    for (table, scope, window), expected in case.windows.items():
        actual = windows[table].get((scope, window), {})
        for name, value in expected.items():
            assert actual.get(name, 0) == value, (table, scope, window, name)
    fold_counts = run.stores[0].ledger.fold_counts
    assert (fold_counts.duplicates, fold_counts.conflicts) == (case.duplicates, case.conflicts)
