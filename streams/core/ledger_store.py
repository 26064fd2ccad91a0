"""Ledger store: turns a ledger's changes into changelog records, and a changelog back into a ledger.

Every key contains its *owner*, the holding of the partition that writes it, so each key has one writer whose stamps
only rise. So a worker that was stalled past its session (a zombie) can never replace what its successor wrote, even if
compaction keeps the zombie's record. A row is a pure function of the log below its stamp, so the zombie's row is right
as of its stamp. Recovery takes the highest stamp of any owner for each row.

The meta row is written last and alone, so its presence on the changelog proves that every row of its flush precedes
it. Recovery starts at the highest meta row's stamp; only rows of an unfinished flush are ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec

from streams.core.ledger import Ledger
from streams.core.policy import HOUR_TIER, CorePolicy
from streams.core.records import Flush, FoldCounts
from streams.core.recount import RowVersions, continuing, versioned
from streams.core.rowcodec import encode_row, stamp_of
from streams.core.rows import Place, StateRow
from streams.core.segments import Segments
from streams.core.sources import (
    NO_TIME,
    SourcePartition,
    floor_key,
    floor_record,
    full_key,
    full_record,
    watermark_record,
)
from streams.core.tasks import TaskTable
from streams.models import formats

META = b"m|"
ROW = b"r|"
SEGMENT = b"s|"
ROW_HEAD = 0x92
"""First byte of a row of this version: an array of stamp and counters."""

_KEPT_METAS = 16

_IN_HAND_BYTES = 32 * 1_048_576
"""Segments kept from the first reading: half of what their facts take once they are recalled."""

ROW_BYTES = 7 * 1_048_576
"""A seventh less than the topics' 8 MiB."""

_RECALLED_AT_ONCE = 4
"""Segments, of 4,000 facts at most each."""

_encode = msgspec.msgpack.Encoder().encode


class Meta(msgspec.Struct, array_like=True):
    """The last row of a flush: the offset to go on from, and what the other rows do not tell."""

    stamp: int
    watermark_ms: int
    last_record_ms: int
    fold_counts: FoldCounts
    scopes_refused: int
    hour_offset: int
    idle: bool = False
    floor_ms: int = NO_TIME
    version: int = formats.FIRST


_decode_meta: Any = msgspec.msgpack.Decoder(Meta).decode


def _read_meta(value: bytes) -> Meta:
    """Return a meta row.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
        msgspec.DecodeError: It is none.
    """
    try:
        meta: Meta = _decode_meta(value)
    except msgspec.ValidationError:
        formats.check(formats.META, formats.member(value, 8))
        raise
    formats.check(formats.META, meta.version)
    return meta


