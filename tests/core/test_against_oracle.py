"""The pure core against the independent oracle on simulated floors: every pane and window of every table."""

from __future__ import annotations

import pytest

from floorwatch.simulate.compare import COMPARED, differences, report, row_count
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.runs import simulated_log
from streams.models.acceptance import Refusal, parse_event
from tests.core.harness import CoreRun
from tests.support import seeds

START_MS = 1_794_700_800_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(4, 20))
def test_every_pane_and_window_equals_the_recount(seed: int) -> None:
    lines = simulated_log(seed, days=2, rate=0.006, start_ms=START_MS)
    oracle = Oracle.from_events(lines)
    assert oracle.duplicates
    accepted = [line for line in lines if not isinstance(parse_event(line, None), Refusal)]
    assert len(lines) - len(accepted) == oracle.refused
    run = CoreRun(partitions=1 + seed % 4)
    run.send(accepted, flush_every=40 + 97 * (seed % 7))
    run.finish()
    assert run.floor.watermark_ms == oracle.watermark_ms
    panes, windows = run.panes(), run.windows()
    found = differences(oracle.panes(3600), panes, COMPARED)
    found += differences(oracle.windows(), {t: _sliding(rows) for t, rows in windows.items()}, COMPARED)
    rows = row_count(oracle.panes(3600), panes)
    assert not found, report(found, rows)
    assert rows > 300
    counted = [store.ledger.fold_counts for store in run.stores]
    assert sum(fold_counts.duplicates for fold_counts in counted) == oracle.duplicates
    assert sum(fold_counts.conflicts for fold_counts in counted) == oracle.conflicts


def _sliding(rows: dict) -> dict:
    return {key: row for key, row in rows.items() if key[1] not in ("day", "shift")}


@pytest.mark.slow
def test_a_lost_event_is_found() -> None:
    lines = simulated_log(3, days=0.3, rate=0.1, start_ms=START_MS)
    oracle = Oracle.from_events(lines)
    run = CoreRun()
    at = next(n for n, line in enumerate(lines) if b"label.submitted" in line)
    run.send([line for n, line in enumerate(lines) if n != at and not isinstance(parse_event(line, None), Refusal)])
    run.finish()
    assert differences(oracle.panes(3600), run.panes(), COMPARED)
