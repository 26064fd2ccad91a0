"""Rows of the three tiers, each with the stamp that says which events it holds."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.cells import EXAMPLE_PREFIX, REVISION, Cells
from streams.core.policy import MINUTE_MS, CorePolicy


class Row:
    """One (scope, pane): its cells and its stamp.

    Attributes:
        cells: The counted integers.
        stamp: The row holds every event of its partition below this offset that concerns it, and none at or above.
        dirty: Changed since the last flush.
    """

    __slots__ = ("cells", "dirty", "stamp")

    def __init__(self, cells: Cells, stamp: int) -> None:
        """Hold cells as of a stamp."""
        self.cells = cells
        self.stamp = stamp
        self.dirty = False


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
        self._tiers = policy.tiers
        self._panes: tuple[dict[int, dict[int, Row]], ...] = ({}, {}, {})
        self.dirty: list[tuple[Place, Row]] = []
        self.ended: list[tuple[Place, Row]] = []

    def __len__(self) -> int:
        """Return how many rows live."""
        return sum(len(rows) for tier in self._panes for rows in tier.values())

    def places(self) -> Iterator[tuple[Place, Row]]:
        """Yield every live row with its place."""
        for tier, panes in enumerate(self._panes):
            for pane_ms, rows in panes.items():
                for scope, row in rows.items():
                    yield (tier, pane_ms, scope), row

    def put(self, place: Place, row: Row) -> None:
        """Put a restored row in its place."""
        tier, pane_ms, scope = place
        self._panes[tier].setdefault(pane_ms, {})[scope] = row

    def apply(self, minute: int, scope: int, amounts: Cells, watermark_ms: int, offset: int) -> None:
        """Add amounts of one minute to the row of each tier that still holds it.

        A row whose stamp is above ``offset`` already has them; an expired pane takes none.

        Args:
            minute: Minutes since 1970.
            scope: Scope number.
            amounts: Cells to add.
            watermark_ms: The watermark while these amounts came about.
            offset: Offset of the (last) event behind the amounts.
        """
        time_ms = minute * MINUTE_MS
        for tier, (spec, panes) in enumerate(zip(self._tiers, self._panes, strict=True)):
            pane_ms = time_ms - time_ms % spec.pane_ms
            end_ms = pane_ms + spec.pane_ms
            if end_ms + spec.kept_ms <= watermark_ms:
                continue
            rows = panes.get(pane_ms)
            if rows is None:
                rows = panes[pane_ms] = {}
            row = rows.get(scope)
            if row is None:
                row = rows[scope] = Row({}, 0)
            elif row.stamp > offset:
                continue
            if not row.dirty:
                row.dirty = True
                self.dirty.append(((tier, pane_ms, scope), row))
            _merge(row.cells, amounts, closed=end_ms <= watermark_ms, examples=tier == 0)

    def expire(self, watermark_ms: int) -> None:
        """Move the rows of panes that can no longer change out of the live store."""
        for tier, (spec, panes) in enumerate(zip(self._tiers, self._panes, strict=True)):
            over = [pane_ms for pane_ms in panes if pane_ms + spec.pane_ms + spec.kept_ms <= watermark_ms]
            for pane_ms in over:
                self.ended.extend(((tier, pane_ms, scope), row) for scope, row in panes.pop(pane_ms).items())


def _merge(into: Cells, amounts: Cells, *, closed: bool, examples: bool) -> None:
    """Add amounts; revisions count only in closed panes and example tasks only in the finest tier."""
    get = into.get
    for cell, amount in amounts.items():
        if cell == REVISION and not closed:
            continue
        if type(cell) is str and not examples and cell.startswith(EXAMPLE_PREFIX):
            continue
        total = get(cell, 0) + amount
        if total:
            into[cell] = total
        else:
            into.pop(cell, None)
