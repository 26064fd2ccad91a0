"""From simulated facts to events on the way: ids, JSON, delays, duplicates, and one heap ordered by arrival."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

import msgspec

from floorwatch.simulate.config import FloorConfig
from streams.core.time_text import moment

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
_MAX_LATE_MS = 600_000
_MAX_VERY_LATE_MS = 6 * 3_600_000
_MAX_DUPLICATE_LAG_MS = 300_000


class Sent(NamedTuple):
    """One event as it arrives: when (milliseconds since 1970), for which task (the key), and its JSON."""

    arrival_ms: int
    task_id: str
    value: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The event as an object."""
        return _decode(self.value)  # type: ignore[no-any-return]


@lru_cache(maxsize=65_536)
def _second(second: int) -> str:
    return moment(second * 1000).isoformat()[:19]


def rfc3339(time_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    second, millisecond = divmod(time_ms, 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


class Wire:
    """Takes facts in any order of time and gives events in order of arrival, never before their time.

    Memory is bounded by what is under way: mostly audits of the coming days.
    """

    def __init__(self, config: FloorConfig, rng: Random, prefix: str) -> None:
        self._end_ms = config.start_ms + round(config.duration_s * 1000)
        self._trouble = config.trouble
        self._conflict = config.trouble.conflict if config.faults else 0.0
        self._random = rng.random
        self._prefix = prefix
        self._serial = 0
        self._heap: list[tuple[int, int, Sent]] = []

    def send(
        self, source: str, kind: str, task_id: str, time_ms: int, data: dict[str, Any], arrival_ms: int | None = None
    ) -> int:
        """Send a fact of event type ``floorwatch.<kind>.v1``.

        Args:
            arrival_ms: when it arrives; without it, after a usual delay (now and then minutes or hours).

        Returns:
            The arrival in milliseconds, also when it lies after the end of the simulation and nobody will see it.
        """
        arrival = time_ms + self._delay_ms() if arrival_ms is None else arrival_ms
        self._serial += 1
        if arrival >= self._end_ms:
            return arrival
        event = {
            "specversion": "1.0",
            "id": f"{self._prefix}-{self._serial}",
            "source": source,
            "type": f"floorwatch.{kind}.v1",
            "subject": task_id,
            "time": rfc3339(time_ms),
            "datacontenttype": "application/json",
            "data": data,
        }
        sent = Sent(arrival, task_id, _encode(event))
        heappush(self._heap, (arrival, self._serial, sent))
        if self._random() < self._trouble.duplicate:
            self._again(sent, sent.value)
        if self._conflict and self._random() < self._conflict:
            self._again(sent, _encode({**event, "time": rfc3339(time_ms - 1000)}))
        return arrival

    def until(self, time_ms: int) -> Iterator[Sent]:
        """Everything that arrives up to ``time_ms``, in order."""
        heap = self._heap
        while heap and heap[0][0] <= time_ms:
            yield heappop(heap)[2]

    def pending(self) -> int:
        """How many events are under way."""
        return len(self._heap)

    def next_arrival_ms(self) -> int:
        """When the next event arrives; after the end if none is under way."""
        return self._heap[0][0] if self._heap else self._end_ms

    def _again(self, sent: Sent, value: bytes) -> None:
        arrival = sent.arrival_ms + int(self._random() ** 3 * _MAX_DUPLICATE_LAG_MS)
        self._serial += 1
        if arrival < self._end_ms:
            heappush(self._heap, (arrival, self._serial, Sent(arrival, sent.task_id, value)))

    def _delay_ms(self) -> int:
        roll = self._random()
        if roll < self._trouble.very_late_arrival:
            return int(self._random() * _MAX_VERY_LATE_MS)
        if roll < self._trouble.very_late_arrival + self._trouble.late_arrival:
            return 1000 + int(self._random() ** 2 * _MAX_LATE_MS)
        return 40 + int(roll * 600)
