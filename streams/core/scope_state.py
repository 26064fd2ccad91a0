"""What the floor keeps of one scope: its encoded panes, its windows, its detectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from streams.core import counters as c
from streams.core.counters import OPEN, Counters, add_counters
from streams.core.detectors.pace import PaceBets, PaceWatch
from streams.core.detectors.watch import Detector, LabelCounts, Watch, source_of
from streams.core.forecast.observe import QueueTally
from streams.core.policy import EVIDENCE_TIER, HOUR_MS, HOUR_TIER, CorePolicy, Window
from streams.core.records import CONTENT_ERRORS, told
from streams.core.rowcodec import decode_row
from streams.core.scopes import parse_scope_key
from streams.core.window_sums import WindowSum
from streams.core.windows import window_range

Slot = tuple[int, bytes, str]
"""(stamp, encoded row, owner) of one source partition: of all its owners' rows the one with the highest stamp."""


_NO_SLOTS: dict[int, Slot] = {}

_KNOWN_UNREADABLE = 1_000
"""Most unreadable rows that are reported. There should be none, and a thousand are enough to find the cause."""

TABLE_OF = {"accuracy": "accuracy", "critical_errors": "accuracy", "sla": "sla", "throughput": "throughput"}
"""Table whose rows show a measure's detectors."""


_DAY = Window("day", 1, starts_min=(0,))


def watch_of(detector: Detector, zone: str) -> Watch | PaceWatch:
    """Return the watch of a detector on a scope of a time zone."""
    if detector.model is None:
        return PaceWatch(
            detector, PaceBets(), c.LABELS, c.SCHEDULED_MS, lambda at_ms: window_range(_DAY, at_ms, zone)[0]
        )
    source = source_of(
        detector.measure,
        evidence_tier=EVIDENCE_TIER,
        labels=LabelCounts(HOUR_TIER, c.LABELS),
        met=c.MET,
        missed=(c.LATE, c.OVERDUE),
        audited=c.AUDITED,
    )
    return Watch(detector, detector.model, source)


