"""The simulation can fail: each fault of the kind it is there for is planted, and some early schedule must notice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec
import pytest

from streams.agents.ledger import LedgerStage
from streams.core import ledger_store, rows
from streams.core.facts import pack
from streams.core.floor import Floor
from streams.core.ledger import Ledger
from streams.core.ledger_store import LedgerStore
from streams.core.sources import Sources
from streams.engine.batches import Batch
from streams.engine.host import PartitionState, StageHost
from streams.engine.log import ProducerRecord
from streams.models import topics
from tests.simulation.floor import Kinds, Shape
from tests.simulation.schedule import Outcome, run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


def caught(within: int, kinds: Kinds | None = None, *, begin: int = 0) -> Outcome | None:
    """Return the first of some schedules that ends with wrong numbers; an engine that merely breaks does not count."""
    for seed in chain(range(begin, within), range(begin)):  # begin: where it was seen to be caught soon, to save time
        outcome = run(seed, kinds)
        if outcome.wrong:
            return outcome
    return None


def test_a_commit_before_its_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    original = StageHost.flush_one

    async def careless(self: StageHost, owned: PartitionState) -> None:
        place = owned.processor.next
        if owned.ready.is_set() and not owned.given_back and place is not None:
            await self._commit_one(owned, place)
        await original(self, owned)

    monkeypatch.setattr(StageHost, "flush_one", careless)
    assert caught(900, begin=520)


def test_what_is_fetched_and_not_folded_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a later record would show that it is missing, and at the end of a schedule none comes."""
    monkeypatch.setattr(Batch, "drop", Batch.done)
    assert caught(200, Kinds().without("crash", "linger", "zombie", "outage", "compaction", "loss"))


def test_a_flush_after_a_failed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartitionState, "fail", lambda _: None)
    assert caught(2000, Kinds().without("crash", "linger", "zombie", "compaction", "loss"), begin=480)


def test_a_fold_that_does_not_look_at_the_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    original = rows.RowStore.apply
    monkeypatch.setattr(rows.RowStore, "apply", lambda self, change, offset: original(self, change, 1 << 60))
    assert caught(200)


def test_a_meta_row_before_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LedgerStage._write_outputs

    async def careless(self: LedgerStage, flush: Any) -> None:
        await self._writer.append(self._out.name(topics.LEDGER), self._partition, [ProducerRecord(*flush.meta)])
        await original(self, flush)

    monkeypatch.setattr(LedgerStage, "_write_outputs", careless)
    assert caught(200)


def test_facts_written_in_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LedgerStage._append_after

    async def careless(self: LedgerStage, before: Any, rows: Any) -> None:
        await original(self, None, rows)

    monkeypatch.setattr(LedgerStage, "_append_after", careless)
    assert caught(2000, begin=980)


def test_a_grant_that_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Ledger._keep

    def careless(self: Ledger, task_id: str, packed: Any, fact: Any, *more: Any) -> None:
        original(self, task_id, packed, fact, *more)
        *rest, _ = self.new_facts[-1]
        self.new_facts[-1] = (*rest, pack(msgspec.structs.replace(fact, grant=None)))  # type: ignore[assignment]

    monkeypatch.setattr(Ledger, "_keep", careless)
    assert caught(60)


def test_tombstones_in_the_flush_that_ends_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LedgerStore.collect

    def careless(self: LedgerStore) -> Any:
        flush = original(self)
        if flush is not None:
            flush.rows.extend((key, None) for key in self._tombstones)
            flush.outputs.extend((key, None) for key in self._tombstone_outputs)
            self._tombstones, self._tombstone_outputs = [], []
        return flush

    monkeypatch.setattr(LedgerStore, "collect", careless)
    assert caught(1200, Kinds().without("idle"), begin=990)


def test_recovery_that_takes_the_last_record_whatever_its_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, meta = LedgerStore._restore_rows, LedgerStore._restore_meta

    def read(self: LedgerStore, entries: Any) -> None:
        for key, value in entries:
            if key.startswith(ledger_store.SEGMENT):
                self._hold(key, value)
                continue
            self._newest.pop(key, None)
            if value is not None:
                self._newest[key] = value

    def last(newest: dict[bytes, bytes]) -> dict[bytes, bytes]:
        found = {key.rpartition(b"|")[0]: (key, value) for key, value in newest.items()}
        return dict(found.values())

    monkeypatch.setattr(LedgerStore, "read_rows", read)
    monkeypatch.setattr(LedgerStore, "_restore_rows", lambda self, newest: rows(self, last(newest)))
    monkeypatch.setattr(LedgerStore, "_restore_meta", lambda self, newest: meta(self, last(newest)))
    assert caught(1200, begin=370)


def test_keys_without_their_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LedgerStore.__init__

    def nobody(self: LedgerStore, ledger: Any, owner: str, **more: Any) -> None:
        original(self, ledger, "nobody", **more)

    monkeypatch.setattr(LedgerStore, "__init__", nobody)
    assert caught(1600, begin=190)


def caught_idle(within: int, *, begin: int = 0) -> Outcome | None:
    """The same over floors of three partitions that fall idle and come back."""
    for seed in chain(range(begin, within), range(begin)):
        outcome = run(seed, shape=replace(Shape.of(seed), partitions=3, scopes=True, steps=80))
        if outcome.wrong:
            return outcome
    return None


def test_a_partition_that_stays_idle_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Ledger.fold

    def careless(self: Ledger, records: Any, *more: Any) -> int:
        was_idle = self.idle
        folded = original(self, records, *more)
        self.idle = self.idle or was_idle
        return folded

    monkeypatch.setattr(Ledger, "fold", careless)
    outcome = caught_idle(120, begin=30)
    assert outcome
    assert any("idle should be" in line for line in outcome.wrong)


def test_a_floor_that_waits_for_idle_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Sources.hear

    def careless(self: Sources, key: str, value: bytes) -> None:
        original(self, key, value)
        self.heard = {partition: source._replace(idle=False) for partition, source in self.heard.items()}

    monkeypatch.setattr(Sources, "hear", careless)
    assert caught_idle(60)


def test_a_floor_that_goes_back_to_a_partition_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Floor._advance

    def careless(self: Floor) -> None:
        self.sources.watermark_ms = self.sources._floor_ms = -1
        original(self)
        self.watermark_ms = self.sources.watermark_ms

    monkeypatch.setattr(Floor, "_advance", careless)
    outcome = caught_idle(60)
    assert outcome
    assert any("went back" in line for line in outcome.wrong)


def test_a_floor_that_drops_what_an_idle_partition_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Sources.advance

    def careless(self: Sources) -> None:
        original(self)
        self.kept_from_ms = max(self.kept_from_ms, self.watermark_ms)

    monkeypatch.setattr(Sources, "advance", careless)
    assert caught_idle(60)


def test_idleness_that_recovery_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LedgerStore._restore_meta

    def careless(self: LedgerStore, newest: dict[bytes, bytes]) -> None:
        original(self, newest)
        self.ledger.idle, self.ledger.floor_ms = False, -1

    monkeypatch.setattr(LedgerStore, "_restore_meta", careless)
    assert caught_idle(60)


def test_the_engine_is_whole_again() -> None:
    """Nothing of the faults above stays behind."""
    assert caught(20) is None
    assert asyncio.iscoroutinefunction(StageHost.flush_one)
