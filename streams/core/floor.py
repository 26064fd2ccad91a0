"""Floor: merges the rows of all source partitions for the scopes of one partition, and keeps their windows.

Its input is state, not deltas: per (scope, pane, source partition) the row with the highest stamp wins. So input seen
twice, or again after a crash, changes nothing, and the compacted input topic is all there is to recover from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from streams.core.cells import OPEN, Cells, add_cells
from streams.core.forecast.observe import FORECAST_WINDOW
from streams.core.ledger_store import WATERMARK_PREFIX, stamp_of
from streams.core.policy import EVIDENCE_TIER, HOUR_MS, HOUR_TIER, CorePolicy
from streams.core.scope_state import ScopeState, WindowSum, decode_cells
from streams.core.windows import window_range

_decode_watermark: Any = msgspec.msgpack.Decoder(tuple[int, int]).decode

_NO_SLOTS: dict[int, Any] = {}
_NEVER_MS = 1 << 62


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
    """The scopes of one partition of the partial rows.

    Rows are kept as they come, encoded. What they change in windows is worked out when somebody asks (``absorb``), once
    for all versions of a row that came in between.
    """

    def __init__(self, policy: CorePolicy) -> None:
        """Start empty."""
        self.policy = policy
        self.scopes: dict[str, ScopeState] = {}
        self.watermarks: dict[int, tuple[int, int]] = {}
        self.watermark_ms = -1
        self.rows = 0
        self._tier_windows = [
            [(1 << i, i) for i, window in enumerate(policy.windows) if window.tier == tier]
            for tier in range(EVIDENCE_TIER)
        ]
        self.all_bits = (1 << len(policy.windows)) - 1
        self._forecast_bits = sum(1 << i for i, window in enumerate(policy.windows) if window.name == FORECAST_WINDOW)
        # Row as it was when last absorbed, by (scope, tier, pane, source): None for a new one.
        self._fresh: dict[tuple[str, int, int, int], bytes | None] = {}
        self._ranges: dict[str, list[tuple[int, int]]] = {}
        self._moved: set[str] = set()
        self._touched: set[str] = set()
        self._new: list[ScopeState] = []
        self._tiers = policy.all_tiers
        self._expire_at_ms = [_NEVER_MS] * len(self._tiers)

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
            self._take(scope_key, int(tier), int(pane_ms), int(source), owner, value)
        self._advance()

    def _source_watermark(self, source: int, value: bytes) -> None:
        stamp, watermark_ms = _decode_watermark(value)
        known = self.watermarks.get(source)
        if watermark_ms >= 0 and (known is None or stamp >= known[0]):
            self.watermarks[source] = (stamp, watermark_ms)

    def _take(self, scope_key: str, tier: int, pane_ms: int, source: int, owner: str, value: bytes | None) -> None:
        """Put a row into its slot, or drop it; a record that a newer one of another owner replaced changes nothing."""
        state = self.scopes.get(scope_key)
        if state is None:
            if value is None:
                return
            state = self.scopes[scope_key] = ScopeState(scope_key, self.policy)
            self._new.append(state)
        panes = state.panes[tier]
        slots = panes.get(pane_ms)
        known = slots.get(source) if slots is not None else None
        if value is None:
            if slots is None or known is None or known[2] != owner:
                return
            self._fresh.setdefault((scope_key, tier, pane_ms, source), known[1])
            del slots[source]
            self.rows -= 1
            if not slots:
                del panes[pane_ms]
            return
        stamp = stamp_of(value)
        if known is not None and known[0] > stamp:
            return
        if slots is None:
            slots = panes[pane_ms] = {}
            self._expire_at_ms[tier] = min(self._expire_at_ms[tier], self._end_ms(tier, pane_ms))
        slots[source] = (stamp, value, owner)
        self.rows += known is None
        self._fresh.setdefault((scope_key, tier, pane_ms, source), None if known is None else known[1])

    def _end_ms(self, tier: int, pane_ms: int) -> int:
        spec = self._tiers[tier]
        return pane_ms + spec.pane_ms + spec.kept_ms

    def _expire(self) -> None:
        """Drop expired panes.

        The sources' tombstones say the same; but of a row whose owner died before its changelog knew of it, none comes.
        """
        for tier, due_ms in enumerate(self._expire_at_ms):
            if due_ms > self.watermark_ms:
                continue
            earliest = _NEVER_MS
            for key, state in self.scopes.items():
                panes = state.panes[tier]
                for pane_ms in [pane_ms for pane_ms in panes if self._end_ms(tier, pane_ms) <= self.watermark_ms]:
                    for source, slot in panes.pop(pane_ms).items():
                        self._fresh.setdefault((key, tier, pane_ms, source), slot[1])
                        self.rows -= 1
                earliest = min(earliest, min(panes, default=_NEVER_MS))
            self._expire_at_ms[tier] = _NEVER_MS if earliest == _NEVER_MS else self._end_ms(tier, earliest)

    def absorb(self) -> None:
        """Bring windows, backlog and the list of changed panes up to the rows taken in."""
        self._expire()
        fresh, self._fresh = self._fresh, {}
        # All changes of a scope that lie in the same windows are summed before the windows are touched.
        zones: dict[tuple[str, int], Cells] = {}
        for (scope_key, tier, pane_ms, source), old in fresh.items():
            state = self.scopes.get(scope_key)
            if state is None:
                continue
            slot = state.panes[tier].get(pane_ms, _NO_SLOTS).get(source)
            value = None if slot is None else slot[1]
            if value == old:
                continue
            if state.watches:
                self._mark(state, state.touch(tier, pane_ms))
            if tier == EVIDENCE_TIER:
                self._end_if_empty(state)
                continue
            now, was = decode_cells(value), decode_cells(old)
            if state.queue is not None and state.queue.note(tier, pane_ms, now, was):
                self._mark(state, self._forecast_bits)
            bits = self._bits_of(state, tier, pane_ms)
            self._note(state, tier, pane_ms, bits, now.get(OPEN, 0) - was.get(OPEN, 0))
            if bits:
                into = zones.setdefault((scope_key, bits), {})
                _tally(into, now, 1)
                _tally(into, was, -1)
            self._end_if_empty(state)
        self._add(zones)

    def _end_if_empty(self, state: ScopeState) -> None:
        """Show a scope whose last pane has expired once more: its rows are empty now, and then it is forgotten."""
        if not any(state.panes):
            self._mark(state, self.all_bits)

    def _note(self, state: ScopeState, tier: int, pane_ms: int, bits: int, opened: int) -> None:
        """Note that a pane changed, and by how many open tasks."""
        state.oldest_known = False
        if tier == HOUR_TIER:
            if pane_ms in state.panes[tier]:
                state.touched.add(pane_ms)
                self._touched.add(state.key)
            if opened:
                _count(state.open_by_hour, pane_ms, opened)
        # The backlog stands in every window's row.
        self._mark(state, self.all_bits if opened else bits)

    def _add(self, zones: dict[tuple[str, int], Cells]) -> None:
        for (scope_key, bits), cells in zones.items():
            if scope_key in self.scopes:
                changed = {cell: amount for cell, amount in cells.items() if amount}
                for i, total in enumerate(self.scopes[scope_key].windows):
                    if bits >> i & 1:
                        add_cells(total.cells, changed)

    def _bits_of(self, state: ScopeState, tier: int, pane_ms: int) -> int:
        """Return the bits of the windows that hold a pane."""
        bits = 0
        for bit, i in self._tier_windows[tier]:
            total = state.windows[i]
            if total.start_ms <= pane_ms < total.end_ms:
                bits |= bit
        return bits

    def _mark(self, state: ScopeState, bits: int) -> None:
        if bits:
            state.moved |= bits
            self._moved.add(state.key)

    def _advance(self) -> None:
        """Move the watermark to the least of the sources'; it never goes back."""
        watermark_ms = min((held[1] for held in self.watermarks.values()), default=-1)
        if watermark_ms > self.watermark_ms:
            # Without a watermark nothing was shown as closed, however old.
            closed_from = max(0, self.watermark_ms // HOUR_MS)
            if watermark_ms // HOUR_MS != closed_from:
                self._touch_closed(closed_from * HOUR_MS, watermark_ms)
            self.watermark_ms = watermark_ms

    def _touch_closed(self, from_ms: int, until_ms: int) -> None:
        """Mark the hour panes the watermark has just closed, so that they are shown as closed."""
        for state in self.scopes.values():
            panes = state.panes[HOUR_TIER]
            if (until_ms - from_ms) // HOUR_MS > len(panes):
                closed = [p for p in panes if from_ms <= p and p + HOUR_MS <= until_ms]
            else:
                closed = [p for p in range(from_ms, until_ms - HOUR_MS + 1, HOUR_MS) if p in panes]
            if closed:
                state.touched.update(closed)
                self._touched.add(state.key)

    def take_changes(self, due: int | None = None) -> tuple[list[WindowRow], list[PaneRow]]:
        """Return the rows that changed since they were last returned.

        A window whose range moved counts as changed when what it covers did.

        Args:
            due: Bits of the windows wanted now (bit i: the policy's window i); None for all. The others keep their
                range and their changes until they are wanted.
        """
        due = self.all_bits if due is None else due
        self.absorb()
        self._slide(due)
        windows: list[WindowRow] = []
        panes: list[PaneRow] = []
        moved = [key for key in self._moved if key in self.scopes] if self.watermark_ms >= 0 else []
        for key in moved:
            state = self.scopes[key]
            windows.extend(self._window_rows(state, state.moved & due))
            state.moved &= ~due
            if not state.moved and not any(state.panes):
                del self.scopes[key]
        self._moved = {key for key in self._moved if key in self.scopes and self.scopes[key].moved}
        for key in self._touched:
            touched = self.scopes.get(key)
            if touched is not None:
                panes.extend(PaneRow(touched, at, touched.pane_cells(HOUR_TIER, at)) for at in sorted(touched.touched))
                touched.touched.clear()
        self._touched.clear()
        return windows, panes

    @property
    def pending(self) -> bool:
        """Whether ``take_changes`` has something to return that is known now."""
        return bool(self._fresh or self._moved or self._touched)

    def _window_rows(self, state: ScopeState, bits: int) -> Iterator[WindowRow]:
        for i, (window, total) in enumerate(zip(self.policy.windows, state.windows, strict=True)):
            if bits >> i & 1:
                yield WindowRow(state, window.name, total.start_ms, total.end_ms, total.cells)

    def _slide(self, due: int) -> None:
        """Bring windows up to the watermark."""
        if self.watermark_ms < 0:
            return
        moved = {zone: self._moved_windows(zone, due) for zone in self._ranges}
        if any(moved.values()):
            for state in self.scopes.values():
                self._slide_one(state, moved.get(state.zone, 0))
        for state in self._new:
            if state.zone not in self._ranges:
                self._ranges[state.zone] = [(0, 0)] * len(self.policy.windows)
                self._moved_windows(state.zone, self.all_bits)
            self._slide_one(state, self.all_bits)
            self._mark(state, self.all_bits)
        self._new = []

    def _moved_windows(self, zone: str, due: int) -> int:
        """Find the present range of a zone's windows; return the bits of those that moved."""
        ranges, bits = self._ranges[zone], 0
        for i, window in enumerate(self.policy.windows):
            if due >> i & 1:
                found = window_range(window, self.watermark_ms, zone)
                if found != ranges[i]:
                    ranges[i] = found
                    bits |= 1 << i
        return bits

    def _slide_one(self, state: ScopeState, bits: int) -> None:
        ranges = self._ranges[state.zone]
        sums: tuple[dict[int, Cells], ...] = ({}, {}, {})  # windows of a tier enter and leave the same panes
        for i, window in enumerate(self.policy.windows):
            total = state.windows[i]
            if bits >> i & 1 and (total.start_ms, total.end_ms) != ranges[i]:
                had = bool(total.cells)
                _move(state, window.tier, total, ranges[i], sums[window.tier])
                # Age is shown of what is open too: a queue in which nothing moves must not look as it did an hour ago.
                self._mark(state, 1 << i if had or total.cells or state.open_by_hour else 0)
        if state.queue is not None and state.queue.live:
            self._mark(state, bits & self._forecast_bits)

    def all_windows(self) -> list[WindowRow]:
        """Return every window of every scope as of the watermark; what ``take_changes`` returns next stays the same."""
        if self.watermark_ms < 0:
            return []
        self.absorb()
        self._slide(self.all_bits)
        return [row for state in self.scopes.values() for row in self._window_rows(state, self.all_bits)]

    def all_panes(self) -> list[PaneRow]:
        """Return every hour pane still held."""
        self.absorb()
        return [
            PaneRow(state, pane_ms, state.pane_cells(HOUR_TIER, pane_ms))
            for state in self.scopes.values()
            for pane_ms in sorted(state.panes[HOUR_TIER])
        ]


def _tally(into: Cells, amounts: Cells, sign: int) -> None:
    """Add or take away amounts; cells that come to zero stay."""
    get = into.get
    if sign > 0:
        for cell, amount in amounts.items():
            into[cell] = get(cell, 0) + amount
    else:
        for cell, amount in amounts.items():
            into[cell] = get(cell, 0) - amount


def _count(counts: dict[int, int], key: int, amount: int) -> None:
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


def _move(state: ScopeState, tier: int, total: WindowSum, to_ms: tuple[int, int], sums: dict[int, Cells]) -> None:
    """Move a window: take away the panes it leaves and add those it enters, or sum anew where that is less.

    Args:
        state: The scope.
        tier: The window's tier.
        total: The window.
        to_ms: Where it now begins and ends.
        sums: Sums of panes by their start, filled as they are needed.
    """
    panes = state.panes[tier]
    (start_ms, end_ms), (old_start, old_end) = to_ms, (total.start_ms, total.end_ms)
    total.start_ms, total.end_ms = to_ms
    entering = [p for p in panes if start_ms <= p < end_ms and not old_start <= p < old_end]
    leaving = [p for p in panes if old_start <= p < old_end and not start_ms <= p < end_ms]
    staying = sum(1 for p in panes if start_ms <= p < end_ms) - len(entering)
    if staying <= len(leaving):
        total.cells, leaving = {}, []
        entering = [p for p in panes if start_ms <= p < end_ms]
    for chosen, sign in ((entering, 1), (leaving, -1)):
        for pane_ms in chosen:
            cells = sums.get(pane_ms)
            if cells is None:
                cells = sums[pane_ms] = state.pane_cells(tier, pane_ms)
            if total.cells:
                add_cells(total.cells, cells, sign)
            else:
                total.cells = {cell: sign * amount for cell, amount in cells.items()} if sign < 0 else dict(cells)
