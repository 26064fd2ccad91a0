"""Replayer: folds every partition of the log, to its end or to a past time, into one floor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import Observer, PartitionReplay, ReplayedRecord
from floorwatch.replay.reader import EventLog, Extent
from streams.core.floor import Floor
from streams.core.policy import CorePolicy
from streams.core.records import Record

_LOOK_ON_MS = 600_000
"""How far past a cut the log is read for records stamped before that time. It is longer than any reasonable delay of
intake."""

TaskVisitor = Callable[[PartitionReplay, PartitionFacts], None]
"""Called at the end of a partition, before its tasks are dropped."""


@dataclass
class ReplayedPartition:
    """One partition of a replay.

    Attributes:
        extent: What the partition held.
        first_ms: Broker timestamp of its first record; None when empty.
        last_ms: Broker timestamp of the last record folded; None when none was.
        cut: Offset after the last record folded.
        folded: Records folded.
        stragglers: Records behind the cut that carry a timestamp of the moment or earlier.
    """

    extent: Extent
    first_ms: int | None = None
    last_ms: int | None = None
    cut: int = 0
    folded: int = 0
    stragglers: int = 0


@dataclass
class Replay:
    """A finished replay.

    Attributes:
        floor: The floor as of the cut.
        until_ms: The moment asked for; None for the end of the log.
        parts: What was read, by partition.
    """

    floor: Floor
    until_ms: int | None
    parts: list[ReplayedPartition] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Records folded over all partitions."""
        return sum(part.folded for part in self.parts)

    @property
    def stragglers(self) -> int:
        """Records left out although stamped at or before the moment, over all partitions."""
        return sum(part.stragglers for part in self.parts)

    @property
    def begins_ms(self) -> int | None:
        """Timestamp of the oldest moment from which every partition still has its records; None for a whole log."""
        cut_off = [part.first_ms for part in self.parts if part.extent.begin > 0 and part.first_ms is not None]
        return max(cut_off, default=None)


def cut_at(records: list[Record], until_ms: int | None) -> int:
    """Return how many records stand before the first one stamped after a moment.

    This is the offset Kafka itself looks up for a time (ListOffsets by timestamp). Every record that was on the log at
    that moment stands before it, because none of them can carry a later stamp.

    Args:
        records: Records of one partition in offset order.
        until_ms: The moment, broker timestamp in ms; None for no limit.
    """
    if until_ms is None:
        return len(records)
    return next((at for at, record in enumerate(records) if record.timestamp_ms > until_ms), len(records))


def only_rows(policy: CorePolicy, names: frozenset[str], window: str | None) -> CorePolicy:
    """Return the policy with only the rows asked for, because eleven kinds of scopes cost several times as much as one.

    Args:
        policy: The whole policy.
        names: Dimensions of the kind of scope to keep.
        window: The window to keep; None for none.
    """
    kinds, audited = (
        tuple(kind for kind in kept if frozenset(kind) == names) for kept in (policy.scopes, policy.audit_scopes)
    )
    return replace(
        policy, scopes=kinds, audit_scopes=audited, windows=tuple(w for w in policy.windows if w.name == window)
    )


async def replay(
    log: EventLog,
    policy: CorePolicy,
    *,
    until_ms: int | None = None,
    only: int | None = None,
    observer: Observer | None = None,
    visit: TaskVisitor | None = None,
    keeps: Callable[[str], bool] | None = None,
    cuts: list[int] | None = None,
    rows: bool = True,
    ended: bool = False,
) -> Replay:
    """Fold the log into a floor of its own, one partition after the other, so that one ledger at a time is in memory.

    Args:
        log: The log.
        policy: What shapes the numbers: today's configuration.
        until_ms: Stop each partition before its first record stamped after this moment.
        only: Read just this partition.
        observer: Told of every record folded.
        visit: Told at the end of each partition of its tasks' standing facts.
        keeps: Which tasks' facts to keep for ``visit``; None for all.
        cuts: Stop each partition before this offset: where an earlier replay stopped.
        rows: Bring rows to the floor; without them only its watermark is right.
        ended: ``visit`` is told also of tasks that the ledger has dropped because they are older than the correction horizon.

    Returns:
        The floor, with windows at its watermark, and what was read.
    """
    done = Replay(Floor(policy), until_ms)
    times: list[tuple[bytes, bytes]] = []
    for number, partition in enumerate(log.partitions if only is None else [only]):
        part = ReplayedPartition(
            await log.extent(partition) if cuts is None else await log.extent(partition, cuts[number])
        )
        part.cut = part.extent.begin
        partition_facts = PartitionFacts(keeps, ended=ended) if visit is not None else None
        partition_replay = PartitionReplay(
            partition, policy, done.floor, _observers(partition_facts, observer), rows=rows
        )
        await _replay_partition(log, part, partition_replay, partition_facts, until_ms)
        partition_replay.flush()
        if partition_replay.told_time is not None:
            times += [*partition_replay.told_floor, partition_replay.told_time]
        if visit is not None and partition_facts is not None:
            visit(partition_replay, partition_facts)
        done.parts.append(part)
    done.floor.apply(times)
    return done


def _observers(partition_facts: PartitionFacts | None, observer: Observer | None) -> Observer | None:
    if partition_facts is None:
        return observer
    if observer is None:
        return partition_facts.observer

    def both(seen: ReplayedRecord) -> None:
        partition_facts.observer(seen)
        observer(seen)

    return both


async def _replay_partition(
    log: EventLog,
    part: ReplayedPartition,
    partition_replay: PartitionReplay,
    partition_facts: PartitionFacts | None,
    until_ms: int | None,
) -> None:
    cut = False
    async with aclosing(log.read(part.extent)) as batches:
        async for records in batches:
            if part.first_ms is None:
                part.first_ms = records[0].timestamp_ms
            upto = 0 if cut else cut_at(records, until_ms)
            if upto:
                partition_replay.feed(records[:upto])
                part.folded += upto
                part.cut, part.last_ms = records[upto - 1].offset + 1, records[upto - 1].timestamp_ms
                if partition_facts is not None:
                    partition_facts.prune(partition_replay.knows)
            if upto < len(records) and until_ms is not None:
                cut = True
                part.stragglers += sum(record.timestamp_ms <= until_ms for record in records[upto:])
                if records[-1].timestamp_ms > until_ms + _LOOK_ON_MS:
                    return
