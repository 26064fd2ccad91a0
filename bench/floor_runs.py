"""Measured runs of Floorwatch's worker; tables are compared with the truth after each."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

from bench import log
from bench.measure import Run, until
from bench.stack import PARTITIONS, BenchError, Process, Stack, python
from bench.truth import Sum, differences, truth_of
from bench.workload import load
from streams.models import topics

_LIMIT_S = 150.0
_SETTLE_S = 40.0
HOUR_MS = 3_600_000
REDUCED_SCOPES = "[[vendor], [queue]]"
CHECKED = ("all", "queue", "vendor", "labeler_id")
"""Dimensions compared with the truth, where the job keeps them."""

_RECOVERED = re.compile(r"(\w+)\[(\d+)\] recovered")
_names: Iterator[int] = iter(range(1, 1_000_000))


@dataclass
class Floor:
    """Topics, group and configuration of one run.

    Attributes:
        prefix: Of every topic and, with its dot, of nothing else.
        group: Consumer group.
        config: YAML file of the worker.
    """

    stack: Stack
    prefix: str
    group: str
    config: Path

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        return self.prefix + name

    def environment(self) -> dict[str, str]:
        """Return the environment of a worker."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
        return env | {"FLOORWATCH_CONFIG": str(self.config)}

    def start(self, name: str = "worker", module: str = "floorwatch.cli.worker") -> Process:
        """Start a worker; ``Stack.end`` ends it."""
        return self.stack.start(f"{self.prefix}{name}", python(module), self.environment())


@contextmanager
def floor(stack: Stack, *, reduced: bool = False) -> Iterator[Floor]:
    """Make topics and a configuration of their own; the topics are gone afterwards.

    Args:
        stack: Where.
        reduced: Two scopes instead of all that stand by default.
    """
    number = next(_names)
    prefix = f"fw{number}."
    config = stack.folder / f"fw{number}.yaml"
    scopes = f"tables:\n  scopes: {REDUCED_SCOPES}\n  audit_scopes: []\n" if reduced else ""
    config.write_text(
        f"kafka:\n  brokers: ['{stack.brokers}']\n  topic_prefix: {prefix}\n  group: fw{number}\n"
        f"  partitions: {PARTITIONS}\n"
        f"redis:\n  url: '{stack.redis_url}'\n  prefix: 'fw{number}:'\n{scopes}"
    )
    log.create(stack, topics.topic_specs(prefix, PARTITIONS))
    try:
        yield Floor(stack, prefix, f"fw{number}", config)
    finally:
        log.drop(stack, prefix)


def started(process: Process, stage: str) -> tuple[float, float]:
    """Wait until every partition of a stage has recovered; return the monotonic time of the first, and the CPU then."""

    def partitions(text: str) -> set[str]:
        return {found[1] for found in _RECOVERED.findall(text) if found[0] == stage}

    began = process.wait_for(lambda text: bool(partitions(text)), 120, f"a recovered {stage} partition")
    cpu = process.cpu_s()
    process.wait_for(lambda text: len(partitions(text)) >= PARTITIONS, 120, f"all {stage} partitions")
    return began, cpu


def whole(stack: Stack, labels: int, *, labelers: int = 500, reduced: bool = False, from_raw: bool = True) -> Run:
    """Run a worker over a workload until every table shows all of it.

    ``seconds`` ends as the peers' does, when all offsets are committed because all state is durable; ``shown_after_s``
    is when the last table row was published too. CPU and memory are of the whole time.

    Args:
        stack: Where.
        labels: Labels of the workload.
        labelers: People in it.
        reduced: Two scopes, the job of the peers.
        from_raw: With intake; otherwise the events stand on the log already.
    """
    with floor(stack, reduced=reduced) as job:
        source = topics.RAW if from_raw else topics.EVENTS
        count = log.fill(stack, job.topic(source), load(labels, labelers=labelers))
        process = job.start()
        try:
            began, cpu = started(process, "ledger")
            durable_s, ended_s = finished(job, process, count, from_raw=from_raw)
            cpu, peak = process.cpu_s() - cpu, process.memory_mb()
            wrong, rows, waited_s = compared(job, labels, labelers, reduced=reduced)
        finally:
            stack.end(process)
    jobs = ("reduced job" if reduced else "whole job") + (" with intake" if from_raw else "")
    people = f", {labelers} labellers" if labelers != 500 else ""
    more = {"shown_after_s": round(ended_s - began, 2)} | ({"wrong": wrong[:5]} if wrong else {})
    if waited_s > 1:
        more["rows_right_later_s"] = round(waited_s, 1)  # committed, yet not published
    return Run(f"Floorwatch, {jobs}{people}", count, durable_s - began, cpu, peak, len(wrong), rows, more)


