"""Measured runs of the peers on the reduced job: every result is compared with the truth."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench import log
from bench.measure import Run, until
from bench.peers.build import java_command, quix_python
from bench.stack import PARTITIONS, Process, Stack, python
from bench.truth import Sum, Truth, differences, truth_of
from bench.workload import load

_LIMIT_S = 900.0
_SETTLE_S = 20.0

Rows = dict[tuple[str, str, int], Sum]


@dataclass
class Input:
    """A workload that stands on a topic.

    Attributes:
        topic: Name of the topic.
        labels: Labels of the workload.
        truth: What its sums must be.
    """

    topic: str
    labels: int
    truth: Truth


def prepared(stack: Stack, labels: int) -> Input:
    """Put a workload on a topic of its own."""
    name = f"bench.w{labels}"
    log.create(stack, [log.plain(name)])
    log.fill(stack, name, load(labels))
    return Input(name, labels, truth_of(load(labels)))


def python_loop(given: Input) -> Run:
    """Run the plain loop: the same sums in a dictionary, from memory, nothing kept."""
    events = list(load(given.labels))
    truth = truth_of(events)
    rows = len(truth.minutes)
    wrong = len(differences(truth.minutes, given.truth.minutes))
    return Run("plain Python loop, nothing durable", truth.events, truth.loop_s, truth.cpu_s, 0.0, wrong, rows)


def stock_faust(stack: Stack, given: Input, number: int) -> Run:
    """Run stock Faust until its group has committed everything."""
    app_id = f"peer-faust-{number}"
    tables = [f"{app_id}-labels-changelog", f"{app_id}-sums-changelog"]
    log.create(stack, [log.plain(name, {"cleanup.policy": "compact"}) for name in tables])
    command = python("bench.peers.stock_faust", stack.brokers, given.topic, app_id, str(PARTITIONS))
    with stack.run(app_id, command) as process:
        return _committed_run(stack, "stock Faust", process, given, app_id, lambda: _faust_rows(stack, tables[1]))


def quix(stack: Stack, given: Input, number: int, form: str) -> Run:
    """Run Quix Streams, ``grouped`` or ``tuned``, until its group has committed everything."""
    group = f"peer-quix-{form}-{number}"
    state = stack.folder / group
    command = [str(quix_python()), "bench/peers/quix_job.py", stack.brokers, given.topic, group, str(state), form]
    with stack.run(group, command) as process:
        name = f"Quix Streams, {form}"
        run = _committed_run(stack, name, process, given, group, lambda: _quix_rows(stack, group))
    shutil.rmtree(state, ignore_errors=True)
    return run


def kafka_streams(stack: Stack, given: Input, number: int, guarantee: str, store: str = "rocksdb") -> Run:
    """Run Kafka Streams, one thread, until its group has committed everything."""
    group = f"peer-ks-{guarantee[0]}-{number}"
    out, state = f"{group}.out", stack.folder / group
    log.create(stack, [log.plain(out)])
    arguments = [stack.brokers, given.topic, out, group, guarantee, "1", str(state), store]
    command = [*java_command("kafka-streams", "KafkaStreamsPeer", "-Xmx1g"), *arguments]
    with stack.run(group, command) as process:
        name = f"Kafka Streams, {guarantee}"
        run = _committed_run(stack, name, process, given, group, lambda: _pairs(log.read(stack, out)))
    shutil.rmtree(state, ignore_errors=True)
    return run


def flink(stack: Stack, given: Input, number: int, *, parallelism: int = 1, checkpoint_s: int = 2) -> Run:
    """Run Flink over what the topic holds, until its job has ended."""
    group = f"peer-flink-{number}"
    out, state = f"{group}.out", stack.folder / group
    state.mkdir(parents=True, exist_ok=True)
    log.create(stack, [log.plain(out)])
    opens = ["--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED"]
    command = java_command("flink", "FlinkPeer", "-Xmx2g", *opens)
    arguments = [stack.brokers, given.topic, out, group, str(checkpoint_s), str(parallelism), str(state), "hashmap"]
    with stack.run(group, [*command, *arguments]) as process:
        began, cpu = _first(process)
        cpu_now, peak = cpu, 0.0
        while "\nDONE " not in process.text():
            if process.child.poll() is None:
                cpu_now, peak = process.cpu_s(), process.memory_mb()
            elif "\nDONE " not in process.text():
                process.check("its job ended")
            time.sleep(0.02)
        seconds = _stamp(process, "DONE") - began
    rows = _final_rows(log.read(stack, out))
    wrong = differences(rows, given.truth.minutes)
    shutil.rmtree(state, ignore_errors=True)
    name = f"Flink, {checkpoint_s} s checkpoints"
    return Run(
        name, given.truth.events, seconds, cpu_now - cpu, peak, len(wrong), len(given.truth.minutes), _why(wrong)
    )


def _stamp(process: Process, word: str) -> float:
    """Return the Unix seconds a peer printed after a word."""
    line = next(line for line in process.text().splitlines() if line.startswith(f"{word} "))
    return int(line.split()[1]) / 1000


def _first(process: Process) -> tuple[float, float]:
    """Wait for a peer's first record; return its time in Unix seconds and the CPU used by then."""
    process.wait_for(
        lambda text: "FIRST " in text and text.rsplit("FIRST ", 1)[1].count("\n") > 0, 120, "a first record"
    )
    return _stamp(process, "FIRST"), process.cpu_s()


