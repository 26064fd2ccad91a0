"""Fast paths of the ledger, each against the general way: fast paths, sums of coarser tiers, audit templates, rows at rest."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from streams.core import accumulate, rows
from streams.core.facts import Label, fact_of, pack, plain_label
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import DIMENSIONS, CorePolicy
from streams.core.records import Record
from streams.core.scopes import ScopeIndex
from streams.core.time_text import rfc3339
from streams.models.events import LabelSubmitted, decode_log_event
from tests.core.floorgen import START_MS, small_log
from tests.core.test_exactness import counters_of
from tests.support import seeds

POLICY = CorePolicy()
MINUTE_MS = 60_000


def orderly_log(seed: int, events: int = 1500, *, weights: bool = False) -> list[Record]:
    """Labels of many people over an hour and a half, a third of them audited: nothing expires."""
    rng = random.Random(seed)
    found: list[Record] = []

    def send(kind: str, number: int, task: str, at_ms: int, data: dict[str, Any]) -> None:
        envelope = {"specversion": "1.0", "source": "t", "type": f"floorwatch.{kind}.v1", "time": rfc3339(at_ms)}
        event = {**envelope, "id": f"{kind}{number}", "subject": task, "data": data}
        found.append(Record(len(found), 0, None, json.dumps(event).encode()))

    for n in range(events):
        at_ms = START_MS + n * 90 * MINUTE_MS // events - rng.choice((0, 0, 0, 5 * MINUTE_MS))
        data: dict[str, Any] = {"label_id": f"l{n}", "labeler_id": f"p{rng.randrange(40)}", "values": ["a"]}
        data |= {"queue": f"q{rng.randrange(3)}", "policy": f"P{rng.randrange(4)}", "vendor": rng.choice("xyz")}
        if rng.random() < 0.8:
            data["started_at"] = rfc3339(at_ms - rng.randrange(200_000))
        if rng.random() < 0.3:
            data["active_ms"] = rng.randrange(50_000)
        if rng.random() < 0.1:
            del data["queue"]
        send("label.submitted", n, f"t{n}", at_ms, data)
        if rng.random() < 0.3:
            of, wrong = rng.randrange(n + 1), rng.random() < 0.2
            verdict: dict[str, Any] = {"audit_id": f"a{n}", "verdict": "incorrect" if wrong else "correct"}
            verdict |= {"error_class": "false_positive", "severity": "major"} if wrong else {}
            if rng.random() < 0.8:
                verdict["sampling"] = {"probability": 0.1 + rng.random() / 2 if weights else 0.1}
            send("audit.completed", n, f"t{of}", at_ms, verdict)
    return found


def folded(records: list[Record], *, fast_paths: bool = True) -> LedgerStore:
    store = new_store(0, POLICY)
    store.ledger.fast_paths = fast_paths
    store.ledger.fold(records)
    return store


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_label_is_packed_as_its_fact_is(seed: int) -> None:
    plain = 0
    for record in [*small_log(seed), *orderly_log(seed, 200)]:
        offset, value = record.offset, record.value or b""
        event = decode_log_event(value)
        if type(event) is not LabelSubmitted:
            continue
        fact = fact_of(offset, event)
        assert isinstance(fact, Label)
        found = plain_label(offset, event, fact.time_ms)
        if found is not None:
            plain += 1
            assert (found[0], found[3]) == (fact.dims, pack(fact))
        else:
            late_start = fact.started_ms is not None and fact.started_ms > fact.time_ms
            assert fact.due_ms is not None or fact.created_ms is not None or late_start
    assert plain > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 4))
@pytest.mark.parametrize("weights", [False, True])
def test_lanes_and_sums_equal_the_long_way(seed: int, weights: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    records = orderly_log(seed, weights=weights)
    fast = counters_of(folded(records))
    monkeypatch.setattr(accumulate, "_FEW", 1 << 40)
    assert counters_of(folded(records, fast_paths=False)) == fast


def test_a_wrong_way_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of coarser tiers are made of finer ones here: a pane lifted into its neighbour shows."""
    expected, original = counters_of(folded(orderly_log(1))), accumulate._lifted

    def careless(*given: Any) -> Any:
        return np.roll(original(*given), 1)

    monkeypatch.setattr(accumulate, "_lifted", careless)
    assert counters_of(folded(orderly_log(1))) != expected


@pytest.mark.slow
def test_shapes_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accumulate, "_TEMPLATES_LIMIT", 50)
    store = new_store(0, POLICY)
    records = orderly_log(2, weights=True)
    for at in range(0, len(records), 100):
        store.ledger.fold(records[at : at + 100])
        store.ledger.drain()
        assert len(store.ledger._pending._templates) <= 150
    assert counters_of(store) == counters_of(folded(records))


def flushed_often(records: list[Record]) -> LedgerStore:
    store = new_store(0, POLICY)
    for at in range(0, len(records), 25):
        store.ledger.fold(records[at : at + 25])
        store.collect()
    return store


@pytest.mark.slow
def test_rows_at_rest_are_read_again_when_they_change() -> None:
    records = orderly_log(3)
    store = flushed_often(records)
    resting = sum(row._counters is None for _, row in store.ledger.rows.places())
    assert resting > len(store.ledger.rows) / 2
    assert counters_of(store) == counters_of(folded(records))


@pytest.mark.slow
def test_a_rest_in_a_stale_record_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(row: rows.StateRow, record: bytes) -> None:
        row.dirty = False
        row._record = row._record or record

    monkeypatch.setattr(rows.StateRow, "written", careless)
    records = orderly_log(3)
    assert counters_of(flushed_often(records)) != counters_of(folded(records))


HOSTILE = CorePolicy(
    scopes=(("queue", "policy", "vendor", "labeler"), ("vendor", "queue"), ("policy", "queue", "vendor"), ()),
    audit_scopes=(("queue", "labeler"),),
)


def hostile_counters(records: list[Record], values: int) -> Any:
    """Fold records where ``values`` other values of every dimension were met before."""
    store = new_store(0, HOSTILE)
    for known in store.ledger.scopes._values:
        known.names.extend(["other"] * values)
    store.ledger.fold(records)
    return counters_of(store)


@pytest.mark.parametrize("values", [100_000, 500_000])
@pytest.mark.parametrize("seed", range(2))
def test_values_without_number_change_no_sum(seed: int, values: int) -> None:
    """10**5 queues of 10**5 vendors are 10**10 scopes, of four dimensions 10**20: no array and no key is that large."""
    records = orderly_log(seed, 400, weights=seed == 1)
    expected = hostile_counters(records, 0)
    assert len(expected) > 1000
    assert hostile_counters(records, values) == expected


def test_scopes_that_are_counted_through_have_the_same_names() -> None:
    policy = CorePolicy(scopes=(("queue", "vendor"), ("labeler",), ()))
    index = ScopeIndex(policy)
    rng = random.Random(1)
    dims = [tuple(rng.choice((None, f"{name}{rng.randrange(9)}")) for name in DIMENSIONS) for _ in range(300)]
    split_dims = np.array([index.split_dims(one) for one in dims], dtype=np.int64)
    for kind in range(len(policy.scopes)):
        names: list[list[str]] = []
        for limit in (1 << 40, 1):
            codes = index.codes(kind, split_dims[:, 0], split_dims[:, 1], limit)
            assert codes.code.max() < codes.width
            names.append([index.keys[codes.scope(number)] if number >= 0 else "" for number in codes.code.tolist()])
        assert names[0] == names[1]
        assert len(set(names[0])) > (5 if policy.scopes[kind] else 0)
