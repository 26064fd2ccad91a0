"""The ledger's rows as log records and back: what is flushed, what is restored.

The meta row is written last and alone, so its presence on the changelog proves that every row of its flush precedes
it. Recovery therefore starts at the meta row's stamp, and only rows of an unfinished flush are ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streams.core.cells import Cells
from streams.core.facts import AnyFact
from streams.core.ledger import Counters, Ledger, Task
from streams.core.policy import HOUR_TIER, CorePolicy
from streams.core.records import Flush
from streams.core.rows import Place, Row

META_KEY = b"m"
WATERMARK_PREFIX = "~watermark|"

_encode = msgspec.msgpack.Encoder().encode
_decode_task: Any = msgspec.msgpack.Decoder(tuple[int, list[AnyFact]]).decode
_decode_row: Any = msgspec.msgpack.Decoder(tuple[int, Cells]).decode


class Meta(msgspec.Struct, array_like=True):
    """The last row of a flush: where to go on and what cannot be read from the other rows."""

    stamp: int
    watermark_ms: int
    last_record_ms: int
    counters: Counters
    scopes_refused: int
    hour_offset: int


_decode_meta: Any = msgspec.msgpack.Decoder(Meta).decode


class LedgerStore:
    """One partition's ledger together with what is already on its changelog."""

    def __init__(self, ledger: Ledger) -> None:
        """Hold a fresh ledger; call ``restore`` to fill it."""
        self.ledger = ledger
        self.flushed = 0
        self._tombstones: list[bytes] = []
        self._tombstone_outputs: list[bytes] = []

    def collect(self) -> Flush | None:
        """Return everything changed since the last flush, or None when nothing was folded since.

        The caller must have all of it acknowledged, meta last, before it commits ``stamp``; on failure it must drop
        this ledger and restore from the changelog.
        """
        ledger = self.ledger
        if ledger.next == self.flushed and not ledger.rows.dirty and not ledger.ended_tasks:
            return None
        ledger.drain()
        flush = Flush(stamp=ledger.next)
        # Tombstones of the flush before: that flush is complete, so no replay will meet these rows' past again.
        flush.rows.extend((key, None) for key in self._tombstones if not self._lives(key))
        flush.outputs.extend((key, None) for key in self._tombstone_outputs)
        self._tombstones, self._tombstone_outputs = [], []
        self._collect_tasks(flush)
        self._collect_rows(flush)
        meta = Meta(
            ledger.next,
            ledger.watermark_ms,
            ledger.last_record_ms,
            ledger.counters,
            ledger.scopes.refused,
            ledger.hour_offset,
        )
        flush.meta = (META_KEY, _encode(meta))
        key = f"{WATERMARK_PREFIX}{ledger.partition}".encode()
        flush.watermark = (key, _encode((ledger.next, ledger.watermark_ms)))
        self.flushed = ledger.next
        return flush

    def _lives(self, key: bytes) -> bool:
        return key.startswith(b"t|") and key[2:].decode() in self.ledger.tasks

    def _collect_tasks(self, flush: Flush) -> None:
        ledger, stamp = self.ledger, self.ledger.next
        for task_id in ledger.dirty_tasks:
            task = ledger.tasks.get(task_id)
            if task is None or not task.dirty:
                continue
            task.dirty = False
            task.stamp = max(task.stamp, stamp)
            flush.rows.append((b"t|" + task_id.encode(), _encode((task.stamp, task.facts))))
        ledger.dirty_tasks.clear()
        self._tombstones.extend(b"t|" + task_id.encode() for task_id in ledger.ended_tasks)
        ledger.ended_tasks.clear()

    def _collect_rows(self, flush: Flush) -> None:
        rows, stamp = self.ledger.rows, self.ledger.next
        suffix = f"|{self.ledger.partition}".encode()
        # A fine pane that began and expired between two flushes of a backfill is in the coarser panes; nobody saw it.
        unseen = {id(row) for place, row in rows.ended if row.stamp == 0 and place[0] < HOUR_TIER}
        for place, row in rows.dirty:
            if not row.dirty or id(row) in unseen:
                continue
            row.dirty = False
            row.stamp = max(row.stamp, stamp)
            key = self._row_key(place)
            value = _encode((row.stamp, row.cells))
            flush.rows.append((b"r|" + key, value))
            flush.outputs.append((key + suffix, value))
        rows.dirty.clear()
        for place, row in rows.ended:
            if id(row) in unseen:
                continue
            key = self._row_key(place)
            self._tombstones.append(b"r|" + key)
            self._tombstone_outputs.append(key + suffix)
        rows.ended.clear()

    def _row_key(self, place: Place) -> bytes:
        tier, pane_ms, scope = place
        return f"{self.ledger.scopes.keys[scope]}|{tier}|{pane_ms}".encode()

    def restore(self, entries: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Fill the ledger from its changelog.

        Args:
            entries: Key and value of every changelog record in log order.

        Returns:
            The offset from which to fold.
        """
        newest: dict[bytes, bytes] = {}
        stamps: dict[bytes, int] = {}
        for key, value in entries:
            if value is None:
                newest.pop(key, None)
                stamps.pop(key, None)
                continue
            stamp = stamp_of(value)
            # A zombie's late write is older than what it follows: the higher stamp wins, not the later record.
            if stamp >= stamps.get(key, -1):
                newest[key] = value
                stamps[key] = stamp
        for key, value in newest.items():
            self._restore_one(key, value)
        self.ledger.resume()
        self.flushed = self.ledger.next
        return self.ledger.next

    def _restore_one(self, key: bytes, value: bytes) -> None:
        ledger = self.ledger
        if key == META_KEY:
            meta = _decode_meta(value)
            ledger.next, ledger.watermark_ms = meta.stamp, meta.watermark_ms
            ledger.last_record_ms, ledger.counters = meta.last_record_ms, meta.counters
            ledger.scopes.refused, ledger.hour_offset = meta.scopes_refused, meta.hour_offset
        elif key.startswith(b"t|"):
            stamp, facts = _decode_task(value)
            ledger.tasks[key[2:].decode()] = Task.restored(facts, stamp)
        else:
            stamp, cells = _decode_row(value)
            scope_key, tier, pane_ms = key[2:].decode().rsplit("|", 2)
            number = ledger.scopes.number(scope_key)
            if number >= 0:
                ledger.rows.put((int(tier), int(pane_ms), number), Row(cells, stamp))


def stamp_of(value: bytes) -> int:
    """Return the stamp of an encoded row without decoding the row: the first item of its msgpack array."""
    marker = value[1]
    if marker < 0x80:
        return marker
    size = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}.get(marker)
    if size is None:
        raise ValueError(f"row does not begin with a stamp: {value[:12]!r}")
    return int.from_bytes(value[2 : 2 + size], "big")


def new_store(partition: int, policy: CorePolicy) -> LedgerStore:
    """Return an empty ledger of a partition with its store."""
    return LedgerStore(Ledger(partition, policy))
