"""A broker in memory: partitions, compaction as Kafka does it, and one consumer group with generations."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from streams.models import topics

COMPACTED = frozenset(
    {
        topics.LEDGER,
        topics.PARTIALS,
        topics.ACCURACY,
        topics.THROUGHPUT,
        topics.SLA,
        topics.INCIDENTS,
        topics.AUDIT_REQUESTS,
    }
)

TP = tuple[str, int]
"""(topic without prefix, partition)."""


class Stored(NamedTuple):
    """A record on a partition: offset, key, value, broker timestamp in ms, and the step at which it was written."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    step: int


class Partition:
    """One partition of one topic.

    Attributes:
        records: What is left of it, in offset order.
        end: Offset of the next record.
        readers: The reads now under way and the step at which each began.
    """

    def __init__(self) -> None:
        self.records: list[Stored] = []
        self.end = 0
        self.readers: dict[object, int] = {}
        self._cleaned: dict[int, int] = {}

    def append(self, records: Iterable[tuple[bytes | None, bytes | None, int]], step: int) -> None:
        """Append (key, value, timestamp in ms)."""
        for key, value, timestamp_ms in records:
            self.records.append(Stored(self.end, key, value, timestamp_ms, step))
            self.end += 1

    def read(self, position: int, count: int) -> list[Stored]:
        """Return up to ``count`` records from ``position`` on, over whatever holes compaction left."""
        records = self.records
        if len(records) == self.end:
            return records[position : position + count]
        low, high = 0, len(records)
        while low < high:
            middle = (low + high) // 2
            if records[middle].offset < position:
                low = middle + 1
            else:
                high = middle
        return records[low : low + count]

    def compact(self, upto: int, step: int, retention_steps: int) -> int:
        """Clean the log below an offset as Kafka's cleaner does; return how many records it dropped.

        Of each key the last record *below* ``upto`` stays: a newer one in the part not cleaned does not count. A
        tombstone that is last stays for ``retention_steps`` after the pass that met it first, and for as long as a read
        goes on that began before that pass.

        Args:
            upto: Records at and above this offset are left alone (active segment, compaction lag).
            step: Now.
            retention_steps: How long a cleaned tombstone stays.
        """
        head = [record for record in self.records if record.offset < upto]
        last = {record.key: record.offset for record in head}
        oldest_read = min(self.readers.values(), default=step + 1)
        kept = []
        for record in head:
            if last[record.key] != record.offset:
                continue
            if record.value is None:
                first_met = self._cleaned.setdefault(record.offset, step)
                if step >= first_met + retention_steps and first_met < step and first_met < oldest_read:
                    continue
            kept.append(record)
        dropped = len(head) - len(kept)
        if dropped:
            self.records = kept + self.records[len(head) :]
        return dropped


class Cluster:
    """All partitions of all topics.

    Attributes:
        step: The step of the schedule, the cluster's only time.
        changed: Incremented with every write.
        holes: Topics where a request failed and one behind it may have arrived all the same.
    """

    def __init__(self, prefix: str, partitions: int) -> None:
        self.prefix, self.partitions = prefix, partitions
        self.step = 0
        self.changed = 0
        self.holes: set[str] = set()
        self._logs: dict[TP, Partition] = {}

    def log(self, topic: str, partition: int) -> Partition:
        """Return a partition by the topic's name, with or without the prefix."""
        name = topic.removeprefix(self.prefix)
        found = self._logs.get((name, partition))
        if found is None:
            if not 0 <= partition < self.partitions:
                raise ValueError(f"{topic} has no partition {partition}")
            found = self._logs[name, partition] = Partition()
        return found

    def append(self, topic: str, partition: int, records: Iterable[tuple[bytes | None, bytes | None, int]]) -> None:
        """Append (key, value, timestamp in ms)."""
        self.changed += 1
        self.log(topic, partition).append(records, self.step)

    def compactable(self) -> list[TP]:
        """Return the compacted partitions that hold anything."""
        return [tp for tp, log in self._logs.items() if tp[0] in COMPACTED and log.records]


class Commit(Enum):
    """What the coordinator says to a commit."""

    TAKEN = "taken"
    LATER = "later"
    FENCED = "fenced"


class Group:
    """The consumer group: who owns what, in which generation, and how far each partition is committed."""

    def __init__(self) -> None:
        self.generation = 0
        self.members: dict[str, int] = {}
        self.assignment: dict[TP, str] = {}
        self.committed: dict[TP, int] = {}

    def commit(self, member: str, generation: int, tp: TP, offset: int) -> Commit:
        """Take a commit, or refuse it: a member expelled, or of an older generation, commits nothing."""
        if self.members.get(member) != generation or generation != self.generation:
            return Commit.FENCED
        self.committed[tp] = offset
        return Commit.TAKEN

    def balance(self, assignment: dict[TP, str], members: Iterable[str]) -> int:
        """Begin a new generation with these members and owners; return it."""
        self.generation += 1
        self.members = dict.fromkeys(members, self.generation)
        self.assignment = assignment
        return self.generation
