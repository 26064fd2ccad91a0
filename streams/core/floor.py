"""Floor: merges the rows of all source partitions for the scopes of one partition, and keeps their windows.

Its input is state, not deltas: per (scope, pane, source partition) the row with the highest stamp wins. So input that
is read twice, also after a crash, changes nothing, and the compacted input topic is enough to recover from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.forecast.observe import has_forecast
from streams.core.ledger_store import ROW_HEAD
from streams.core.policy import EVIDENCE_TIER, HOUR_MS, HOUR_TIER, CorePolicy
from streams.core.records import CONTENT_ERRORS, told
from streams.core.rowcodec import stamp_of
from streams.core.scope_state import Alike, CounterReader, PaneRow, ScopeState, WindowRow
from streams.core.scope_windows import Place, ScopeWindows
from streams.core.sources import WATERMARK_PREFIX, SourcePartition, Sources
from streams.core.window_sums import count
from streams.models import formats

_NEVER_MS = 1 << 62


class Unreadable(NamedTuple):
    """A partial row that could not be read, and why. The key is empty for a row that is no longer held."""

    key: bytes
    value: bytes | None
    reason: str


class Floor:
    """The scopes of one partition of the partial rows.

    Rows are kept encoded, as they come. Their effect on windows is computed on demand (``absorb``), once for all
    versions of a row that came in between.
    """

    def __init__(self, policy: CorePolicy, sources: int = 0) -> None:
        """Start empty.

        Args:
            policy: What shapes the numbers.
            sources: How many source partitions there are. There is no watermark until each has reported. 0 if the
                caller adds all of them.
        """
        self.policy = policy
        self.sources = Sources(sources)
        self.scopes: dict[str, ScopeState] = {}
        self.watermark_ms = -1
        self.rows = 0
        self._pane_bit = 1 << len(policy.windows)
        self._forecast_bits = sum(1 << i for i, window in enumerate(policy.windows) if has_forecast(window.name))
        # Row as it was when last absorbed, by (scope, tier, pane, source): None for a new one.
        self._fresh: dict[Place, bytes | None] = {}
        self.unreadable: list[Unreadable] = []
        self._read = CounterReader()
        self._windows = ScopeWindows(policy, self._read)
        self.all_bits = self._windows.all_bits
        self._moved: set[str] = set()
        self._touched: set[str] = set()
        self._new: list[ScopeState] = []
        self._ended: set[str] = set()
        self._tiers = policy.all_tiers
        self._expire_at_ms = [_NEVER_MS] * len(self._tiers)
        self._full: frozenset[int] = frozenset()

    @property
    def watermarks(self) -> dict[int, SourcePartition]:
        """By source partition, how far it is."""
        return self.sources.heard

    def apply(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in partial rows and source watermarks.

        Args:
            records: Key and value as the ledger wrote them, in log order.
        """
        for key_bytes, value in records:
            try:
                self._apply_one(key_bytes.decode(), value)
            except CONTENT_ERRORS as error:
                self.unreadable.append(Unreadable(key_bytes, value, told(error)))
        self._advance()
        if self.sources.full != self._full:
            self._full = self.sources.full
            self._mark_all()

    def _mark_all(self) -> None:
        """Have every scope shown anew: which of them are whole has changed."""
        for state in self.scopes.values():
            self._mark(state, self.all_bits)
            state.touched.update(state.panes[HOUR_TIER])
            self._touched.add(state.key)

    def _see_whole(self, state: ScopeState) -> None:
        """Note whether a scope may lack rows: of a partition that has refused scopes and has none of this one (ADR 0030)."""
        state.partial = bool(self._full) and not self.policy.names(state.scope) and not state.has_rows_of(self._full)

    def _apply_one(self, key: str, value: bytes | None) -> None:
        if key.startswith(WATERMARK_PREFIX):
            if value is not None:
                self.sources.hear(key, value)
            return
        scope_key, tier, pane_ms, source, owner = key.rsplit("|", 4)
        if not 0 <= int(tier) < len(self._tiers):
            raise ValueError(f"there is no tier {tier}")
        self._take(scope_key, int(tier), int(pane_ms), int(source), owner, value)

    def take_unreadable(self) -> list[Unreadable]:
        """Return what could not be read since the last call. It is not counted."""
        found, self.unreadable = self.unreadable, []
        for value, reason in self._read.refused.items():
            found.append(Unreadable(self._key_of(value), value, reason))
        self._read.refused.clear()
        return found

    def _key_of(self, value: bytes) -> bytes:
        """Return the key of a held row by its value. This searches all rows, for the few that are set aside."""
        for scope_key, state in self.scopes.items():
            for tier, panes in enumerate(state.panes):
                for pane_ms, slots in panes.items():
                    for source, slot in slots.items():
                        if slot[1] == value:
                            return f"{scope_key}|{tier}|{pane_ms}|{source}|{slot[2]}".encode()
        return b""

    def _take(self, scope_key: str, tier: int, pane_ms: int, source: int, owner: str, value: bytes | None) -> None:
        """Put a row into its slot, or drop it. A record that is older than another owner's changes nothing."""
        state = self.scopes.get(scope_key)
        if state is None:
            if value is None:
                return
            state = self.scopes[scope_key] = ScopeState(scope_key, self.policy, self._read)
            self._new.append(state)
        panes = state.panes[tier]
        slots = panes.get(pane_ms)
        known = slots.get(source) if slots is not None else None
        if value is None:
            if slots is None or known is None or known[2] != owner:
                return
            self._end(state, tier, pane_ms, source, known[1])
            del slots[source]
            if not slots:
                del panes[pane_ms]
            return
        if value[0] != ROW_HEAD:
            formats.refuse_longer(formats.ROW, value, 2)
        stamp = stamp_of(value)
        if known is not None and known[0] > stamp:
            return
        if slots is None:
            slots = panes[pane_ms] = {}
            self._expire_at_ms[tier] = min(self._expire_at_ms[tier], self._end_ms(tier, pane_ms))
        slots[source] = (stamp, value, owner)
        self.rows += known is None
        if state.ended and tier == HOUR_TIER:
            state.ended.get(pane_ms, {}).pop(source, None)
        self._fresh.setdefault((scope_key, tier, pane_ms, source), None if known is None else known[1])

    def _end(self, state: ScopeState, tier: int, pane_ms: int, source: int, value: bytes) -> None:
        """Drop a source's row of a pane that the source can no longer change.

        The row of an hour pane is kept until all sources are past the pane and its last change has been published.
        Otherwise a pane would shrink while its sources end it one after the other, and a pane that began and ended
        between two publications (in a backfill) would never be seen.
        """
        before = self._fresh.setdefault((state.key, tier, pane_ms, source), value)
        self.rows -= 1
        if tier == HOUR_TIER:
            state.ended.setdefault(pane_ms, {})[source] = value
            self._ended.add(state.key)
            if before != value:
                state.touched.add(pane_ms)
                self._touched.add(state.key)

    def _forget_ended(self) -> None:
        """Drop what has ended, has been published, and can no longer be changed by any source."""
        for key in list(self._ended):
            state = self.scopes.get(key)
            if state is not None and state.forget_ended(self.sources.kept_from_ms):
                self._end_if_empty(state)
            if state is None or not state.ended:
                self._ended.discard(key)

    def _end_ms(self, tier: int, pane_ms: int) -> int:
        spec = self._tiers[tier]
        return pane_ms + spec.pane_ms + spec.kept_ms

    def _expire(self) -> None:
        """Drop panes that no source can change any more, even if the floor is far ahead of a source.

        The sources' tombstones say the same. But there is none for a row whose owner died before the row was on its
        changelog.
        """
        kept_from_ms = self.sources.kept_from_ms
        for tier, due_ms in enumerate(self._expire_at_ms):
            if due_ms > kept_from_ms:
                continue
            earliest = _NEVER_MS
            for state in self.scopes.values():
                panes = state.panes[tier]
                for pane_ms in [pane_ms for pane_ms in panes if self._end_ms(tier, pane_ms) <= kept_from_ms]:
                    for source, slot in panes.pop(pane_ms).items():
                        self._end(state, tier, pane_ms, source, slot[1])
                earliest = min(earliest, min(panes, default=_NEVER_MS))
            self._expire_at_ms[tier] = _NEVER_MS if earliest == _NEVER_MS else self._end_ms(tier, earliest)

    def absorb(self) -> None:
        """Bring windows, backlog and the list of changed panes up to the rows taken in."""
        self._absorb(range(EVIDENCE_TIER))

    def _absorb(self, tiers: Iterable[int]) -> None:
        """Note what has changed since last time. Only the sums of windows made of the given tiers are updated."""
        self._expire()
        if self._ended:
            self._forget_ended()
        fresh, self._fresh = self._fresh, {}
        for place, old in fresh.items():
            state = self.scopes.get(place[0])
            if state is not None and (value := state.row(*place[1:])) != old:
                self._look(state, place, value, old)
        for tier in tiers:
            self._windows.tally(tier, self.scopes)

    def _look(self, state: ScopeState, place: Place, value: bytes | None, old: bytes | None) -> None:
        """Note which windows a changed row affects. It is decoded only for values that every window's row shows."""
        _, tier, pane_ms, source = place
        if state.watches:
            labels = tier == HOUR_TIER and self._read(value).get(c.LABELS) != self._read(old).get(c.LABELS)
            self._mark(state, state.touch(tier, pane_ms, labels=labels))
        if tier != EVIDENCE_TIER:
            if state.queue is not None and state.queue.note(tier, pane_ms, self._read(value), self._read(old)):
                self._mark(state, self._forecast_bits)
            opened = state.open_change(pane_ms, source, value) if tier == HOUR_TIER else 0
            self._note(state, tier, pane_ms, self._windows.holding(state, tier, pane_ms), opened, ended=value is None)
            if state.slid:  # the sums of a new scope start from the existing rows
                self._windows.changed(place, old)
        self._end_if_empty(state)

    def _end_if_empty(self, state: ScopeState) -> None:
        """Publish a scope whose last pane has expired once more, with empty rows, and then forget it."""
        if not any(state.panes):
            self._mark(state, self.all_bits)

    def _note(self, state: ScopeState, tier: int, pane_ms: int, bits: int, opened: int, *, ended: bool) -> None:
        """Note that a pane changed, or that a source's row of it ended, and by how many open tasks."""
        state.oldest_known = False
        if tier == HOUR_TIER:
            if not ended:
                state.touched.add(pane_ms)
                self._touched.add(state.key)
            if opened:
                count(state.open_by_hour, pane_ms, opened)
        # Every window's row shows the backlog.
        self._mark(state, self.all_bits if opened else bits)

    def _mark(self, state: ScopeState, bits: int) -> None:
        if bits:
            state.moved |= bits
            self._moved.add(state.key)

    def _advance(self) -> None:
        """Advance the watermark to that of the sources. It never goes back."""
        self.sources.advance()
        watermark_ms = self.sources.watermark_ms
        if watermark_ms > self.watermark_ms:
            # Without a watermark nothing was published as closed, however old it is.
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
        """Return the rows that changed since they were last returned, scope after scope.

        A window whose range moved counts as changed if its content changed. Nothing is published before there is a
        watermark.

        Args:
            due: Bits of the windows wanted now (bit i: the policy's window i; the next after them: the hour panes); None
                for all. The others keep their range and their changes until they are wanted.
        """
        due = self.all_bits | self._pane_bit if due is None else due
        self._absorb({window.tier for i, window in enumerate(self.policy.windows) if due >> i & 1})
        if self.watermark_ms < 0:
            return [], []
        self._slide(due)
        windows: list[WindowRow] = []
        moved, self._moved = self._moved, set()
        for key in moved:
            state = self.scopes.get(key)
            if state is None:
                continue
            self._window_rows(state, state.moved & due, windows)
            state.moved &= ~due
            if state.moved:
                self._moved.add(key)
            elif not any(state.panes) and not state.ended:
                del self.scopes[key]
        return windows, self._take_panes() if due & self._pane_bit else []

    def _take_panes(self) -> list[PaneRow]:
        found: list[PaneRow] = []
        for key in self._touched:
            state = self.scopes.get(key)
            if state is not None:
                self._see_whole(state)
                found.extend(PaneRow(state, at) for at in sorted(state.touched) if state.shows(at))
                state.touched.clear()
        self._touched.clear()
        return found

    @property
    def pending(self) -> bool:
        """Whether ``take_changes`` has something to return that is known now."""
        return bool(self._fresh or self._moved or self._touched)

    def _window_rows(self, state: ScopeState, bits: int, into: list[WindowRow]) -> None:
        """Add windows of a scope to a list."""
        self._see_whole(state)
        known: list[tuple[Counters, Alike]] = []
        for i, (window, total) in enumerate(zip(self.policy.windows, state.windows, strict=True)):
            if bits >> i & 1:
                counters = total.counters
                alike = next((one for held, one in known if held is counters or held == counters), None)
                if alike is None:
                    alike = Alike()
                    known.append((counters, alike))
                alike.left += 1
                into.append(WindowRow(state, window.name, total.start_ms, total.end_ms, counters, alike))

    def _slide(self, due: int) -> None:
        """Bring windows up to the watermark."""
        if self.watermark_ms < 0:
            return
        moved = self._windows.advance(due, self.watermark_ms)
        if any(moved.values()):
            for state in self.scopes.values():
                bits = moved.get(state.zone, 0)
                self._mark(state, self._windows.slide(state, bits) if bits else 0)
                if state.queue is not None and state.queue.live:
                    self._mark(state, bits & self._forecast_bits)
        for state in self._new:
            self._windows.begin(state, self.watermark_ms)
            self._mark(state, self.all_bits)
        self._new = []

    def all_windows(self) -> list[WindowRow]:
        """Return every window of every scope as of the watermark; what ``take_changes`` returns next stays the same."""
        if self.watermark_ms < 0:
            return []
        self.absorb()
        self._slide(self.all_bits)
        windows: list[WindowRow] = []
        for state in self.scopes.values():
            self._window_rows(state, self.all_bits, windows)
        return windows

    def all_panes(self) -> Iterator[PaneRow]:
        """Yield every hour pane still held, one at a time, because all of them may not fit into memory."""
        self.absorb()
        states = list(self.scopes.values()) if self.watermark_ms >= 0 else []
        for state in states:
            self._see_whole(state)
        return (PaneRow(state, pane_ms) for state in states for pane_ms in sorted(state.hours()))
