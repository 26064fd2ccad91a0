"""What a crash costs: restarting on a full changelog, and another worker taking over; and what open tasks weigh."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import datetime
from typing import Any

from confluent_kafka import Producer

from bench import log
from bench.floor_runs import Floor, finished, floor, started
from bench.measure import until
from bench.stack import PARTITIONS, BenchError, Process, Stack
from bench.workload import load, open_tasks
from streams.heap import TRIM_EVERY_S
from streams.models import topics

SESSION_TIMEOUT_S = 6.0
"""The default of kafka.session_timeout_s."""

_LIMIT_S = 150.0
_SETTLE_S = 4.0
_LINE = re.compile(r"^(\S+) \S \S+ (\w+)\[(\d+)\] recovered", re.MULTILINE)


def recovery(stack: Stack, labels: int) -> dict[str, Any]:
    """Kill a worker that has folded the workload, start it again and time its recovery."""
    with floor(stack) as job:
        count = log.fill(stack, job.topic(topics.EVENTS), load(labels))
        first = job.start("before")
        try:
            started(first, "ledger")
            finished(job, first, count, from_raw=False)
            os.kill(first.pid, signal.SIGKILL)
        finally:
            stack.end(first)
        offsets = log.Offsets(stack, job.group)
        records = {name: sum(offsets.ends(job.topic(name))) for name in (topics.LEDGER, topics.PARTIALS)}
        offsets.close()
        began = time.time()
        second = job.start("after")
        try:
            times = recovered(second, {"intake", "ledger", "scopes"}, PARTITIONS)
            cpu, peak = second.cpu_s(), second.memory_mb()
        finally:
            stack.end(second)
    assigned = min(times[stage, p] for stage, p in times if stage == "intake")
    ready = max(times.values())
    ledger_s = max(times["ledger", p] for p in range(PARTITIONS)) - assigned
    rows = sum(records.values())
    return {
        "facts": count,
        "records": records,
        "start_to_recovered_s": round(ready - began, 2),
        "assigned_to_recovered_s": round(ready - assigned, 2),
        "ledger_recovered_s": round(ledger_s, 2),
        "records_per_s": round(rows / max(0.001, ready - assigned)),
        "rows_per_s": round((rows + count) / max(0.001, ready - assigned)),
        "cpu_s": round(cpu, 2),
        "peak_mb": round(peak),
    }


def recovered(process: Process, stages: set[str], partitions: int) -> dict[tuple[str, int], float]:
    """Wait until partitions of stages have recovered; return when each first did, in Unix seconds."""

    def times(text: str) -> dict[tuple[str, int], float]:
        found: dict[tuple[str, int], float] = {}
        for stamp, stage, partition in _LINE.findall(text):
            at = datetime.fromisoformat(stamp).timestamp()
            found.setdefault((stage, int(partition)), at)
        return {place: at for place, at in found.items() if place[0] in stages}

    wanted = {(stage, partition) for stage in stages for partition in range(partitions)}
    process.wait_for(lambda text: wanted <= times(text).keys(), _LIMIT_S, "recovered partitions")
    return times(process.text())


def takeover(stack: Stack, tasks: int) -> dict[str, Any]:
    """Fold open tasks on one worker, add a second, kill the first; return memory of the first and the time it took.

    The takeover ends when the second worker has committed an event, sent after the kill, on every partition.
    """
    with floor(stack) as job:
        events = job.topic(topics.EVENTS)
        first = job.start("first")
        try:
            started(first, "ledger")
            time.sleep(_SETTLE_S)
            empty_mb = first.memory_mb("VmRSS")
            count = log.fill(stack, events, open_tasks(tasks))
            finished(job, first, count, from_raw=False)
            time.sleep(TRIM_EVERY_S + _SETTLE_S)  # what is held, without what is merely not given back yet: see peak_mb
            held_mb, peak_mb = first.memory_mb("VmRSS"), first.memory_mb()
            second = job.start("second")
            try:
                return {
                    "open_tasks": count,
                    "empty_mb": round(empty_mb),
                    "held_mb": round(held_mb),
                    "peak_mb": round(peak_mb),
                    "mb_per_million": round((held_mb - empty_mb) / count * 1e6),
                    **_killed(job, first, second, events),
                }
            finally:
                stack.end(second)
        finally:
            stack.end(first)


def _killed(job: Floor, first: Process, second: Process, events: str) -> dict[str, Any]:
    """Kill the first worker once the second holds its share; time until the second does the first's work."""

    def share(text: str) -> set[int]:
        return {int(partition) for _, stage, partition in _LINE.findall(text) if stage == "ledger"}

    second.wait_for(lambda text: bool(share(text)), 120, "a share of the partitions")
    time.sleep(_SETTLE_S)
    held = share(second.text())
    if len(held) >= PARTITIONS:
        raise BenchError("the second worker took every partition while the first was alive")
    offsets = log.Offsets(job.stack, job.group)
    try:
        killed = time.time()
        os.kill(first.pid, signal.SIGKILL)
        goals = _send_one_each(job, events)
        until(
            lambda: all(done >= goal for done, goal in zip(offsets.committed(events), goals, strict=True)),
            second,
            _LIMIT_S,
            "events after the kill committed",
        )
        working = time.time()
    finally:
        offsets.close()
    times = recovered(second, {"ledger", "scopes"}, PARTITIONS)
    return {
        "partitions_taken": PARTITIONS - len(held),
        "takeover_s": round(working - killed, 2),
        "recovered_after_s": round(max(times.values()) - killed, 2),
        "session_timeout_s": SESSION_TIMEOUT_S,
    }


def _send_one_each(job: Floor, events: str) -> list[int]:
    """Send a clock event to every partition of the log; return the offsets that must be committed."""
    from bench.workload import START_MS
    from streams.agents.ticker import tick_event

    producer = Producer({"bootstrap.servers": job.stack.brokers, "acks": "all", "log_level": 3})
    goals: dict[int, int] = {}

    def delivered(_: object, message: Any) -> None:
        goals[message.partition()] = message.offset() + 1

    for partition in range(PARTITIONS):
        record = tick_event(partition, START_MS + 3_600_000, "bench")
        producer.produce(events, record.value, record.key, partition=partition, on_delivery=delivered)
    producer.flush(30)
    return [goals[partition] for partition in range(PARTITIONS)]
