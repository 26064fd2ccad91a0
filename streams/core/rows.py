"""Rows of all tiers, each with the stamp that says which events it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from streams.core.accumulate import RowChange
from streams.core.counters import NAMES_LEFT_OUT, Counter, Counters
from streams.core.policy import CorePolicy
from streams.core.rowcodec import decode_row

_RESTS_AFTER = 4
"""Number of flushes after which an unchanged row no longer keeps its counters decoded."""


class StateRow:
    """One (scope, pane): its counters and its stamp.

    A row at rest is only its record, a tenth of the memory its counters take, since most rows are of old panes. Its
    counters are decoded from the record when they are needed.

    Attributes:
        stamp: The row holds every event of its partition below this offset that concerns it, and none at or above.
        dirty: Changed since the last flush.
        owners: Owners under whose keys the changelog still holds this row; none for a row never written.
    """

    __slots__ = ("_counters", "_record", "dirty", "owners", "stamp")

    def __init__(
        self, counters: Counters | None, stamp: int, owners: tuple[str, ...] = (), record: bytes = b""
    ) -> None:
        """Hold counters as of a stamp; None if they are in ``record``, as passed to ``written``."""
        self._counters = counters
        self._record = record
        self.stamp = stamp
        self.dirty = False
        self.owners = owners

    @property
    def counters(self) -> Counters:
        """The counted integers."""
        if self._counters is None:
            try:
                self._counters = decode_row(self._record)[1]
            except msgspec.DecodeError as error:
                raise ValueError(
                    f"a row of the changelog cannot be read ({error}); going on without it would count wrongly. See "
                    "docs/guarantees.md, what stops a worker."
                ) from error
        return self._counters

    def leave_names_out(self) -> None:
        """Drop what is counted by name: labellers, confusion pairs, examples. From now on the row takes none."""
        self._counters = {counter: amount for counter, amount in self.counters.items() if type(counter) is int}
        self._counters[NAMES_LEFT_OUT] = 1

    def written(self, record: bytes) -> None:
        """Note that the row now stands in a record: stamp and counters in msgpack."""
        self.dirty = False
        self._record = record

    def rest(self, stamp: int) -> None:
        """Drop the decoded counters unless the row has changed since it was written with a stamp."""
        if self.stamp == stamp and not self.dirty:
            self._counters = None


Place = tuple[int, int, int]
"""(tier, pane start in ms, scope number)."""


class RowStore:
    """All rows of one source partition.

    Attributes:
        dirty: Places changed since the last flush, each once.
        ended: Rows whose pane has expired but whose last value must still be flushed: place and row.
    """

    def __init__(self, policy: CorePolicy) -> None:
        """Start empty."""
        self._tiers = policy.all_tiers
        self._panes: tuple[dict[int, dict[int, StateRow]], ...] = ({}, {}, {}, {})
        self.dirty: list[tuple[Place, StateRow]] = []
        self.ended: list[tuple[Place, StateRow]] = []
        self._written: deque[tuple[int, list[StateRow]]] = deque()

    def __len__(self) -> int:
        """Return the number of live rows."""
        return sum(len(rows) for tier in self._panes for rows in tier.values())

    def places(self) -> Iterator[tuple[Place, StateRow]]:
        """Yield every live row with its place."""
        for tier, panes in enumerate(self._panes):
            for pane_ms, rows in panes.items():
                for scope, row in rows.items():
                    yield (tier, pane_ms, scope), row

    def put(self, place: Place, row: StateRow) -> None:
        """Put a restored row in its place."""
        tier, pane_ms, scope = place
        self._panes[tier].setdefault(pane_ms, {})[scope] = row

    def apply(self, change: RowChange, offset: int) -> None:
        """Add amounts to one row, unless its stamp says that it already has them.

        Args:
            change: Tier, pane, scope and what to add.
            offset: Offset of the last event behind the amounts. All of them must be on the same side of the row's
                stamp, so the ledger starts a new sum at every stamp of a restored row.
        """
        tier, pane_ms, scope, counters, amounts = change
        rows = self._panes[tier].get(pane_ms)
        if rows is None:
            rows = self._panes[tier][pane_ms] = {}
        row = rows.get(scope)
        if row is None:
            fresh = dict(zip(counters, amounts, strict=True))
            if 0 in amounts:
                fresh = {counter: amount for counter, amount in fresh.items() if amount}
            row = rows[scope] = StateRow(fresh, 0)
            row.dirty = True
            self.dirty.append(((tier, pane_ms, scope), row))
            return
        if row.stamp > offset:
            return
        if not row.dirty:
            row.dirty = True
            self.dirty.append(((tier, pane_ms, scope), row))
        into = row.counters
        get = into.get
        changes: Iterable[tuple[Counter, int]] = zip(counters, amounts, strict=True)
        if NAMES_LEFT_OUT in into:
            changes = ((counter, amount) for counter, amount in changes if type(counter) is int)
        for counter, amount in changes:
            total = get(counter, 0) + amount
            if total:
                into[counter] = total
            else:
                into.pop(counter, None)

    def flushed(self, stamp: int) -> None:
        """Note that all dirty rows have been written with a stamp. Rows that have not changed for some flushes go to rest."""
        self._written.append((stamp, [row for _, row in self.dirty]))
        self.dirty.clear()
        if len(self._written) > _RESTS_AFTER:
            written, rows = self._written.popleft()
            for row in rows:
                row.rest(written)

    def expire(self, watermark_ms: int) -> None:
        """Move the rows of panes that can no longer change out of the live store."""
        for tier, (spec, panes) in enumerate(zip(self._tiers, self._panes, strict=True)):
            over = [pane_ms for pane_ms in panes if pane_ms + spec.pane_ms + spec.kept_ms <= watermark_ms]
            for pane_ms in over:
                self.ended.extend(((tier, pane_ms, scope), row) for scope, row in panes.pop(pane_ms).items())