class ScopeState:
    """Everything known of one scope.

    Attributes:
        panes: Per tier, per pane start, the slot of each source partition.
        windows: The running sum of each window.
        open_by_hour: Open tasks by the hour of their creation: the backlog.
        slid: Whether the windows have a range, and so a sum that must follow the rows.
        ended: By hour pane, the last row of each source that can no longer change it, while other sources can or the
            pane's last change has not been published.
        touched: Hour panes changed since they were last published.
        moved: Bits of the windows changed since they were last published.
        oldest_known: Whether the oldest open task is known.
        queue: Open work and pace of a queue's own scope, for its forecast; None for every other scope.
        audits_only: Whether nothing but audits is counted here, so that it has a row in the accuracy table alone.
        partial: Whether its rows may lack some of what it should count (``Floor``).
        watches: The detectors of this scope, each with the bits of the windows whose rows show it.
    """

    __slots__ = (
        "_kept_ms",
        "_oldest_ms",
        "_open_of",
        "_read",
        "audits_only",
        "ended",
        "key",
        "moved",
        "oldest_known",
        "open_by_hour",
        "panes",
        "partial",
        "queue",
        "scope",
        "slid",
        "touched",
        "watches",
        "windows",
        "zone",
    )

    def __init__(self, key: str, policy: CorePolicy, read: Callable[[bytes | None], Counters] | None = None) -> None:
        """Start empty; ``read`` decodes the counters of a row."""
        self._read = decode_counters if read is None else read
        self.key = key
        self.scope = parse_scope_key(key)
        self.zone = policy.zones.get(self.scope.get("site", ""), policy.default_zone)
        self.panes: tuple[dict[int, dict[int, Slot]], ...] = ({}, {}, {}, {})
        self.windows = [WindowSum() for _ in policy.windows]
        self.open_by_hour: dict[int, int] = {}
        self.audits_only = tuple(self.scope) in policy.audit_scopes
        self._open_of: dict[tuple[int, int], int] | None = None if "labeler" in self.scope else {}
        self.slid = False
        self.queue = QueueTally() if tuple(self.scope) == ("queue",) else None
        self.ended: dict[int, dict[int, bytes]] = {}
        self.touched: set[int] = set()
        self.moved = 0
        self.partial = False
        self.oldest_known = False
        self._oldest_ms: int | None = None
        self._kept_ms = tuple(tier.kept_ms for tier in policy.all_tiers)
        self.watches = [
            (
                sum(1 << i for i, window in enumerate(policy.windows) if window.name == detector.window),
                watch_of(detector, self.zone),
            )
            for detector in policy.detectors
            if detector.watches(self.scope)
        ]

    def row(self, tier: int, pane_ms: int, source: int) -> bytes | None:
        """Return the encoded row of a source partition; None where there is none."""
        slot = self.panes[tier].get(pane_ms, _NO_SLOTS).get(source)
        return None if slot is None else slot[1]

    def has_rows_of(self, sources: frozenset[int]) -> bool:
        """Whether there is a row, of whichever pane, of each of some source partitions."""
        missing = set(sources)
        for panes in reversed(self.panes):
            for slots in panes.values():
                missing.difference_update(slots)
                if not missing:
                    return True
        return not missing

    def open_change(self, pane_ms: int, source: int, value: bytes | None) -> int:
        """Note an hour's row of a source. Returns by how much the number of open tasks created in that hour has changed.

        An open task has no labeller yet, so a labeller's own rows have none and need not be decoded.
        """
        if self._open_of is None:
            return 0
        is_open = self._read(value).get(OPEN, 0)
        before = self._open_of.pop((pane_ms, source), 0)
        if is_open:
            self._open_of[pane_ms, source] = is_open
        return is_open - before

    def touch(self, tier: int, pane_ms: int, *, labels: bool) -> int:
        """Tell the detectors that a pane has changed, and whether its number of labels has.

        Returns:
            The bits of the windows whose rows show them.
        """
        bits = 0
        for shown, watch in self.watches:
            if watch.touch(tier, pane_ms, labels=labels):
                bits |= shown
        return bits

    def readings(self, window: str, watermark_ms: int) -> dict[str, dict[str, Any]]:
        """Return the readings of the detectors shown in the rows of a window, by table and rule."""
        found: dict[str, dict[str, Any]] = {}
        for _, watch in self.watches:
            if watch.detector.window == window:
                reading = watch.read(self, watermark_ms)
                found.setdefault(TABLE_OF[watch.detector.measure], {})[watch.detector.name] = reading.row()
        return found

    def starts(self, tier: int) -> Collection[int]:
        """Return the starts of a tier's panes."""
        return self.panes[tier].keys()

    def counters(self, tier: int, pane_ms: int) -> Counters:
        """Return the sum over source partitions of one pane; do not change it."""
        return self.pane_counters(tier, pane_ms)

    def kept_ms(self, tier: int) -> int:
        """Return how long after its end a pane of a tier can still change."""
        return self._kept_ms[tier]

    def pane_counters(self, tier: int, pane_ms: int) -> Counters:
        """Return the sum over source partitions of one pane; do not change it."""
        slots = self.panes[tier].get(pane_ms)
        if not slots:
            return {}
        total: Counters = {}
        for _, value, _ in slots.values():
            if total:
                add_counters(total, self._read(value))
            else:
                total = self._read(value)
        return total

    def shows(self, hour_ms: int) -> bool:
        """Tell whether there is anything to show of an hour."""
        return hour_ms in self.panes[HOUR_TIER] or hour_ms in self.ended

    def hours(self) -> set[int]:
        """Return the starts of all hour panes to show: those held, and ended ones whose last change has not been shown."""
        return self.panes[HOUR_TIER].keys() | (self.touched & self.ended.keys())

    def shown_counters(self, hour_ms: int) -> Counters:
        """Return the counters of an hour pane as it is shown, rows that have ended included."""
        total = self.pane_counters(HOUR_TIER, hour_ms)
        for value in self.ended.get(hour_ms, {}).values():
            total = {**total}
            add_counters(total, self._read(value))
        return total

    def forget_ended(self, kept_from_ms: int) -> bool:
        """Drop ended hours that have been published and that no source can change any more. Returns whether there were any.

        Args:
            kept_from_ms: The least watermark of all sources.
        """
        until_ms = kept_from_ms - HOUR_MS - self._kept_ms[HOUR_TIER]
        held = self.touched | self.panes[HOUR_TIER].keys()
        over = [hour_ms for hour_ms in self.ended if hour_ms <= until_ms and hour_ms not in held]
        for hour_ms in over:
            del self.ended[hour_ms]
        return bool(over)

    def open_as_of_ms(self, behind: Mapping[int, int]) -> int | None:
        """Return as of when open tasks of this scope are known to be overdue; None where all are as of the floor's watermark.

        Args:
            behind: Watermarks of the partitions that are older than the floor's, in ms (``Sources.behind``).
        """
        if not behind or not self._open_of:
            return None
        return min((behind[source] for _, source in self._open_of if source in behind), default=None)

    def oldest_open_ms(self) -> int | None:
        """Return when the oldest open task was created, to the finest pane still kept; None without a backlog."""
        if not self.oldest_known:
            self._oldest_ms, self.oldest_known = self._find_oldest_ms(), True
        return self._oldest_ms

    def _find_oldest_ms(self) -> int | None:
        hour_ms = min(self.open_by_hour, default=None)
        if hour_ms is None:
            return None
        for tier in (0, 1):
            for pane_ms in sorted(p for p in self.panes[tier] if hour_ms <= p < hour_ms + HOUR_MS):
                if self.pane_counters(tier, pane_ms).get(OPEN):
                    return pane_ms
        return hour_ms


