"""What the numbers must be: the plain loop over workload W, in one dictionary, without a broker or a table."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

Sum = list[int]
"""[labels, audited, wrong, handle ms]"""

NAMES = ("labels", "audited", "wrong", "handle ms")
MINUTE_MS = 60_000


class _Data(msgspec.Struct):
    label_id: str
    queue: str = ""
    vendor: str = ""
    labeler_id: str = ""
    verdict: str = ""
    started_at: datetime | None = None


class _Event(msgspec.Struct):
    type: str
    time: datetime
    data: _Data


_decode = msgspec.json.Decoder(_Event).decode


@dataclass
class Truth:
    """Sums of a workload.

    Attributes:
        events: How many events went in.
        minutes: By (dimension, value, minute).
        loop_s: Wall seconds the loop took: what a script without durability costs.
        cpu_s: CPU seconds of the same.
    """

    events: int = 0
    minutes: dict[tuple[str, str, int], Sum] = field(default_factory=dict)
    loop_s: float = 0.0
    cpu_s: float = 0.0

    def by(self, unit_ms: int) -> dict[tuple[str, str, int], Sum]:
        """Return the sums by (dimension, value, start in ms) of longer panes."""
        found: dict[tuple[str, str, int], Sum] = defaultdict(lambda: [0, 0, 0, 0])
        for (dimension, value, minute), amounts in self.minutes.items():
            at_ms = minute * MINUTE_MS
            total = found[dimension, value, at_ms - at_ms % unit_ms]
            for number, amount in enumerate(amounts):
                total[number] += amount
        return dict(found)


def truth_of(events: Iterable[tuple[bytes, bytes]], dimensions: tuple[str, ...] = ("queue", "vendor")) -> Truth:
    """Fold a workload with the plain loop.

    Args:
        events: (task id, JSON) in order.
        dimensions: Of ``queue``, ``vendor``, ``labeler_id`` and ``all``.
    """
    sums: dict[tuple[str, str, int], Sum] = {}
    labels: dict[str, list[Sum]] = {}
    count = 0
    began, cpu = time.monotonic(), time.process_time()
    for _, value in events:
        event = _decode(value)
        data = event.data
        count += 1
        if event.type == "floorwatch.label.submitted.v1":
            at_s = event.time.timestamp()
            minute = int(at_s // 60)
            handle_ms = round((at_s - data.started_at.timestamp()) * 1000) if data.started_at else 0
            mine = labels[data.label_id] = []
            for dimension in dimensions:
                key = (dimension, "" if dimension == "all" else getattr(data, dimension), minute)
                total = sums.get(key)
                if total is None:
                    total = sums[key] = [0, 0, 0, 0]
                total[0] += 1
                total[3] += handle_ms
                mine.append(total)
        elif event.type == "floorwatch.audit.completed.v1":
            for total in labels.get(data.label_id, ()):
                total[1] += 1
                total[2] += data.verdict == "incorrect"
    return Truth(count, sums, time.monotonic() - began, time.process_time() - cpu)


def differences(found: Mapping[tuple[str, str, int], Sum], right: Mapping[tuple[str, str, int], Sum]) -> list[str]:
    """Return a line for each row that is not what it must be; an empty list says that all are right."""
    lines = []
    for key in sorted(found.keys() | right.keys()):
        ours, must = list(found.get(key, (0, 0, 0, 0))), list(right.get(key, (0, 0, 0, 0)))
        if ours != must:
            said = ", ".join(f"{name} {a} not {b}" for name, a, b in zip(NAMES, ours, must, strict=True) if a != b)
            lines.append(f"{'='.join(key[:2])} at {key[2]}: {said}")
    return lines
