"""End-to-end latency: from sending a label to reading, on the accuracy table's topic, a row that counts it.

Two rows are watched: the 5-minute window of the label's queue, which is the freshest that people look at, and the hour
pane of the queue, which is published with the longer windows. A run stays under five minutes, so both only grow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench.floor_runs import Floor, floor, started
from bench.stack import PARTITIONS, BenchError, Stack, python
from streams.models import topics

WARM_UP_S = 3.0
"""Labels sent in the first seconds are not judged: the worker's first batches."""

_PATIENCE_S = 20.0


def latency(stack: Stack, rate: int, seconds: int) -> dict[str, Any]:
    """Send at a pace and return p50, p99 and largest latency in ms, of every label after the warm-up.

    Raises:
        BenchError: The pace was not kept, or not every label became visible.
    """
    with floor(stack) as job:
        process = job.start()
        try:
            started(process, "ledger")
            watcher = Watcher(job)
            out = stack.folder / f"{job.prefix}sent.json"
            arguments = [stack.brokers, job.topic(topics.RAW), str(PARTITIONS), str(rate), str(seconds), str(out)]
            pacer = stack.start(f"{job.prefix}pacer", python("bench.pacer", *arguments))
            cpu, began = process.cpu_s(), time.monotonic()
            watcher.watch(lambda: pacer.child.poll() is None)
            busy_ratio = (process.cpu_s() - cpu) / (time.monotonic() - began)
            if pacer.child.returncode:
                raise BenchError(f"the pacer ended with code {pacer.child.returncode}: {pacer.tail()}")
            report = json.loads(out.read_text())
            until_s = time.monotonic() + _PATIENCE_S
            watcher.watch(lambda: not _complete(report, watcher.seen) and time.monotonic() < until_s)
            watcher.close()
            process.check("every label was visible")
        finally:
            stack.end(process)
    return {"rate": rate, "cpu_share": round(busy_ratio, 2), **_judged(report, watcher.seen, rate)}


ROWS = ("5m", "3600")
"""What follows the scope in the key of the rows watched: the window's name, the pane's length."""

Seen = dict[str, list[tuple[float, int]]]
"""By queue: (Unix seconds of arrival, labels counted so far)."""


class Watcher:
    """Reads the accuracy table's topic and notes when the rows of each queue counted how many labels."""

    def __init__(self, job: Floor) -> None:
        """Read from the beginning; the topic is new."""
        settings = {"bootstrap.servers": job.stack.brokers, "group.id": "watch", "enable.auto.commit": False}
        self._consumer = Consumer({**settings, "fetch.wait.max.ms": 10, "log_level": 3})
        topic = job.topic(topics.ACCURACY)
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        self._parts: dict[tuple[str, str], dict[str, int]] = {}
        self.seen: dict[str, Seen] = {row: {} for row in ROWS}

    def watch(self, going_on: Callable[[], bool]) -> None:
        """Read while something goes on."""
        while going_on():
            for message in self._consumer.consume(2000, timeout=0.05):
                key = message.key() or b""
                if message.error() is None and key.startswith(b"queue=") and b"," not in key:
                    self._note(key.decode(), message.value())

    def _note(self, key: str, value: bytes | None) -> None:
        queue, row, *start = key.removeprefix("queue=").split("|")
        if row not in ROWS:
            return
        parts = self._parts.setdefault((queue, row), {})
        parts["".join(start)] = json.loads(value)["labels"] if value else 0
        self.seen[row].setdefault(queue, []).append((time.time(), sum(parts.values())))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def _complete(report: dict[str, Any], seen: dict[str, Seen]) -> bool:
    return all(
        found.get(queue) and found[queue][-1][1] >= len(times)
        for found in seen.values()
        for queue, times in report["sent"].items()
    )


def _judged(report: dict[str, Any], seen: dict[str, Seen], rate: int) -> dict[str, Any]:
    """Return latencies of the window's rows, and of the panes' under ``pane``."""
    if report["unsent"] or report["rate"] < 0.97 * rate:
        raise BenchError(f"the pace was not kept: {report['rate']:.0f}/s of {rate}, {report['unsent']} unsent")
    if not _complete(report, seen):
        raise BenchError("not every label became visible")
    window, pane = (_spread(report["sent"], seen[row]) for row in ROWS)
    return {**window, "pane": pane, "pacer_worst_late_ms": round(report["worst_late_s"] * 1000)}


def _spread(sent: dict[str, list[float]], seen: Seen) -> dict[str, int]:
    """Return the latency of every label: the n-th of a queue is visible with the first row that counts n."""
    first = min(times[0] for times in sent.values())
    found = []
    for queue, times in sent.items():
        moments = iter(seen[queue])
        at, counted = next(moments)
        for number, sent_at in enumerate(times, 1):
            while counted < number:
                at, counted = next(moments)
            if sent_at >= first + WARM_UP_S:
                found.append((at - sent_at) * 1000)
    found.sort()
    return {
        "labels_judged": len(found),
        "p50_ms": round(found[len(found) // 2]),
        "p99_ms": round(found[int(len(found) * 0.99)]),
        "max_ms": round(found[-1]),
    }