class CounterReader:
    """Decodes the counters of rows. A row that cannot be read is not counted anywhere.

    Attributes:
        refused: Rows that could not be read since the caller last took them, each with the reason.
    """

    def __init__(self) -> None:
        """Start with none refused."""
        self.refused: dict[bytes, str] = {}
        self._known: set[bytes] = set()

    def __call__(self, value: bytes | None) -> Counters:
        """Return the counters of an encoded row; none of None."""
        try:
            return decode_counters(value)
        except CONTENT_ERRORS as error:
            if value is not None and value not in self._known and len(self._known) < _KNOWN_UNREADABLE:
                self._known.add(value)
                self.refused[value] = told(error)
            return {}


class Alike:
    """Windows of one scope that count the same: most numbers of their rows are worked out once.

    Attributes:
        left: How many of them are still to be rendered.
        rendered: What the first has left for the others; None before it and after the last.
    """

    __slots__ = ("left", "rendered")

    def __init__(self) -> None:
        """Start with no window and nothing rendered."""
        self.left = 0
        self.rendered: Any = None


class WindowRow(NamedTuple):
    """One window of one scope, ready to be shown.

    Attributes:
        state: The scope.
        window: Name of the window.
        start_ms: Its start.
        end_ms: Its end.
        counters: What it counts.
        alike: Shared by the windows of the scope that count the same, often one alone; None: the row is rendered by itself.
    """

    state: ScopeState
    window: str
    start_ms: int
    end_ms: int
    counters: Counters
    alike: Alike | None = None


class PaneRow(NamedTuple):
    """One hour pane of one scope, ready to be shown."""

    state: ScopeState
    start_ms: int

    @property
    def counters(self) -> Counters:
        """The sum over source partitions, computed on each access."""
        return self.state.shown_counters(self.start_ms)


def decode_counters(value: bytes | None) -> Counters:
    """Return the counters of an encoded row; none of None."""
    if value is None:
        return {}
    return decode_row(value)[1]
