"""Pace: decides when the publications of a partition begin.

They may use a share of the worker's CPU, and wait for sources to flush.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from streams.agents.publish_schedule import PublishSlot
from streams.core.floor import Floor
from streams.core.sources import SourcePartition

_DUTY = 3
"""Rows of the shortest window take at most one part in this many of a worker's CPU time to work out; writing comes on top."""

_REST_DUTY = 6
"""The same for the slower slices of all partitions together."""

_CATCH_UP_DUTY = 10
_CATCH_UP_PACE = 3.0
"""If event time runs this much faster than the clock, the worker is catching up, and nobody watches it by the
second."""

_COSTS = 8
"""Publications whose mean cost sets the pause."""

_GATHER_S = 0.5
"""Longest wait for sources that have not flushed since the last publication when others have."""

_LONGEST_PAUSE_S = 5.0
_CATCH_UP_PAUSE_S = 10.0

_BACKLOG_PAUSE_S = 30.0
"""Time between two publications while this worker has a backlog. Otherwise they would take more than a third of its CPU
for rows that are already old. With fewer of them the backlog ends sooner."""

_PACE_OVER_S = 8.0
_SURE_PACE = 30.0
_SURE_AFTER_S = 1.0
"""A pace that a live floor cannot reach is believed after a shorter time."""


class PublishPace:
    """Decides when the next publication of a partition begins, from what the last ones cost and who has flushed since.

    Attributes:
        rest_due: Whether the slower slices are to come after the publication that has begun.
    """

    def __init__(
        self,
        interval_s: float,
        siblings: Callable[[], int],
        backlog: Callable[[], bool],
        publish_slot: PublishSlot,
        *,
        now_s: float,
    ) -> None:
        """Let the first publication begin at once.

        Args:
            interval_s: Least time between two publications.
            siblings: How many partitions share this worker's time for publishing.
            backlog: Tells whether this worker is far behind with its events.
            publish_slot: What those partitions share to publish their slower slices one after the other.
            now_s: Now, on the monotonic clock.
        """
        self._interval_s, self._siblings, self._backlog, self._publish_slot = (
            interval_s,
            siblings,
            backlog,
            publish_slot,
        )
        self.rest_due = False
        self._hurried = False
        self._began_s, self._next_s, self._next_rest_s = now_s, 0.0, 0.0
        self._since_s: float | None = None
        self._costs_s: deque[float] = deque(maxlen=_COSTS)
        self._marks: list[tuple[float, int]] = []
        self._published: dict[int, SourcePartition] = {}
        self._expected: set[int] = set()

    def input_came(self, now_s: float) -> None:
        """Note input: sources that have not flushed are waited for from the first on."""
        if self._since_s is None:
            self._since_s = now_s

    def begins(self, now_s: float, floor: Floor, *, at_once: bool, quiet: bool, done: bool) -> bool:
        """Tell whether a publication of the short windows begins now; one that does is noted.

        Args:
            now_s: Now, on the monotonic clock.
            floor: What is published.
            at_once: Whether it must not wait: readers lack rows.
            quiet: Whether input has stopped, so that all that is left is shown.
            done: Whether everything has been published.
        """
        early = now_s < self._next_s and not quiet
        if not at_once and (early or done or not self._round_over(now_s, floor.watermarks)):
            return False
        backlog = self._backlog()
        if backlog and not at_once and now_s < self._began_s + _BACKLOG_PAUSE_S:
            return False
        self._hurried, self._began_s = self._catching_up(now_s, floor.watermark_ms) or backlog, now_s
        self._expected, self._published, self._since_s = self._heard(floor.watermarks), dict(floor.watermarks), None
        self.rest_due = not (at_once or self._hurried or quiet)
        return True

    def rest_begins(self, now_s: float) -> bool:
        """Tell whether a publication of the slower slices begins now; one that does is noted.

        They come with the call after that of the short windows, when the other partitions of the worker have had theirs, and of
        one partition at a time: so that no short window waits for the long windows of all partitions.
        """
        if not self.rest_due or now_s < max(self._next_rest_s, self._publish_slot.free_s):
            return False
        self.rest_due = False
        return True

    def ended(self, now_s: float, cpu_s: float, *, rest: bool) -> None:
        """Set when the next publication may begin.

        Args:
            now_s: When the one that has ended began, on the monotonic clock.
            cpu_s: CPU seconds it took.
            rest: Whether it was one of the slower slices.
        """
        if rest:
            # All partitions share the slot. One that has used it lets the others go first.
            self._publish_slot.free_s = now_s + min(_LONGEST_PAUSE_S, _REST_DUTY * cpu_s)
            self._next_rest_s = now_s + min(_LONGEST_PAUSE_S, _REST_DUTY * cpu_s * self._siblings())
            return
        self._costs_s.append(cpu_s)
        duty, longest_s = (_CATCH_UP_DUTY, _CATCH_UP_PAUSE_S) if self._hurried else (_DUTY, _LONGEST_PAUSE_S)
        pause_s = duty * self._siblings() * sum(self._costs_s) / len(self._costs_s)
        self._next_s = now_s + min(longest_s, max(self._interval_s, pause_s))

    def _heard(self, watermarks: Mapping[int, SourcePartition]) -> set[int]:
        """Return the sources that have flushed since the last publication."""
        return {source for source, held in watermarks.items() if self._published.get(source) != held}

    def _round_over(self, now_s: float, watermarks: Mapping[int, SourcePartition]) -> bool:
        """Tell whether every source that flushed before the last publication has flushed again.

        A publication right after the last flush is as fresh as possible. A publication between two flushes would write
        half of the rows twice for little news. A source that falls silent is waited for once, for a short time.
        """
        since_s = max(self._next_s, self._since_s or 0.0)
        return self._expected <= self._heard(watermarks) or now_s >= since_s + _GATHER_S

    def _catching_up(self, now_s: float, watermark_ms: int) -> bool:
        """Tell whether event time goes by much faster than the clock.

        Measured over some seconds, because a live floor's watermark also moves in steps, one per flush of the ledger.
        """
        marks = self._marks
        if watermark_ms < 0:
            return False
        marks.append((now_s, watermark_ms))
        while marks[1:] and marks[1][0] <= now_s - _PACE_OVER_S:
            marks.pop(0)
        since_s = now_s - marks[0][0]
        gained_s = (watermark_ms - marks[0][1]) / 1000
        if since_s < _PACE_OVER_S / 2:
            return since_s >= _SURE_AFTER_S and gained_s > _SURE_PACE * since_s
        return gained_s > _CATCH_UP_PACE * since_s