def finished(job: Floor, process: Process, count: int, *, from_raw: bool) -> tuple[float, float]:
    """Wait until all events are folded and their rows durable, then until every table shows them; return both times."""
    offsets = log.Offsets(job.stack, job.group)
    try:
        stages = [topics.RAW] * from_raw + [topics.EVENTS]
        for source in stages:
            topic = job.topic(source)
            reached = partial(_reached, offsets, topic, count)
            durable_s = until(reached, process, _LIMIT_S, f"{topic} committed")
        partials = job.topic(topics.PARTIALS)
        ends = offsets.ends(partials)
        ended_s = until(
            lambda: all(done >= end for done, end in zip(offsets.committed(partials), ends, strict=True)),
            process,
            _LIMIT_S,
            f"tables published ({durable_s - process.started_s:.1f} s after its start all state was durable)",
        )
    finally:
        offsets.close()
    return durable_s, ended_s


def _reached(offsets: log.Offsets, topic: str, count: int) -> bool:
    """Tell whether a group has committed so many records of a topic."""
    return sum(offsets.committed(topic)) >= count


def intake_alone(stack: Stack, labels: int) -> Run:
    """Run intake alone until every event stands on the log; their bytes are compared with what was sent."""
    with floor(stack) as job:
        raw, events = job.topic(topics.RAW), job.topic(topics.EVENTS)
        count = log.fill(stack, raw, load(labels))
        process = job.start("intake", "bench.intake_worker")
        try:
            began, cpu = started(process, "intake")
            offsets = log.Offsets(stack, job.group)
            ended_s = until(lambda: sum(offsets.committed(raw)) >= count, process, _LIMIT_S, "intake committed")
            offsets.close()
            cpu, peak = process.cpu_s() - cpu, process.memory_mb()
        finally:
            stack.end(process)
        sent, written = (sum(crc32(value or b"") for _, value in log.read(stack, topic)) for topic in (raw, events))
    return Run("Floorwatch, intake alone", count, ended_s - began, cpu, peak, int(sent != written), count)


def compared(job: Floor, labels: int, labelers: int, *, reduced: bool) -> tuple[list[str], int, float]:
    """Compare the hour panes on the table topics with the truth, for a while if they differ.

    Returns:
        The differences, how many rows were compared, and after how many seconds they were right.
    """
    dimensions = ("queue", "vendor") if reduced else CHECKED
    right = truth_of(load(labels, labelers=labelers), dimensions).by(HOUR_MS)
    began = time.monotonic()
    while True:
        asked_s = time.monotonic() - began
        wrong = differences(table_rows(job, dimensions), right)
        if not wrong or asked_s > _SETTLE_S:
            return wrong, len(right), asked_s
        time.sleep(1)


def table_rows(job: Floor, dimensions: tuple[str, ...]) -> dict[tuple[str, str, int], Sum]:
    """Read labels, audited, wrong and handle time of every hour pane of one-dimensional scopes."""
    rows: dict[tuple[str, str, int], Sum] = {}
    for table in ("accuracy", "throughput"):
        newest: dict[bytes, bytes | None] = dict(log.read(job.stack, job.topic(topics.TABLE_TOPICS[table])))
        for key, value in newest.items():
            place = _place(key.decode(), dimensions)
            if place is None or value is None:
                continue
            row = json.loads(value)
            total = rows.setdefault(place, [0, 0, 0, 0])
            if table == "accuracy":
                total[:3] = row["labels"], row["audited"], row["audited"] - row["correct"]
            elif row["labels"] == total[0] or not total[0]:
                total[3] = row["handle_ms_sum"]
            else:
                raise BenchError(f"{key!r}: accuracy has {total[0]} labels, throughput {row['labels']}")
    return rows


def _place(key: str, dimensions: tuple[str, ...]) -> tuple[str, str, int] | None:
    """Return (dimension, value, hour start in ms) of a pane's key; None for windows and other scopes."""
    scope, _, rest = key.partition("|")
    pane_s, _, start_ms = rest.partition("|")
    if pane_s != "3600" or "," in scope:
        return None
    name, _, value = scope.partition("=")
    dimension = "labeler_id" if name == "labeler" else name
    return (dimension, value, int(start_ms)) if dimension in dimensions else None
