"""What many labels of the common kind add to the rows of one kind of scope, summed in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streams.core import counters as c
from streams.core.sums import Ints, Sums, count_by_key, sum_by_key

FAST_PATH_COUNTERS = (c.LABELS, c.COMPLETED, c.NO_SLA)
"""Counters in which each label counts as one."""

_LABELS, _HANDLED, _OTHERS = 0, 1, 2
"""Inner numbers of a place: labels, those with a handle time, then histogram buckets, then labellers."""


class Columns:
    """The labels of one drain, one entry each.

    Attributes:
        handle_ms: Handle time; negative where there is none.
        active_ms: Time that tools measured themselves; negative where they did not.
        bucket: Histogram counter of the handle time, counted from the least of them.
        labeler: Number of the labeller, counted from the least of them.
        counters: Counter by inner number.
        buckets: How many inner numbers are buckets.
        timed: Whether every label has a handle time.
    """

    def __init__(self, handle_ms: Ints, active_ms: Ints, labeler: Ints, labeler_counters: list[c.Counter]) -> None:
        """Number what is counted.

        Args:
            handle_ms: Handle time; negative where there is none.
            active_ms: Active time; negative where there is none.
            labeler: Place of the labeller's counter in ``labeler_counters``.
            labeler_counters: Counters that count labellers.
        """
        bucket = np.searchsorted(_bucket_ends(), handle_ms, side="left")
        base, nobody = int(bucket.min()), int(labeler.min())
        self.handle_ms, self.active_ms = handle_ms, active_ms
        self.bucket, self.labeler = bucket - base, labeler - nobody
        self.buckets = int(self.bucket.max()) + 1
        first = c.HANDLE_HISTOGRAM + base
        self.counters: list[c.Counter] = [c.LABELS, c.HANDLED, *range(first, first + self.buckets)]
        self.counters += labeler_counters[nobody : nobody + int(self.labeler.max()) + 1]
        self.timed = bool((handle_ms >= 0).all())


class LabelSums:
    """Sums by place; a place is a scope's number and a pane.

    Attributes:
        places: Bound above all places.
        counts: By place * ``span`` + inner number.
    """

    def __init__(self, places: int, span: int, counts: Sums, times: tuple[Sums, ...]) -> None:
        """Hold sums; ``times`` are those by place: handle times, and active times with their number if there are any."""
        self.places = places
        self._span = span
        self.counts = counts
        self._times = times

    def coarser(self, pane_of: Ints, width: int, panes: int) -> LabelSums:
        """Return the sums of coarser panes.

        Args:
            pane_of: The coarser pane of every pane.
            width: Places a pane.
            panes: How many coarser panes there are.
        """

        def lifted(place: Ints) -> Ints:  # only of places that occur; all possible ones would not fit into memory
            pane, code = np.divmod(place, width)
            return pane_of[pane] * width + code

        span, places = self._span, panes * width
        place, inner = np.divmod(self.counts.keys, span)
        counts = sum_by_key(lifted(place) * span + inner, self.counts.amounts, places * span)
        times = tuple(sum_by_key(lifted(time.keys), time.amounts, places) for time in self._times)
        return LabelSums(places, span, counts, times)

    def rows(self, counters: list[c.Counter]) -> Iterator[tuple[int, list[c.Counter], list[int]]]:
        """Yield (place, counters, amounts), places ascending.

        Args:
            counters: Counter by inner number.
        """
        counter_of = counters.__getitem__
        handle_ms, *active = [time.by_key() for time in self._times]
        for place, inner, counts in self.counts.by_place(self._span):
            found = [*map(counter_of, inner), c.COMPLETED, c.NO_SLA]
            amounts = [*counts, counts[0], counts[0]]  # no place without a label, and that number comes first
            total_ms = handle_ms.get(place)
            if total_ms:
                found.append(c.HANDLE_MS)
                amounts.append(total_ms)
            for counter, times in zip((c.ACTIVE_TIMED, c.ACTIVE_MS), active, strict=False):
                if times.get(place):
                    found.append(counter)
                    amounts.append(times[place])
            yield place, found, amounts


def label_sums(columns: Columns, kept: Ints, place: Ints, places: int, *, by_name: bool) -> LabelSums:
    """Sum labels by place.

    Args:
        columns: All labels.
        kept: Which of them count.
        place: Place of each one kept.
        places: Bound above all places.
        by_name: Count them per labeller too.
    """
    span = _OTHERS + columns.buckets
    handle_ms, active_ms, bucket, timed = columns.handle_ms[kept], columns.active_ms[kept], columns.bucket[kept], place
    if not columns.timed:
        has = handle_ms >= 0
        handle_ms, bucket, timed = handle_ms[has], bucket[has], place[has]
    if by_name:
        span = len(columns.counters)
        names = place * span + (columns.labeler[kept] + _OTHERS + columns.buckets)
    at = timed * span
    keys = [place * span + _LABELS, at + _HANDLED, at + (bucket + _OTHERS)]
    if by_name:
        keys.append(names)
    counts = count_by_key(np.concatenate(keys), places * span)
    times = [sum_by_key(timed, handle_ms, places)]
    active = active_ms >= 0
    if active.any():
        times += [count_by_key(place[active], places), sum_by_key(place[active], active_ms[active], places)]
    return LabelSums(places, span, counts, tuple(times))


_ENDS: list[Ints] = []


def _bucket_ends() -> Ints:
    """Return the greatest duration of each histogram bucket, found with ``counters.bucket`` itself so that both agree."""
    if not _ENDS:
        ends = [0]
        value = 0
        while len(ends) < c.HISTOGRAM_SPAN - 1 and value < 1 << 52:
            value = max(value + 1, int(c.bucket_value_ms(len(ends)) * (c.GAMMA + 1.0) / 2.0))
            while c.bucket(value) > len(ends):
                value -= 1
            while c.bucket(value + 1) <= len(ends):
                value += 1
            ends.append(value)
        _ENDS.append(np.array(ends, dtype=np.int64))
    return _ENDS[0]
