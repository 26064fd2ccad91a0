"""Publish schedule: which part of the tables is published when, and up to which offset each part is published.

A *slice* is what is published together: the rows of one window, or those of the hour panes. The shortest window comes with
every publication; the slower slices have paces of their own, so that no row of a five-minute window waits for those of a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.core.policy import MINUTE_MS

_PARTS = 900
"""A window moves by about this part of itself between two publications: the hour's every four seconds."""

_SLOWER_S = 2.0
"""Least time between two publications of all windows but the shortest, which is what people watch by the second."""

_LONGEST_S = 10.0


@dataclass(slots=True)
class _Slice:
    """One slice.

    Attributes:
        pace_s: Seconds between two publications of it.
        due_s: When the next is due, on the monotonic clock.
        upto: Offset of the input below which everything is in its published rows.
        watermark_ms: The watermark they are as of.
    """

    pace_s: float
    due_s: float = 0.0
    upto: int = 0
    watermark_ms: int = -1

    def behind_minute(self, now_s: float, watermark_ms: int) -> bool:
        """Tell whether it is as of an earlier minute than a watermark, and was not published just before.

        Args:
            now_s: Now, on the monotonic clock.
            watermark_ms: The watermark.
        """
        rested = now_s >= self.due_s - self.pace_s + _SLOWER_S
        return rested and watermark_ms // MINUTE_MS > self.watermark_ms // MINUTE_MS


class PublishSchedule:
    """The slices of one partition's tables, each one bit."""

    def __init__(self, sizes_ms: Sequence[int], interval_s: float) -> None:
        """Hold slices that were never published.

        Args:
            sizes_ms: What a row of each covers in ms, 0 for a calendar window; slice i is bit i.
            interval_s: Least seconds between two publications.
        """
        self._interval_s = interval_s
        shortest_ms = min(filter(None, sizes_ms), default=0)
        self._slices = [_Slice(self._pace_s(size_ms, shortest_ms)) for size_ms in sizes_ms]
        self.all_bits = (1 << len(self._slices)) - 1

    def _pace_s(self, size_ms: int, shortest_ms: int) -> float:
        if size_ms == shortest_ms:
            return self._interval_s
        wanted_s = size_ms / 1000 / _PARTS if size_ms else _LONGEST_S
        return max(self._interval_s, min(_LONGEST_S, max(_SLOWER_S, wanted_s)))

    def prompt(self, now_s: float) -> int:
        """Return the bits of the slices that come with every publication and are due.

        Args:
            now_s: Now, on the monotonic clock.
        """
        return sum(
            1 << i for i, one in enumerate(self._slices) if one.pace_s <= self._interval_s and now_s >= one.due_s
        )

    def late(self, now_s: float, watermark_ms: int) -> int:
        """Return the bits of the slower slices that are due.

        Rules look once a minute, when all rows are as of it: so when a minute begins, all slices are due together. Each by its
        own pace, the last of them would come up to ten seconds later, and what happened in between would wait for the look after.

        Args:
            now_s: Now, on the monotonic clock.
            watermark_ms: The watermark that they would be as of.
        """
        slower = ((i, one) for i, one in enumerate(self._slices) if one.pace_s > self._interval_s)
        return sum(1 << i for i, one in slower if now_s >= one.due_s or one.behind_minute(now_s, watermark_ms))

    def published(self, bits: int, now_s: float, upto: int, watermark_ms: int) -> None:
        """Note what was published.

        Args:
            bits: The slices.
            now_s: When the publication began, on the monotonic clock.
            upto: Offset of the input below which everything was in it.
            watermark_ms: The watermark it is as of.
        """
        for i, one in enumerate(self._slices):
            if bits >> i & 1:
                one.due_s, one.upto, one.watermark_ms = now_s + one.pace_s, upto, watermark_ms

    @property
    def upto(self) -> int:
        """Offset of the input below which everything is in published rows, whatever the slice."""
        return min(one.upto for one in self._slices)

    def watermark_with(self, bits: int, watermark_ms: int) -> int:
        """Return the watermark up to which all rows are out once some slices are published as of another one.

        Args:
            bits: The slices.
            watermark_ms: The watermark they are as of.
        """
        return min(watermark_ms if bits >> i & 1 else one.watermark_ms for i, one in enumerate(self._slices))


class PublishSlot:
    """Lets one partition of a worker at a time publish its slower slices.

    Attributes:
        free_s: From when on somebody may take it, on the monotonic clock.
    """

    def __init__(self) -> None:
        """Be free."""
        self.free_s = 0.0
