"""A row that grows with the names it counts never stops a worker: it lets go of the names and tells so (ADR 0018)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from streams.adapters.topic_names import TopicNames
from streams.agents.ledger import LedgerStage
from streams.core import counters as c
from streams.core.floor import Floor
from streams.core.ledger_store import ROW, LedgerStore, new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.row_layout import parts_of
from streams.core.tables import accuracy, pane_rows
from streams.core.value_quality import PAIRS_MOST
from tests.agents.test_ledger import Broker, Nothing
from tests.core.harness import encode
from tests.oracle.case_events import audit, label, unlabel

POLICY = CorePolicy(scopes=((), ("queue",)))
SMALL = 2_000
MANY = 300


def log_of(events: list[dict[str, Any]]) -> list[Record]:
    return [Record(offset, 0, *encode(one)) for offset, one in enumerate(events)]


def crowd(first: int, last: int, queue: str = "q") -> list[dict[str, Any]]:
    """Labels of as many people, each audited and found wrong under a decision of its own."""
    found: list[dict[str, Any]] = []
    for n in range(first, last):
        found.append(label(f"l{n}", 1, by=f"session-{n}", task=f"t{n}", queue=queue, values=[f"v{n}"]))
        found.append(audit(f"a{n}", 2, f"l{n}", "incorrect", task=f"t{n}", values=[f"w{n}"]))
    return found


def numbers(store: LedgerStore) -> dict[Any, dict[Any, int]]:
    """All that is not counted by name."""
    store.ledger.drain()
    scopes = store.ledger.scopes.keys
    return {
        (tier, at, scopes[scope]): {
            counter: n for counter, n in row.counters.items() if type(counter) is int and counter != c.NAMES_LEFT_OUT
        }
        for (tier, at, scope), row in store.ledger.rows.places()
    }


def folded(events: list[dict[str, Any]], row_bytes: int, every: int) -> tuple[LedgerStore, list[Any]]:
    """Fold and flush, with all that is written."""
    store, flushes = new_store(0, POLICY, owner="w", row_bytes=row_bytes), []
    records = log_of(events)
    for at in range(0, len(records), every):
        store.ledger.fold(records[at : at + every])
        flushes.append(store.collect())
    return store, flushes


def test_a_row_that_outgrows_its_record_keeps_its_numbers_and_no_names() -> None:
    events = [*crowd(0, MANY), *(unlabel(f"l{n}", 3, task=f"t{n}") for n in range(0, MANY, 2)), *crowd(0, 9, "small")]
    whole, _ = folded(events, 1 << 30, 40)
    cut, flushes = folded(events, SMALL, 40)
    assert numbers(cut) == numbers(whole)
    written = [(key, value) for flush in flushes for key, value in flush.rows if key.startswith(ROW) and value]
    assert max(len(value) for _, value in written) <= SMALL
    told = [key for flush in flushes for key in flush.cut]
    assert len(told) == len(set(told)) >= 2, "each row is told once"
    assert not any(b"queue=small" in key for key in told)
    assert cut.ledger.fold_counts.set_aside == len(told)
    for (_, _, scope), row in cut.ledger.rows.places():
        names = [counter for counter in row.counters if type(counter) is str]
        assert bool(names) == (cut.ledger.scopes.keys[scope] == "queue=small")


def test_a_successor_goes_on_without_the_names() -> None:
    events = crowd(0, MANY)
    store, flushes = folded(events[:400], SMALL, 40)
    changelog = [entry for flush in flushes for entry in (*flush.rows, flush.meta)]
    successor = new_store(0, POLICY, owner="x", row_bytes=SMALL)
    successor.restore(changelog)
    for one in (store, successor):
        one.ledger.fold(log_of(events)[400:])
        flush = one.collect()
        assert flush is not None
        assert flush.cut == []
    assert numbers(successor) == numbers(store)


def test_tables_do_not_say_how_many_people_there_were() -> None:
    _, flushes = folded([*crowd(0, MANY), *crowd(MANY, MANY + 3, "small")], SMALL, 40)
    floor = Floor(POLICY, sources=1)
    for flush in flushes:
        floor.apply([*flush.outputs, *flush.floor, flush.watermark])
    shown = {pane.state.key: pane_rows(pane, floor.watermark_ms) for pane in floor.all_panes()}
    large, small = shown["queue=q"], shown["queue=small"]
    assert (large["throughput"]["labels"], large["throughput"]["active_labelers"]) == (MANY, None)
    assert (large["accuracy"]["audited"], large["accuracy"]["confusion"], large["accuracy"]["examples"]) == (
        MANY,
        [],
        [],
    )
    assert (small["throughput"]["active_labelers"], len(small["accuracy"]["confusion"])) == (3, 3)


def test_the_worker_goes_on_and_tells(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> int | None:
        broker = Broker()
        broker.open.set()
        stage = LedgerStage(0, POLICY, TopicNames("f.", 1), broker, broker, Nothing(), row_bytes=SMALL)  # type: ignore[arg-type]
        stage.fold(log_of(crowd(0, MANY)))
        done = await stage.flush()
        assert max(len(value) for key, value in broker.held if key.startswith(ROW) and value) <= SMALL
        return done

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(go()) == 2 * MANY
    assert "queue=q" in caplog.text
    assert "Look for a sender whose labeler_id" in caplog.text


def test_a_row_shows_the_most_frequent_pairs() -> None:
    pairs: c.Counters = {f"C:v{n}{c.PAIR_SEPARATOR}w{n}": 1 + n for n in range(3 * PAIRS_MOST)}
    row = accuracy(parts_of(pairs))
    assert len(row["values"]) == len(row["confusion"]) == PAIRS_MOST
    last = 3 * PAIRS_MOST - 1
    assert row["confusion"][0] == [f"v{last}", f"w{last}", 3 * PAIRS_MOST]
