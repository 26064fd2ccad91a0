"""Floor: merges the rows of all source partitions for the scopes of one partition, and keeps their windows.

Its input is state, not deltas: per (scope, pane, source partition) the row with the highest stamp wins. So input seen
twice, or again after a crash, changes nothing, and the compacted input topic is all there is to recover from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from streams.core.cells import OPEN, Cells, add_cells
from streams.core.ledger_store import WATERMARK_PREFIX
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.scopes import parse_scope_key
from streams.core.windows import window_range

_decode_row: Any = msgspec.msgpack.Decoder(tuple[int, Cells]).decode
_decode_watermark: Any = msgspec.msgpack.Decoder(tuple[int, int]).decode

Slot = tuple[int, Cells, str]
"""(stamp, cells, owner) of one source partition: of all its owners' rows the one with the highest stamp."""


class WindowSum:
    """The running sum of one window of one scope."""

    __slots__ = ("cells", "end_ms", "start_ms")

    def __init__(self) -> None:
        """Start empty, covering nothing."""
        self.start_ms = 0
        self.end_ms = 0
        self.cells: Cells = {}


class ScopeState:
    """Everything known of one scope.

    Attributes:
        panes: Per tier, per pane start, the slot of each source partition.
        windows: The running sum of each window.
        open_by_hour: Open tasks by the hour of their creation: the backlog.
        touched: Hour panes changed since they were last published.
    """

    __slots__ = ("key", "open_by_hour", "panes", "scope", "touched", "windows", "zone")

    def __init__(self, key: str, policy: CorePolicy) -> None:
        """Start empty."""
        self.key = key
        self.scope = parse_scope_key(key)
        self.zone = policy.zones.get(self.scope.get("site", ""), policy.default_zone)
        self.panes: tuple[dict[int, dict[int, Slot]], ...] = ({}, {}, {})
        self.windows = [WindowSum() for _ in policy.windows]
        self.open_by_hour: dict[int, int] = {}
        self.touched: set[int] = set()

    def pane_cells(self, tier: int, pane_ms: int) -> Cells:
        """Return the sum over source partitions of one pane; do not change it."""
        slots = self.panes[tier].get(pane_ms)
        if not slots:
            return {}
        if len(slots) == 1:
            return next(iter(slots.values()))[1]
        total: Cells = {}
        for _, cells, _ in slots.values():
            add_cells(total, cells)
        return total

    def oldest_open_ms(self) -> int | None:
        """Return when the oldest open task was created, to the finest pane still kept; None without a backlog."""
        hour_ms = min(self.open_by_hour, default=None)
        if hour_ms is None:
            return None
        for tier in (0, 1):
            inside = [
                pane_ms
                for pane_ms in self.panes[tier]
                if hour_ms <= pane_ms < hour_ms + HOUR_MS and self.pane_cells(tier, pane_ms).get(OPEN)
            ]
            if inside:
                return min(inside)
        return hour_ms


class WindowRow(NamedTuple):
    """One window of one scope, ready to be shown."""

    state: ScopeState
    window: str
    start_ms: int
    end_ms: int
    cells: Cells


class PaneRow(NamedTuple):
    """One hour pane of one scope, ready to be shown."""

    state: ScopeState
    start_ms: int
    cells: Cells


