"""The cap on scopes: no row shows a part as if it were the whole, whatever one sender names (ADR 0030)."""

from __future__ import annotations

import functools
import itertools
import json
import random
from typing import Any

import pytest

from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.sources import SourcePartition, Sources, full_record, watermark_record
from streams.core.tables import pane_rows, window_rows
from tests.core.harness import CoreRun
from tests.oracle.case_events import audit, label
from tests.support import seeds

SCOPES: tuple[tuple[str, ...], ...] = ((), ("vendor",), ("queue",), ("team",), ("queue", "vendor"))
NAMED = frozenset({("vendor", "bpo-b"), ("queue", "hate")})
LOOSE = CorePolicy(scopes=SCOPES, audit_scopes=(("team", "policy"),))
PARTITIONS = 4
MEANING = ("labels", "audited", "correct", "handled", "due", "met", "missed", "completed", "no_sla", "active_labelers")


def capped(cap: int, named: frozenset[tuple[str, str]] = NAMED) -> CorePolicy:
    return CorePolicy(scopes=SCOPES, audit_scopes=(("team", "policy"),), max_scopes=cap, named=named)


def floor_log(seed: int) -> list[dict[str, Any]]:
    """A vendor whose teams and queues never repeat, before, beside and after an honest one."""
    rng, events = random.Random(seed), []
    for number in range(240):
        task = f"t-{rng.randrange(1_000_000)}"
        if rng.random() < 0.6:
            dims = {
                "vendor": "bpo-a",
                "team": f"team {number}",
                "queue": f"queue {number % 40}",
                "policy": f"p{number}",
            }
        else:
            dims = {
                "vendor": "bpo-b",
                "team": rng.choice(("x", "y")),
                "queue": rng.choice(("hate", "spam")),
                "policy": "P1",
            }
        events.append(label("l", number / 8, task=task, by=f"who-{number % 7}", **dims))
        if rng.random() < 0.5:
            events.append(audit("a", number / 8 + 0.1, "l", rng.choice(("correct", "incorrect")), task=task))
    return events


def rows_of(run: CoreRun) -> dict[tuple[str, str, Any], dict[str, Any]]:
    found = {}
    for tables in (run.windows(), run.panes()):
        for table, rows in tables.items():
            found.update({(table, *place): row for place, row in rows.items()})
    return found


def ran(policy: CorePolicy, events: list[dict[str, Any]], flush_every: int) -> CoreRun:
    run = CoreRun(PARTITIONS, policy)
    run.send(events, flush_every=flush_every)
    run.finish()
    return run


def meaning(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in MEANING if name in row}


@functools.cache
def _whole(seed: int) -> dict[tuple[str, str, Any], dict[str, Any]]:
    return rows_of(ran(LOOSE, floor_log(seed), 10))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "cap", "flush_every"), list(itertools.product(seeds(1, 3), (6, 20, 40), (1, 25))))
def test_what_is_not_marked_is_whole(seed: int, cap: int, flush_every: int) -> None:
    events = floor_log(seed)
    whole, found = _whole(seed), rows_of(ran(capped(cap), events, flush_every))
    marked = {place for place, row in found.items() if row.get("partial")}
    for place, row in found.items():
        if place not in marked:
            assert meaning(row) == meaning(whole[place]), place
    named = {"all", "vendor=bpo-b", "queue=hate", "queue=hate,vendor=bpo-b"}
    assert not {place for place in marked if place[1] in named}
    assert {place for place in whole if place[1] in named} <= found.keys()
    assert marked, "the cap never left a part of a scope out, so this test shows nothing"
    parts = [place for place in marked if meaning(found[place]) != meaning(whole[place])]
    assert parts, "each row marked is whole, so this test shows nothing"


def test_where_the_cap_does_not_bite_nothing_is_marked() -> None:
    found = rows_of(ran(capped(10_000), floor_log(1), 10))
    assert not [place for place, row in found.items() if "partial" in row]


def test_a_restored_ledger_lets_in_nothing_new_though_it_has_room() -> None:
    policy = CorePolicy(scopes=((), ("queue",)), audit_scopes=(), max_scopes=3)

    def record(offset: int, queue: str, minute: float) -> Record:
        event = label("l", minute, task=f"t{offset}", queue=queue)
        return Record(offset, 0, event["subject"].encode(), json.dumps(event).encode())

    first = new_store(0, policy)
    first.ledger.fold([record(0, "a", 0), record(1, "b", 1), record(2, "c", 2)])
    flush = first.collect()
    assert flush is not None
    assert first.ledger.scopes.keys == ["all", "queue=a", "queue=b"]
    kept = [(key, value) for key, value in [*flush.rows, flush.meta] if b"queue=b" not in key]  # it has expired since
    second = new_store(0, policy)
    second.restore(kept)
    second.ledger.fold([record(3, "c", 3), record(4, "a", 3)])
    again = second.collect()
    assert again is not None
    assert second.ledger.scopes.keys == ["all", "queue=a"]
    assert again.full
    # A lower cap loses no rows of a scope that is kept.
    third = new_store(0, CorePolicy(scopes=((), ("queue",)), audit_scopes=(), max_scopes=1))
    third.restore([*flush.rows, flush.meta])
    assert third.ledger.scopes.keys == ["all", "queue=a", "queue=b"]


def test_rows_shown_before_the_cap_bit_are_shown_again_as_partial_and_a_new_floor_sees_the_same() -> None:
    policy = CorePolicy(scopes=((), ("queue",)), audit_scopes=(), max_scopes=2)
    stores = [new_store(p, policy) for p in range(2)]
    floor, everything = Floor(policy), []

    def fold(partition: int, offset: int, queue: str, minute: float) -> dict[str, Any]:
        event = label("l", minute, task=f"t{offset}", queue=queue)
        record = Record(offset, 0, event["subject"].encode(), json.dumps(event).encode())
        stores[partition].ledger.fold([record])
        flush = stores[partition].collect()
        assert flush is not None
        records = [*flush.full, *flush.outputs, *flush.floor, flush.watermark]
        everything.extend(records)
        floor.apply(records)
        windows, panes = floor.take_changes()
        rows = [window_rows(row, floor.watermark_ms)["throughput"] for row in windows]
        rows += [pane_rows(row, floor.watermark_ms)["throughput"] for row in panes]
        return {f"{row['scope_key']}|{row['window']}": row.get("partial", False) for row in rows}

    fold(1, 0, "a", 0)
    shown = fold(0, 0, "b", 0)
    assert not any(shown.values())
    shown = fold(1, 1, "b", 1)  # partition 1 is full: b is a part there, and a is whole
    assert shown["queue=b|1h"]
    assert shown["queue=b|pane"]
    assert not shown["all|1h"]
    assert not shown["queue=a|1h"]
    again = Floor(policy)
    again.apply(everything)
    marks: dict[str, bool] = {}
    for row in again.all_windows():
        marks[row.state.key] = row.state.partial
    assert marks == {"all": False, "queue=a": False, "queue=b": True}


def test_a_state_rebuilt_with_a_higher_cap_is_full_no_more() -> None:
    sources = Sources(1)
    for key, value in (full_record(0, "old", 7), watermark_record(0, "old", SourcePartition(7, 1_000))):
        sources.hear(key.decode(), value)
    assert sources.full == {0}
    assert sources.heard[0] == SourcePartition(7, 1_000)
    key, value = watermark_record(0, "new", SourcePartition(8, 2_000))
    sources.hear(key.decode(), value)
    assert sources.full == frozenset()
