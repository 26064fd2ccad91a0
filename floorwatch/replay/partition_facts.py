"""The standing facts of each task of one partition, packed as bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import msgspec

from floorwatch.replay.partition_replay import RecordOutcome, ReplayedRecord
from streams.core.facts import AnyFact, Fact

_pack: Any = msgspec.msgpack.Encoder().encode
_unpack: Any = msgspec.msgpack.Decoder(AnyFact).decode
_PRUNE_FROM = 10_000


class PartitionFacts:
    """Counted facts by task, in log order. A fact costs its 100 to 200 packed bytes, not a kilobyte of objects.

    Attributes:
        outcomes: How many records came to each outcome.
        last_ms: The greatest time of a fact that counts; -1 before the first.
    """

    def __init__(self, keeps: Callable[[str], bool] | None = None, *, ended: bool = False) -> None:
        """Start empty.

        Args:
            keeps: Which tasks to keep; None for all.
            ended: Keep also what the ledger has dropped because it is older than the correction horizon.
        """
        self._keeps, self._keeps_ended = keeps, ended
        self.outcomes: Counter[RecordOutcome] = Counter()
        self.last_ms = -1
        self._facts: dict[str, list[bytes]] = {}
        self._ended: list[tuple[str, list[bytes]]] = []
        self._prune_at = _PRUNE_FROM

    def __len__(self) -> int:
        """Return how many tasks are held."""
        return len(self._facts)

    def observer(self, seen: ReplayedRecord) -> None:
        """Take in a record's fact if the ledger counted it."""
        self.outcomes[seen.outcome] += 1
        if seen.outcome is not RecordOutcome.counted or seen.fact is None:
            return
        self.last_ms = max(self.last_ms, seen.fact.time_ms)
        task_id = seen.event.subject
        if self._keeps is not None and not self._keeps(task_id):
            return
        if seen.anew:
            before = self._facts.get(task_id)
            if before is not None and self._keeps_ended:
                self._ended.append((task_id, before))
            self._facts[task_id] = [_pack(seen.fact)]
        else:
            self._facts.setdefault(task_id, []).append(_pack(seen.fact))

    def prune(self, knows: Callable[[str], bool]) -> None:
        """Drop tasks that the ledger has dropped, whenever twice as many are held as after the last time."""
        if self._keeps_ended or len(self._facts) < self._prune_at:
            return
        self._facts = {task_id: facts for task_id, facts in self._facts.items() if knows(task_id)}
        self._prune_at = max(_PRUNE_FROM, 2 * len(self._facts))

    def tasks(self, knows: Callable[[str], bool]) -> Iterator[tuple[str, list[Fact]]]:
        """Yield (task, facts in log order) of the tasks the ledger still holds, and of those that have ended where they are kept."""
        for task_id, packed in chain(self._ended, self._facts.items()):
            if self._keeps_ended or knows(task_id):
                yield task_id, [_unpack(one) for one in packed]