class Floor:
    """The scopes of one partition of the partial rows."""

    def __init__(self, policy: CorePolicy) -> None:
        """Start empty."""
        self.policy = policy
        self.scopes: dict[str, ScopeState] = {}
        self.watermarks: dict[int, tuple[int, int]] = {}
        self.watermark_ms = -1
        self._changed: set[str] = set()
        self._everything = False
        self.rows = 0

    def apply(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in partial rows and source watermarks.

        Args:
            records: Key and value as the ledger wrote them, in log order.
        """
        for key_bytes, value in records:
            key = key_bytes.decode()
            if key.startswith(WATERMARK_PREFIX):
                if value is not None:
                    self._source_watermark(int(key[len(WATERMARK_PREFIX) :].partition("|")[0]), value)
                continue
            scope_key, tier, pane_ms, source, owner = key.rsplit("|", 4)
            if value is None:
                self._forget(scope_key, int(tier), int(pane_ms), int(source), owner)
            else:
                self._take(scope_key, int(tier), int(pane_ms), int(source), owner, value)
        self._advance()

    def _source_watermark(self, source: int, value: bytes) -> None:
        stamp, watermark_ms = _decode_watermark(value)
        known = self.watermarks.get(source)
        if watermark_ms >= 0 and (known is None or stamp >= known[0]):
            self.watermarks[source] = (stamp, watermark_ms)

    def _take(self, scope_key: str, tier: int, pane_ms: int, source: int, owner: str, value: bytes) -> None:
        stamp, cells = _decode_row(value)
        state = self.scopes.get(scope_key)
        if state is None:
            state = self.scopes[scope_key] = ScopeState(scope_key, self.policy)
        slots = state.panes[tier].setdefault(pane_ms, {})
        known = slots.get(source)
        if known is not None and known[0] > stamp:
            return
        if known is None:
            self.rows += 1
        slots[source] = (stamp, cells, owner)
        delta = difference(cells, known[1]) if known is not None else cells
        if not delta:
            return
        self._changed.add(scope_key)
        for window, total in zip(self.policy.windows, state.windows, strict=True):
            if window.tier == tier and total.start_ms <= pane_ms < total.end_ms:
                add_cells(total.cells, delta)
        if tier == 2:
            state.touched.add(pane_ms)
            opened = delta.get(OPEN)
            if opened:
                _count(state.open_by_hour, pane_ms, opened)

    def _forget(self, scope_key: str, tier: int, pane_ms: int, source: int, owner: str) -> None:
        """Drop the slot of an expired row; a former owner's record that a newer one has replaced changes nothing."""
        state = self.scopes.get(scope_key)
        slots = state.panes[tier].get(pane_ms) if state is not None else None
        if state is None or slots is None or source not in slots or slots[source][2] != owner:
            return
        _, cells, _ = slots.pop(source)
        self.rows -= 1
        for window, total in zip(self.policy.windows, state.windows, strict=True):
            if window.tier == tier and total.start_ms <= pane_ms < total.end_ms:
                add_cells(total.cells, cells, -1)
        if tier == 2 and cells.get(OPEN):
            _count(state.open_by_hour, pane_ms, -cells[OPEN])
        if not slots:
            del state.panes[tier][pane_ms]
        if not any(state.panes):
            del self.scopes[scope_key]

    def _advance(self) -> None:
        """Move the watermark to the least of the sources'; it never goes back."""
        watermark_ms = min((held[1] for held in self.watermarks.values()), default=-1)
        if watermark_ms > self.watermark_ms:
            closed_from = self.watermark_ms // HOUR_MS
            if self.watermark_ms >= 0 and watermark_ms // HOUR_MS != closed_from:
                self._touch_closed(closed_from * HOUR_MS, watermark_ms)
            self.watermark_ms = watermark_ms
            self._everything = True

    def _touch_closed(self, from_ms: int, until_ms: int) -> None:
        """Mark the hour panes the watermark has just closed, so that they are shown as closed."""
        for state in self.scopes.values():
            panes = state.panes[2]
            if (until_ms - from_ms) // HOUR_MS > len(panes):
                state.touched.update(p for p in panes if from_ms <= p and p + HOUR_MS <= until_ms)
            else:
                for pane_ms in range(from_ms, until_ms - HOUR_MS + 1, HOUR_MS):
                    if pane_ms in panes:
                        state.touched.add(pane_ms)

    def take_changes(self) -> tuple[list[WindowRow], list[PaneRow]]:
        """Return the rows that changed since the last call.

        A window whose range moved counts as changed when what it covers did.
        """
        windows: list[WindowRow] = []
        panes: list[PaneRow] = []
        changed = [self.scopes[key] for key in self._changed if key in self.scopes]
        states = list(self.scopes.values()) if self._everything else changed
        for state in states:
            windows.extend(self._slide(state, changed=state.key in self._changed))
            panes.extend(PaneRow(state, pane_ms, state.pane_cells(2, pane_ms)) for pane_ms in sorted(state.touched))
            state.touched.clear()
        self._changed.clear()
        self._everything = False
        return windows, panes

    def _slide(self, state: ScopeState, *, changed: bool) -> Iterator[WindowRow]:
        """Bring a scope's windows up to the watermark and yield those that changed."""
        if self.watermark_ms < 0:
            return
        for window, total in zip(self.policy.windows, state.windows, strict=True):
            start_ms, end_ms = window_range(window, self.watermark_ms, state.zone)
            moved = (start_ms, end_ms) != (total.start_ms, total.end_ms)
            if moved:
                had = bool(total.cells)
                _move(state, window.tier, total, start_ms, end_ms)
                moved = had or bool(total.cells)
            if moved or changed:
                yield WindowRow(state, window.name, start_ms, end_ms, total.cells)

    def all_windows(self) -> list[WindowRow]:
        """Return every window of every scope as of the watermark."""
        rows = [row for state in self.scopes.values() for row in self._slide(state, changed=True)]
        if self._everything:
            # Windows have moved here, unseen by the next take_changes: it must not take them for unchanged.
            self._changed.update(self.scopes)
        return rows

    def all_panes(self) -> list[PaneRow]:
        """Return every hour pane still held."""
        return [
            PaneRow(state, pane_ms, state.pane_cells(2, pane_ms))
            for state in self.scopes.values()
            for pane_ms in sorted(state.panes[2])
        ]


def difference(new: Cells, old: Cells) -> Cells:
    """Return ``new - old`` without zeros."""
    found = {cell: amount - old.get(cell, 0) for cell, amount in new.items() if amount != old.get(cell, 0)}
    for cell, amount in old.items():
        if cell not in new:
            found[cell] = -amount
    return found


def _count(counts: dict[int, int], key: int, amount: int) -> None:
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


def _move(state: ScopeState, tier: int, total: WindowSum, start_ms: int, end_ms: int) -> None:
    """Move a window: take away the panes it leaves and add those it enters, or sum anew where nothing overlaps."""
    panes = state.panes[tier]
    old_start, old_end = total.start_ms, total.end_ms
    total.start_ms, total.end_ms = start_ms, end_ms
    if start_ms >= old_end or end_ms <= old_start:
        total.cells = {}
        for pane_ms in [p for p in panes if start_ms <= p < end_ms]:
            add_cells(total.cells, state.pane_cells(tier, pane_ms))
        return
    moved = panes if len(panes) < 64 else [p for p in panes if p < start_ms or p >= old_end or p >= end_ms]
    for pane_ms in moved:
        inside = start_ms <= pane_ms < end_ms
        was_inside = old_start <= pane_ms < old_end
        if inside and not was_inside:
            add_cells(total.cells, state.pane_cells(tier, pane_ms))
        elif was_inside and not inside:
            add_cells(total.cells, state.pane_cells(tier, pane_ms), -1)
