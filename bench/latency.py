"""End-to-end latency: from sending a label to reading, on the table's topic, a row that counts it."""

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


Seen = dict[str, list[tuple[float, int]]]
"""By queue: (Unix seconds of arrival, labels counted so far)."""


class Watcher:
    """Reads the accuracy table's topic and notes when the hour panes of each queue counted how many labels."""

    def __init__(self, job: Floor) -> None:
        """Read from the beginning; the topic is new."""
        settings = {"bootstrap.servers": job.stack.brokers, "group.id": "watch", "enable.auto.commit": False}
        self._consumer = Consumer({**settings, "fetch.wait.max.ms": 10, "log_level": 3})
        topic = job.topic(topics.ACCURACY)
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        self._panes: dict[str, dict[str, int]] = {}
        self.seen: Seen = {}

    def watch(self, going_on: Callable[[], bool]) -> None:
        """Read while something goes on."""
        while going_on():
            for message in self._consumer.consume(2000, timeout=0.05):
                key = message.key() or b""
                if message.error() is None and key.startswith(b"queue=") and b"|3600|" in key and b"," not in key:
                    self._note(key.decode(), message.value())

    def _note(self, key: str, value: bytes | None) -> None:
        queue, _, start = key.removeprefix("queue=").partition("|3600|")
        panes = self._panes.setdefault(queue, {})
        panes[start] = json.loads(value)["labels"] if value else 0
        self.seen.setdefault(queue, []).append((time.time(), sum(panes.values())))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def _complete(report: dict[str, Any], seen: Seen) -> bool:
    return all(seen.get(queue) and seen[queue][-1][1] >= len(times) for queue, times in report["sent"].items())


def _judged(report: dict[str, Any], seen: Seen, rate: int) -> dict[str, Any]:
    """Return the latency of every label: the n-th label of a queue is visible with the first row that counts n."""
    if report["unsent"] or report["rate"] < 0.97 * rate:
        raise BenchError(f"the pace was not kept: {report['rate']:.0f}/s of {rate}, {report['unsent']} unsent")
    if not _complete(report, seen):
        raise BenchError("not every label became visible")
    first = min(times[0] for times in report["sent"].values())
    found = []
    for queue, times in report["sent"].items():
        moments = iter(seen[queue])
        at, counted = next(moments)
        for number, sent in enumerate(times, 1):
            while counted < number:
                at, counted = next(moments)
            if sent >= first + WARM_UP_S:
                found.append((at - sent) * 1000)
    found.sort()
    return {
        "labels_judged": len(found),
        "p50_ms": round(found[len(found) // 2]),
        "p99_ms": round(found[int(len(found) * 0.99)]),
        "max_ms": round(found[-1]),
        "pacer_worst_late_ms": round(report["worst_late_s"] * 1000),
    }