def _committed_run(
    stack: Stack, name: str, process: Process, given: Input, group: str, rows: Callable[[], Rows]
) -> Run:
    began, cpu = _first(process)
    offsets = log.Offsets(stack, group)

    def between() -> bool:
        """Whether what the job sends itself, on topics of its own, is committed too."""
        topics = log.names(stack, f"repartition__{group}--")
        return all(sum(offsets.committed(topic)) >= sum(offsets.ends(topic)) for topic in topics)

    try:
        until(lambda: sum(offsets.committed(given.topic)) >= given.truth.events, process, _LIMIT_S, "all committed")
        until(between, process, _LIMIT_S, "its own topics committed")
    finally:
        offsets.close()
    seconds, cpu, peak = time.time() - began, process.cpu_s() - cpu, process.memory_mb()
    until_s = time.monotonic() + _SETTLE_S
    wrong = differences(rows(), given.truth.minutes)
    while wrong and time.monotonic() < until_s:
        time.sleep(0.5)
        wrong = differences(rows(), given.truth.minutes)
    return Run(name, given.truth.events, seconds, cpu, peak, len(wrong), len(given.truth.minutes), _why(wrong))


def _why(wrong: list[str]) -> dict[str, list[str]]:
    return {"wrong": wrong[:5]} if wrong else {}


def _merged(newest: Mapping[str, Iterable[int]]) -> Rows:
    """Add up sums kept by ``dimension|value|minute|partition``."""
    rows: Rows = {}
    for key, amounts in newest.items():
        dimension, value, minute, _ = key.split("|")
        total = rows.setdefault((dimension, value, int(minute)), [0, 0, 0, 0])
        for number, amount in enumerate(amounts):
            total[number] += amount
    return rows


def _pairs(records: Iterable[tuple[bytes, bytes | None]]) -> Rows:
    newest = {key.decode(): [int(part) for part in value.split(b",")] for key, value in records if value}
    return _merged(newest)


def _faust_rows(stack: Stack, changelog: str) -> Rows:
    newest = {json.loads(key): json.loads(value) for key, value in log.read(stack, changelog) if value}
    return _merged(newest)


def _quix_rows(stack: Stack, group: str) -> Rows:
    """Read the changelogs of the group: the sums are the keys of the state that name a dimension."""
    newest: dict[str, list[int]] = {}
    for topic in log.names(stack, f"changelog__{group}--"):
        for partition, key, value in log.read_placed(stack, topic):
            name = key.rpartition(b'"')[0].rpartition(b'"')[2].decode()
            if value and name.startswith(("queue|", "vendor|")):
                newest[f"{name}|{partition}"] = json.loads(value)
    return _merged(newest)


def _final_rows(records: Iterable[tuple[bytes, bytes | None]]) -> Rows:
    """Read Flink's final rows; one given twice (at least once) counts once."""
    rows: Rows = {}
    for _, value in records:
        name, _, sums = (value or b"").decode().partition("=")
        dimension, what, minute = name.split("|")
        rows[dimension, what, int(minute)] = [int(part) for part in sums.split(",")]
    return rows