class LedgerStore:
    """One partition's ledger together with what is already on its changelog."""

    def __init__(
        self, ledger: Ledger, owner: str, in_hand_bytes: int = _IN_HAND_BYTES, row_bytes: int = ROW_BYTES
    ) -> None:
        """Hold a fresh ledger; call ``restore`` to fill it.

        Args:
            ledger: The ledger.
            owner: Unique to this holding of the partition; no ``|`` in it.
            in_hand_bytes: Bytes of segments above which the changelog is read a second time for them.
            row_bytes: Bytes of a row above which it keeps nothing that is counted by name.
        """
        self.ledger = ledger
        self._owner = owner
        self._versions = RowVersions({})
        self.flushed = 0
        self._facts_from = 0
        self._segments = Segments()
        self._tombstones: list[bytes] = []
        self._outlived: list[bytes] = []
        self._tombstone_outputs: list[bytes] = []
        self._old_owners: list[bytes] = []
        self._newest: dict[bytes, bytes] = {}
        self._held_segments: dict[bytes, bytes] = {}
        self._room_bytes, self._row_bytes = in_hand_bytes, row_bytes

    @property
    def name(self) -> str:
        """What this holding of the partition is called, without the rules."""
        return self._owner

    @property
    def owner(self) -> str:
        """The owner named in keys; it tells by which rules rows are counted (``streams.core.recount``)."""
        recount = self.ledger.recount
        if recount is None:
            return versioned(self._owner)
        named = continuing if recount.mixed else versioned
        return named(self._owner, recount.version)

    def collect(self) -> Flush | None:
        """Return everything changed since the last flush, or None when nothing was folded since.

        The caller must have all of it acknowledged, meta last, before it commits ``stamp``; on failure it must drop
        this ledger and restore from the changelog.
        """
        ledger = self.ledger
        if ledger.next == self.flushed and not ledger.rows.dirty:
            return None
        ledger.drain()
        flush = Flush(stamp=ledger.next)
        # Outputs are deleted one flush after their rows ended. That flush is complete, so no replay will need these
        # rows again. The changelog's own records are deleted another flush later, because a successor needs them to
        # delete outputs.
        flush.rows.extend((key, None) for key in self._outlived)
        flush.outputs.extend((key, None) for key in self._tombstone_outputs)
        self._outlived, self._tombstones, self._tombstone_outputs = self._tombstones, [], []
        self._collect_facts(flush)
        self._collect_rows(flush)
        meta = Meta(
            ledger.next,
            ledger.watermark_ms,
            ledger.last_record_ms,
            ledger.fold_counts,
            ledger.scopes.refused,
            ledger.hour_offset,
            ledger.idle,
            ledger.floor_ms,
            formats.META.version,
        )
        flush.meta = (META + self.owner.encode(), _encode(meta))
        self._collect_watermark(flush)
        self.flushed = ledger.next
        return flush

    def _collect_watermark(self, flush: Flush) -> None:
        """Add the record that tells floors this partition's watermark, and delete those of former owners."""
        ledger = self.ledger
        source = SourcePartition(ledger.next, ledger.watermark_ms, ledger.idle)
        flush.watermark = watermark_record(ledger.partition, self.owner, source)
        if ledger.scopes.refused:
            flush.full.append(full_record(ledger.partition, self.owner, ledger.next))
        if ledger.floor_ms > ledger.watermark_ms:
            flush.floor.append(floor_record(ledger.partition, self.owner, ledger.next, ledger.floor_ms))
        for old in self._old_owners:
            flush.rows.append((META + old, None))
            name = old.decode()
            flush.old_watermarks.append(watermark_record(ledger.partition, name, source)[0])
            flush.old_watermarks.append(floor_key(ledger.partition, name))
            flush.old_watermarks.append(full_key(ledger.partition, name))
        self._old_owners = []

    def facts_ahead(self) -> list[tuple[bytes, bytes]]:
        """Return the records of the facts kept since the last time, which may go on the changelog before the flush they are of.

        A fact is a pure function of the log and independent of the rows. After a crash before the flush it stays there
        as part of an unfinished flush. What the caller gets here must be acknowledged before the next flush's rows are
        written.
        """
        ledger = self.ledger
        records = self._segments.add(ledger.new_facts, self._facts_from, ledger.next, self.owner)
        ledger.new_facts.clear()
        self._facts_from = ledger.next
        return records

    def _collect_facts(self, flush: Flush) -> None:
        ledger = self.ledger
        flush.rows.extend(self.facts_ahead())
        self._tombstones.extend(self._segments.let_go(ledger.ended_facts))
        ledger.ended_facts.clear()

    def _collect_rows(self, flush: Flush) -> None:
        rows, stamp = self.ledger.rows, self.ledger.next
        # A fine pane that began and expired between two flushes of a backfill was never published. It is included in
        # the coarser panes.
        unseen = {id(row) for place, row in rows.ended if row.stamp == 0 and place[0] < HOUR_TIER}
        name = self.owner
        mine, owner, tail = (name,), name.encode(), self._output_key(b"", name)
        for place, row in rows.dirty:
            if not row.dirty or id(row) in unseen:
                continue
            row.stamp = max(row.stamp, stamp)
            key = self._row_key(place)
            value = encode_row(row.stamp, row.counters)
            if len(value) > self._row_bytes:
                # A row is one record, and grows with the names it counts: a sender whose labellers never repeat must not
                # make one that no topic takes, for that would stop the worker at every start.
                row.leave_names_out()
                value = encode_row(row.stamp, row.counters)
                self.ledger.fold_counts.set_aside += 1
                flush.cut.append(key)
            row.written(value)
            flush.rows.append((ROW + key + owner, value))
            flush.outputs.append((key + tail, value))
            if name not in row.owners:
                row.owners = (*row.owners, name) if row.owners else mine
        rows.flushed(stamp)
        for place, row in rows.ended:
            if id(row) not in unseen:
                self._bury(self._row_key(place), row.owners)
        rows.ended.clear()

    def _bury(self, key: bytes, owners: Iterable[str]) -> None:
        """Write tombstones for all records of a row that has ended, once the present flush is complete.

        Not earlier, because a worker that has lost the partition may still complete a flush ahead of this one. If
            recovery then starts from there, it needs the rows of that flush as they were written.
        """
        for owner in owners:
            self._tombstones.append(ROW + key + owner.encode())
            self._tombstone_outputs.append(self._output_key(key, owner))

    def _output_key(self, key: bytes, owner: str) -> bytes:
        return key + f"{self.ledger.partition}|{owner}".encode()

    def _row_key(self, place: Place) -> bytes:
        tier, pane_ms, scope = place
        return f"{self.ledger.scopes.keys[scope]}|{tier}|{pane_ms}|".encode()

    def restore(self, entries: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Fill the ledger from its changelog, all of it at once.

        Args:
            entries: Key and value of every changelog record in log order.

        Returns:
            The offset from which to fold.
        """
        entries = list(entries)
        self.read_rows(entries)
        if self.reads_again:
            self.read_facts(entries)
        for part in self.in_hand():
            self.read_facts(part)
        return self.resume()

    def read_rows(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in rows and meta rows, and segments while there is room; call it for each part, in log order.

        Where to resume, and so which facts count, is known only at the end.
        """
        newest = self._newest
        for key, value in entries:
            if key.startswith(SEGMENT):
                self._hold(key, value)
            elif value is None:
                newest.pop(key, None)
            elif key not in newest or stamp_of(value) >= stamp_of(newest[key]):
                newest[key] = value

    def _hold(self, key: bytes, value: bytes | None) -> None:
        """Keep a segment until the reading has ended. Above the bound, note only that the changelog has it."""
        held = self._held_segments
        if value is None:
            self._room_bytes += len(held.pop(key, b""))
        elif key not in held:
            read_again = self.reads_again
            self._room_bytes -= len(value)
            if self.reads_again and not read_again:
                held.update(dict.fromkeys(held, b""))
            held[key] = b"" if self.reads_again else value

    @property
    def reads_again(self) -> bool:
        """Whether the changelog must be read again, with ``read_facts``, because its facts exceed the bound on memory."""
        return self._room_bytes < 0

    def in_hand(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield the segments kept from the first reading, some at a time, for ``read_facts``; none if it must be read again."""
        while self._held_segments and not self.reads_again:
            yield list(islice(self._held_segments.items(), _RECALLED_AT_ONCE))

    def read_facts(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in facts of segments that the first reading found; call it for each part, in log order."""
        self._restore_newest()
        held = self._held_segments
        for key, value in entries:
            if value is not None and key in held:
                del held[key]  # a request sent twice: the second copy adds nothing and must not be deleted
                self.ledger.recall(self._segments.recall(key, value, self.ledger.next))

    def resume(self) -> int:
        """End the reading; return the offset from which to fold."""
        self._restore_newest()
        self._held_segments = {}
        self.ledger.resume()
        self.flushed = self._facts_from = self.ledger.next
        return self.ledger.next

    def _restore_newest(self) -> None:
        if self._newest:
            self._restore_meta(self._newest)
            self._restore_rows(self._newest)
            self._newest = {}

    def _restore_meta(self, newest: dict[bytes, bytes]) -> None:
        metas = {key: _read_meta(value) for key, value in newest.items() if key.startswith(META)}
        if not metas:
            return
        self._versions = RowVersions({key[len(META) :].decode(): meta.stamp for key, meta in metas.items()})
        best = max(metas, key=lambda key: metas[key].stamp)
        meta, ledger = metas[best], self.ledger
        ledger.next, ledger.watermark_ms = meta.stamp, meta.watermark_ms
        ledger.last_record_ms, ledger.fold_counts = meta.last_record_ms, meta.fold_counts
        ledger.scopes.refused, ledger.hour_offset = meta.scopes_refused, meta.hour_offset
        ledger.idle, ledger.floor_ms = meta.idle, meta.floor_ms
        # The latest few stay, because a stalled owner may still complete a flush, and what it deletes then needs its
        # meta row.
        self._old_owners = [key[len(META) :] for key in sorted(metas, key=lambda key: -metas[key].stamp)[_KEPT_METAS:]]

    def _restore_rows(self, newest: dict[bytes, bytes]) -> None:
        ledger = self.ledger
        found: dict[bytes, tuple[int, bytes, tuple[str, ...], str]] = {}
        versions = self._versions
        for key, value in newest.items():
            if not key.startswith(ROW):
                continue
            name, _, written_by = key[len(ROW) :].rpartition(b"|")
            if value[0] != ROW_HEAD:
                formats.refuse_longer(formats.ROW, value, 2)
            stamp, owner = stamp_of(value), written_by.decode()
            versions.add(name, owner, stamp)
            held = found.get(name)
            owners = (owner,) if held is None else (*held[2], owner)
            if held is None or stamp > held[0]:
                found[name] = (stamp, value, owners, owner)
            else:
                found[name] = (held[0], held[1], owners, held[3])
        recount = versions.recount()
        for name, (stamp, value, owners, owner) in found.items():
            scope_key, tier, pane_ms = name.decode().rsplit("|", 2)
            # A scope that has rows stays, also where the cap has been lowered: without some of its rows it would be a part.
            place = (int(tier), int(pane_ms), ledger.scopes.admit(scope_key))
            ledger.rows.put(place, StateRow(None, stamp, owners, value))
            if (counted := versions.of(name, stamp, owner)) != recount.held:
                recount.rows[place] = counted
        if recount.rows or not recount.at_once:
            ledger.recount, self._segments.replaced = recount, recount.raw
        self._versions = RowVersions({})


def new_store(
    partition: int,
    policy: CorePolicy,
    owner: str | None = None,
    tasks: TaskTable | None = None,
    row_bytes: int = ROW_BYTES,
) -> LedgerStore:
    """Return an empty ledger of a partition with its store.

    Args:
        partition: Partition of the log of events.
        policy: What shapes the numbers.
        owner: Name of this holding of the partition; a random one by default.
        tasks: Holds the facts; all in memory by default.
        row_bytes: Bytes of a row above which it keeps nothing that is counted by name.
    """
    return LedgerStore(Ledger(partition, policy, tasks), owner or uuid4().hex[:12], row_bytes=row_bytes)
