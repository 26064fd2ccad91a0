"""The sums of the windows of all scopes: kept up with the rows, and moved with the watermark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from streams.core.counters import Counters
from streams.core.policy import EVIDENCE_TIER, CorePolicy
from streams.core.scope_state import CounterReader, ScopeState
from streams.core.window_sums import add_to, move, tally
from streams.core.windows import window_range

_DECODED = 4_096
"""Minute rows whose counters stay decoded, about 5 kB each. The rows that changed last are likely to change next."""

Place = tuple[str, int, int, int]
"""(scope, tier, pane start in ms, source partition) of a row."""


class ScopeWindows:
    """Windows of the scopes of one partition. A set of windows is an int: bit i is the policy's window i."""

    def __init__(self, policy: CorePolicy, read: CounterReader) -> None:
        """Start without scopes.

        Args:
            policy: Says which windows there are.
            read: Decodes rows.
        """
        self._windows, self._read = policy.windows, read
        self.all_bits = (1 << len(policy.windows)) - 1
        self._of_tier = [
            [(1 << i, i) for i, window in enumerate(policy.windows) if window.tier == tier]
            for tier in range(EVIDENCE_TIER)
        ]
        # By tier, rows whose change is not in the windows' sums yet, in the version that the sums include.
        self._untallied: list[dict[Place, bytes | None]] = [{} for _ in range(EVIDENCE_TIER)]
        self._decoded: dict[Place, tuple[bytes, Counters]] = {}
        self._ranges: dict[str, list[tuple[int, int]]] = {}

    def holding(self, state: ScopeState, tier: int, pane_ms: int) -> int:
        """Return the windows of a scope that hold a pane."""
        bits = 0
        for bit, i in self._of_tier[tier]:
            total = state.windows[i]
            if total.start_ms <= pane_ms < total.end_ms:
                bits |= bit
        return bits

    def changed(self, place: Place, old: bytes | None) -> None:
        """Note that a row changed; ``old`` is the version that the sums include."""
        self._untallied[place[1]].setdefault(place, old)

    def tally(self, tier: int, scopes: Mapping[str, ScopeState]) -> None:
        """Bring the sums of a tier's windows up to its rows."""
        untallied, self._untallied[tier] = self._untallied[tier], {}
        decoded: dict[Place, tuple[bytes, Counters]] = {}
        # All changes of a scope that lie in the same windows are summed before the windows are touched.
        zones: dict[tuple[str, int], Counters] = {}
        for place, old in untallied.items():
            state = scopes.get(place[0])
            bits = 0 if state is None else self.holding(state, tier, place[2])
            if state is None or not bits or (value := state.row(*place[1:])) == old:
                continue
            now, was = self._counters_of(place, value), self._counters_of(place, old)
            if value is not None and len(decoded) < _DECODED:
                decoded[place] = value, now
            tally(zones.setdefault((place[0], bits), {}), now, was)
        if tier == 0:
            self._decoded = decoded
        for (scope_key, bits), counters in zones.items():
            if scope_key in scopes:
                add_to(scopes[scope_key].windows, bits, counters)

    def _counters_of(self, place: Place, value: bytes | None) -> Counters:
        """Return the counters of a row. They may be cached from the last call: do not change them."""
        held = self._decoded.get(place)
        return held[1] if held is not None and held[0] is value else self._read(value)

    def advance(self, due: int, watermark_ms: int) -> dict[str, int]:
        """Find the present ranges of some windows; return by time zone those that moved."""
        return {zone: self._advance(zone, due, watermark_ms) for zone in self._ranges}

    def _advance(self, zone: str, due: int, watermark_ms: int) -> int:
        ranges, bits = self._ranges[zone], 0
        for i, window in enumerate(self._windows):
            if due >> i & 1:
                found = window_range(window, watermark_ms, zone)
                if found != ranges[i]:
                    ranges[i] = found
                    bits |= 1 << i
        return bits

    def begin(self, state: ScopeState, watermark_ms: int) -> None:
        """Give a new scope its windows, with the sums of the rows there are."""
        if state.zone not in self._ranges:
            self._ranges[state.zone] = [(0, 0)] * len(self._windows)
            self._advance(state.zone, self.all_bits, watermark_ms)
        self.slide(state, self.all_bits)
        state.slid = True

    def slide(self, state: ScopeState, bits: int) -> int:
        """Move windows of a scope to their present ranges; return those to show anew."""
        ranges, shown = self._ranges[state.zone], 0
        sums: tuple[dict[int, Counters], ...] = ({}, {}, {})  # windows of a tier enter and leave the same panes
        starts: dict[int, list[int]] = {}
        for i, window in enumerate(self._windows):
            total = state.windows[i]
            if bits >> i & 1 and (total.start_ms, total.end_ms) != ranges[i]:
                had = bool(total.counters)
                panes = starts.get(window.tier)
                if panes is None:
                    panes = starts[window.tier] = sorted(state.panes[window.tier])
                counters_of = partial(state.pane_counters, window.tier)
                others = [state.windows[n] for _, n in self._of_tier[window.tier] if n != i]
                move(total, ranges[i], panes, counters_of, sums[window.tier], others)
                # Ages of open tasks are shown too, so a queue in which nothing moves must still be published again.
                if had or total.counters or state.open_by_hour:
                    shown |= 1 << i
        return shown
