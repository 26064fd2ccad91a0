"""Due times within a few minutes, set, moved, taken back and set again: a task is overdue exactly when its facts say so."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from streams.core import counters as c
from streams.core.alarms import DueAlarms
from streams.core.effects import contributions
from streams.core.facts import unpack
from streams.core.ledger import Ledger
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import HOUR_TIER, MINUTE_MS, CorePolicy
from streams.core.records import Record
from streams.core.time_text import rfc3339

START_MS = 1_795_392_000_000
POLICY = CorePolicy()
PROMISES = {c.DUE, c.MET, c.LATE, c.OVERDUE, c.CANCELLED, c.OPEN}


def promises_log(seed: int, events: int = 150) -> list[Record]:
    """Return records of five tasks whose due times fall, again and again, on the same few seconds of four minutes."""
    rng = random.Random(seed)
    now_ms, records = START_MS, []
    dues = [START_MS + rng.randrange(4 * MINUTE_MS) for _ in range(6)]
    for number in range(events):
        now_ms += rng.choice((0, 0, 500, 1_500, 5_000))
        label = f"l{rng.randrange(2)}"
        due: dict[str, Any] = {"due_at": rfc3339(rng.choice(dues))} if rng.random() < 0.8 else {}
        kind, data = rng.choice(
            [
                ("task.created", {"queue": "q", "required_labels": rng.choice((1, 2)), **due}),
                ("label.submitted", {"label_id": label, "labeler_id": "w", "queue": "q", "values": ["v"], **due}),
                ("label.withdrawn", {"label_id": label}),
                ("task.claimed", {"labeler_id": "w"}),
                ("task.cancelled" if rng.random() < 0.1 else "clock.tick", {}),
            ]
        )
        event = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "test",
            "type": f"floorwatch.{kind}.v1",
            "subject": "clock" if kind == "clock.tick" else f"t{rng.randrange(5)}",
            "time": rfc3339(now_ms),
            "data": data,
        }
        records.append(Record(number, 0, None, json.dumps(event).encode()))
    return records


def counted(store: LedgerStore) -> Counter[c.Counter]:
    """Return what the hour rows of the whole floor say of promises."""
    store.ledger.drain()
    found: Counter[c.Counter] = Counter()
    for (tier, _, scope), row in store.ledger.rows.places():
        if tier == HOUR_TIER and store.ledger.scopes.keys[scope] == "all":
            found.update({counter: amount for counter, amount in row.counters.items() if counter in PROMISES})
    return +found


def meant(ledger: Ledger) -> Counter[c.Counter]:
    """Return what the facts of all tasks say of promises at the watermark."""
    found: Counter[c.Counter] = Counter()
    for task_id, packed in ledger.tasks.items():
        for group in contributions(task_id, unpack(packed), ledger.watermark_ms).values():
            for counter, amount in zip(group.counters[::2], group.counters[1::2], strict=True):
                if counter in PROMISES:
                    found[counter] += int(amount)
    return +found


@pytest.mark.parametrize("seed", range(40))
def test_a_task_is_overdue_exactly_when_its_facts_say_so(seed: int) -> None:
    """Rows agree with the facts after each few events, also after a restart in the middle of a minute."""
    rng = random.Random(seed)
    store, changelog = new_store(0, POLICY), dict[bytes, bytes | None]()
    records, at, overdue = promises_log(seed), 0, 0
    while at < len(records):
        batch = records[at : at + rng.randrange(1, 5)]
        at += store.ledger.fold(batch)
        assert counted(store) == meant(store.ledger)
        overdue = max(overdue, counted(store)[c.OVERDUE])
        if rng.random() < 0.2:
            flush = store.collect()
            assert flush is not None
            changelog.update([*flush.rows, flush.meta])
            store = new_store(0, POLICY)
            assert store.restore(list(changelog.items())) == at
    assert overdue


def test_a_task_waits_twice_and_is_overdue_once() -> None:
    alarms, due_ms = DueAlarms(), START_MS + 90_000
    for task_id in ("a", "b", "a"):
        alarms.set(task_id, due_ms, START_MS)  # for a minute to come
    assert alarms.next_ms() == START_MS + MINUTE_MS
    assert not list(alarms.pop(START_MS + MINUTE_MS, lambda _: due_ms))
    alarms.set("a", due_ms, START_MS + MINUTE_MS)  # within the minute
    assert alarms.next_ms() == due_ms
    assert list(alarms.pop(due_ms, lambda _: due_ms)) == [("a", due_ms), ("b", due_ms)]
    assert not list(alarms.pop(due_ms + 1, lambda _: due_ms))


def test_a_task_that_is_no_longer_open_is_not_overdue() -> None:
    alarms, due_ms = DueAlarms(), START_MS + 90_000
    alarms.set("a", due_ms, START_MS)
    assert not list(alarms.pop(due_ms, lambda _: None))
    alarms.set("a", due_ms, due_ms)
    assert not list(alarms.pop(due_ms, lambda _: due_ms)), "what has passed when it is set needs no alarm"
