"""An event that cannot be counted is set aside whole: the rest comes to what it would without it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from streams.core import ledger as ledger_module
from streams.core import task_timers
from streams.core.accumulate import Accumulator
from streams.core.counters import EXAMPLE_PREFIX
from streams.core.facts import Audit, Created, LabelWithdrawn, unpack
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import CorePolicy
from streams.core.records import CANNOT_PROCESS, Record, Rejected
from tests.core.floorgen import small_log
from tests.support import seeds

POLICY = CorePolicy(scopes=((), ("queue",), ("labeler",)))

Plant = Callable[[pytest.MonkeyPatch], None]


def _raising(module: Any, name: str, when: Callable[..., bool]) -> Plant:
    original = getattr(module, name)

    def plant(patch: pytest.MonkeyPatch) -> None:
        def faulty(*args: Any) -> Any:
            if when(*args):
                raise KeyError("planted")
            return original(*args)

        patch.setattr(module, name, faulty)

    return plant


PLANTS: dict[str, Plant] = {
    "a label in the lane": _raising(ledger_module, "plain_label", lambda _, event, __: event.data.labeler_id == "w1"),
    "a fact": _raising(
        ledger_module, "made", lambda _, event: getattr(event.data, "audit_id", None) == "a1" or event.subject == "t3"
    ),
    "effects": _raising(
        ledger_module, "contributions", lambda _, facts, __: bool(facts) and type(facts[-1]) is LabelWithdrawn
    ),
    "steps of a creation": _raising(ledger_module, "created_steps", lambda fact, _: fact.dims[3] == "q1"),
    "a number that does not fit": _raising(
        Accumulator, "_intern", lambda _, counter: type(counter) is str and counter.startswith(EXAMPLE_PREFIX + "t1")
    ),
    "packing": _raising(ledger_module, "pack", lambda fact: type(fact) is Audit and fact.wrong),
}

FAST_PATHS_ONLY = {"a label in the lane", "steps of a creation"}


def folded(
    log: list[Record], *, fast_paths: bool, seed: int = 0, restart: bool = False
) -> tuple[LedgerStore, list[Rejected]]:
    """Fold a log in random batches, into a recovered ledger each time where ``restart`` says so."""
    rng = random.Random(seed)
    store = new_store(0, POLICY, "o")
    changelog: list[tuple[bytes, bytes | None]] = []
    refused: dict[int, Rejected] = {}
    at = 0
    while at < len(log):
        store.ledger.fast_paths = fast_paths
        size = rng.choice((1, 7, 60, 200))
        store.ledger.fold(log[at : at + size])
        at += size
        refused.update((one.offset, one) for one in store.ledger.rejected)
        store.ledger.rejected.clear()
        flush = store.collect()
        assert flush is not None
        changelog += [*flush.rows, flush.meta]
        if restart:
            store = new_store(0, POLICY, f"o{at}")
            at = store.restore(changelog)
    return store, list(refused.values())


def seen(store: LedgerStore) -> tuple[Any, ...]:
    """Return rows, facts and counters, wherever the events stood in the log."""
    ledger = store.ledger
    rows = {(ledger.scopes.keys[place[2]], *place[:2]): dict(row.counters) for place, row in ledger.rows.places()}
    facts = {
        task: [msgspec.structs.replace(fact, offset=0) for fact in unpack(packed)]
        for task, packed in ledger.tasks.items()
    }
    fold_counts = msgspec.structs.replace(ledger.fold_counts, set_aside=0)
    return {k: v for k, v in rows.items() if v}, facts, fold_counts, ledger.watermark_ms


@pytest.mark.slow
@pytest.mark.parametrize("fast_paths", [True, False])
@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("seed", seeds(1, 3))
def test_the_rest_is_exact(monkeypatch: pytest.MonkeyPatch, name: str, seed: int, fast_paths: bool) -> None:
    log = small_log(seed, 500)
    with monkeypatch.context() as patch:
        PLANTS[name](patch)
        store, refused = folded(log, fast_paths=fast_paths)
        again, refused_again = folded(log, fast_paths=fast_paths, seed=7, restart=True)
    aside = {one.offset for one in refused if one.code == CANNOT_PROCESS}
    assert store.ledger.fold_counts.set_aside == len(aside)
    assert aside or (name in FAST_PATHS_ONLY and not fast_paths)
    # Recovered again and again, in other batches: the same events, refused in the same words.
    assert {one.offset: one for one in refused_again} == {one.offset: one for one in refused}
    assert seen(again)[1:] == seen(store)[1:]
    rest = [record for record in log if record.offset not in aside]
    without, _ = folded([replace_offset(record, at) for at, record in enumerate(rest)], fast_paths=fast_paths)
    assert seen(store) == seen(without)


def replace_offset(record: Record, offset: int) -> Record:
    return msgspec.structs.replace(record, offset=offset)


def test_its_letter_says_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS["effects"](monkeypatch)
    log = small_log(0, 500)
    _, refused = folded(log, fast_paths=True)
    letter = next(one for one in refused if one.code == CANNOT_PROCESS)
    assert letter.value == log[letter.offset].value
    assert "KeyError" in letter.reason
    assert "report" in letter.reason


def test_a_task_time_cannot_be_told_to_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others fall due all the same."""
    original = task_timers.open_due_ms

    def faulty(facts: Any) -> int | None:
        if type(facts[0]) is Created and facts[0].identity.endswith("e-bad"):
            raise TypeError("planted")
        return original(facts)

    monkeypatch.setattr(task_timers, "open_due_ms", faulty)
    log = small_log(0, 3)
    made = [_created(0, "e-bad", "bad"), _created(1, "e-good", "good")]
    later = msgspec.structs.replace(log[-1], offset=2, value=_tick())
    store = new_store(0, POLICY)
    store.ledger.fold([*made, later])
    assert [(one.offset, one.code) for one in store.ledger.rejected] == [(0, CANNOT_PROCESS)]
    store.ledger.drain()
    rows = {
        store.ledger.scopes.keys[place[2]]: row.counters for place, row in store.ledger.rows.places() if place[0] == 0
    }
    overdue = 43
    assert sum(counters.get(overdue, 0) for counters in rows.values()) >= 1


def _created(offset: int, event_id: str, task: str) -> Record:
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": "t",
        "type": "floorwatch.task.created.v1",
        "subject": task,
        "time": "2026-11-23T10:00:00Z",
        "data": {"queue": task, "due_at": "2026-11-23T10:05:00Z"},
    }
    return Record(offset, 0, None, msgspec.json.encode(body))


def _tick() -> bytes:
    from tests.core.harness import tick

    return tick(1_795_430_000_000)


def test_a_fault_of_the_machine_stops_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No disk, no memory: another try may go well, and then the event must be counted."""

    def broken(*_: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(ledger_module, "made", broken)
    with pytest.raises(OSError, match="no space"):
        folded(small_log(0, 50), fast_paths=True)


@pytest.mark.parametrize("seed", seeds(3, 6))
@pytest.mark.parametrize("fast_paths", [True, False])
def test_nothing_of_an_ordinary_log_is_set_aside(seed: int, fast_paths: bool) -> None:
    store, refused = folded(small_log(seed, 500), fast_paths=fast_paths)
    assert [one.reason for one in refused if one.code == CANNOT_PROCESS] == []
    assert store.ledger.fold_counts.set_aside == 0
