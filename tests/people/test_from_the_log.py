"""From events to labels: the numbers about people are those of the tables, whatever the log went through."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from random import Random

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from config.sampling import SamplingSettings
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.scorecard import scorecard
from floorwatch.cli import build
from floorwatch.cli.facts_file import ReadingRules, load_facts, read_facts
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.runs import simulated_log
from streams.adapters.admin import create_topics
from streams.core.ledger_store import new_store
from streams.core.policy import DAY_MS, CorePolicy
from streams.core.records import Record
from streams.core.time_text import rfc3339
from streams.engine.log import KafkaLogWriter, ProducerRecord
from streams.models.topics import EVENTS, partition_of, topic_specs
from tests.core.harness import encode
from tests.embedded.tansu import running_broker
from tests.oracle.case_events import START_MS, audit, cancelled, created, decided, label, opened, unaudit, unlabel
from tests.people.floor import NANO
from tests.support import seeds, size

START = 1_795_132_800_000  # 2026-11-20T00:00:00Z
PARTITIONS = 3


def read(events: list[dict]):
    return read_facts(json.dumps(event).encode() for event in events)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1 + n for n in seeds(1, 2)])
def test_each_labeller_has_the_numbers_of_the_oracles_rows(seed):
    lines = simulated_log(seed, 1.5, size(0.1, 0.2), START)
    log, oracle = read_facts(lines), Oracle.from_events(lines)
    assert (log.duplicates, log.conflicts, log.refused) == (oracle.duplicates, oracle.conflicts, oracle.refused)
    assert log.watermark_ms == oracle.watermark_ms
    expected: dict[str, Counter] = {}
    for table in ("accuracy", "throughput"):
        for (key, _), row in oracle.panes(3600)[table].items():
            if key.startswith("labeler="):
                held = expected.setdefault(key.removeprefix("labeler="), Counter())
                held.update({f"{table}.{name}": value for name, value in row.items()})
    found: dict[str, Counter] = {}
    for work in log.works:
        held = found.setdefault(work.labeler_id, Counter())
        held["accuracy.labels"] += 1
        if work.handle_ms is not None:
            held["throughput.handled"] += 1
            held["throughput.handle_ms_sum"] += work.handle_ms
        if work.judged is not None:
            held["accuracy.audited"] += 1
            held["accuracy.correct"] += not work.judged.wrong
            held["accuracy.wrong.technical"] += work.judged.technical
            held["accuracy.targeted"] += not work.judged.weight_nano and not work.judged.assumed
            held["accuracy.weight_sum"] += work.judged.weight_nano / NANO
            held["accuracy.critical_errors"] += work.judged.severity == "critical"
    assert found.keys() == expected.keys()
    for name, counts in found.items():
        for field, value in counts.items():
            assert value == pytest.approx(expected[name][field]), (name, field)


def disordered(seed: int) -> list[dict]:
    """Labels, audits and withdrawals in leaps, some far behind what came before."""
    rng, minutes, events = Random(seed), 0.0, []
    for n in range(300):
        minutes += rng.choice((0.1, 5, 90, 900))
        at, of = minutes - rng.choice((0, 0, 0, 30, 1_300, 1_500, 4_000)), rng.randrange(n + 1)
        kind = rng.random()
        if kind < 0.1:
            events.append(created(at, task=f"t{n}", queue="q", due_at=rfc3339(START_MS + int(at - 600) * 60_000)))
        elif kind < 0.6:
            events.append(label(f"l{n}", at, task=f"t{n}", by="ana" if n % 2 else "bo"))
        elif kind < 0.9:
            events.append(audit(f"a{n}", minutes, f"l{of}", rng.choice(("correct", "incorrect")), task=f"t{of}"))
        else:
            events.append(unlabel(f"l{of}", minutes, task=f"t{of}"))
    return events


@pytest.mark.parametrize("seed", range(4))
def test_what_is_late_for_the_ledger_is_late_here(seed):
    events = disordered(seed)
    store = new_store(0, CorePolicy(horizon_ms=DAY_MS))
    store.ledger.fold([Record(offset, 0, *encode(one)) for offset, one in enumerate(events)])
    lines = [json.dumps(one).encode() for one in events]
    log = read_facts(lines, ReadingRules(horizon_ms=DAY_MS))
    fold_counts = store.ledger.fold_counts
    assert fold_counts.late > 20
    assert (log.late, log.duplicates, log.conflicts) == (
        fold_counts.late,
        fold_counts.duplicates,
        fold_counts.conflicts,
    )
    assert log.watermark_ms == store.ledger.watermark_ms
    assert read_facts(lines, ReadingRules(horizon_ms=400 * DAY_MS)).late == 0


def test_a_file_is_read_by_the_rules_of_the_configuration(tmp_path, capsys):
    """Each limit that is looser than the default, and each that is tighter, decides what a file's numbers hold."""
    file = tmp_path / "events.jsonl"
    events = [
        label("l-1", 9 * 1440, task="t-1", started_at=rfc3339(START_MS + (9 * 1440 - 10) * 60_000)),
        label("l-2", 9 * 1440 + 1, task="t-2", values=["v" * 200] * 20),
        label("l-3", 60, task="t-3"),
    ]
    file.write_text("\n".join(map(json.dumps, events)))

    def told(text: str) -> tuple[int, str]:
        config = tmp_path / "floorwatch.yaml"
        config.write_text(text)
        works = load_facts(file, config, None).works
        return len(works), capsys.readouterr().err

    assert told("{}") == (3, "")
    assert told("tables: {correction_horizon_days: 7}")[0] == 2
    assert "1 event late" in told("tables: {correction_horizon_days: 7}")[1]
    assert told("events: {max_handle_s: 5m}")[0] == 2
    assert "1 event could not be used (1 refused" in told("events: {max_handle_s: 5m}")[1]
    assert told("engine: {max_event_bytes: 2048}")[0] == 2


def test_a_withdrawn_label_and_a_cancelled_task():
    log = read([
        created(0, queue="hate", policy="P1"), label("l-1", 5, started_at="2026-11-23T10:04:00Z"),
        audit("a-1", 6, "l-1", "incorrect", error_class="technical", severity="minor"), unlabel("l-1", 7),
        created(0, task="t-2", queue="hate"), cancelled(1, task="t-2"),
        created(0, task="t-3", queue="hate", required_labels=3), label("l-3", 5, task="t-3", by="bo"),
    ])  # fmt: skip
    assert [(work.labeler_id, work.queue, work.handle_ms) for work in log.works] == [("bo", "hate", None)]
    assert log.waiting == {"hate": 1 + 2}
    assert [arrival.labels for arrival in log.arrivals] == [1, 3]
    assert log.works[0].start_ms == START_MS + 5 * 60_000


def test_corrections_overturned_audits_and_dimensions_from_the_task():
    events = [created(0, queue="hate", policy="P1"), label("l-1", 5, values=["spam"], site="KUL"),
              audit("a-1", 6, "l-1", "incorrect", error_class="false_positive", severity="critical", p=0.5, gold=True)]  # fmt: skip
    (work,) = read(events).works
    assert (work.queue, work.policy, work.site, work.values) == ("hate", "P1", "KUL", "spam")
    assert work.judged == (True, False, "false_positive", "critical", "?", 2 * NANO, True, False)
    events += [opened("p-1", 8, audit_id="a-1"), decided("p-1", 9, "overturned", audit_id="a-1")]
    (work,) = read(events).works
    assert work.judged == (False, False, "", "", "spam", 2 * NANO, True, False)
    (work,) = read([*events, unaudit("a-1", 10)]).works
    assert work.judged is None
    (work,) = read([*events, label("l-1", 11, values=["safe"], by="bo")]).works
    assert (work.labeler_id, work.values) == ("bo", "safe")


@pytest.mark.slow
def test_scorecards_do_not_depend_on_how_tasks_interleave_or_repeat():
    lines = simulated_log(3, 1.0, size(0.1, 0.3), START)
    policy = PeoplePolicy(min_peer_labels=10)

    def cards(some):
        log = read_facts(some)
        crowd = Cohort(log.works, (log.watermark_ms - 43_200_000, log.watermark_ms + 1), policy)
        return {name: scorecard(crowd, name) for name in crowd.works}

    first = cards(lines)
    assert len(first) > 20
    by_task: dict[str, list[bytes]] = {}
    for line in lines:
        by_task.setdefault(json.loads(line)["subject"], []).append(line)
    queues = list(by_task.values())
    Random(5).shuffle(queues)
    shuffled = [line for queue in queues for line in queue]
    assert cards(shuffled) == first
    assert cards(lines + lines) == first


@pytest.mark.servers
def test_the_commands_read_the_log_of_a_cluster(tmp_path):
    """Through the embedded broker, with the log's own clock events among the records."""
    from streams.agents.ticker import tick_event

    lines = simulated_log(4, 0.5, 0.1, START)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        _, address = runner.run(stack.enter_async_context(running_broker(tmp_path / "broker")))
        runner.run(_fill(address, lines, tick_event(0, START, "test").value))
        env = {"FLOORWATCH_KAFKA__BROKERS": address, "FLOORWATCH_KAFKA__PARTITIONS": str(PARTITIONS)}
        for words in (["people", "--json"], ["roster", "--json", "--by", "team"]):
            there = CliRunner().invoke(build(words[0]), [*words, "--var", str(tmp_path)], env=env)
            here = CliRunner().invoke(build(words[0]), [*words, "--events", str(file), "--var", str(tmp_path)])
            assert there.exit_code == here.exit_code == 0, there.output
            lives = [json.loads(line) for line in there.stdout.splitlines()]
            if words[0] == "people":  # a file is never behind, the log of a cluster is
                for live in lives:
                    assert live.pop("as_of") == rfc3339(live["end_ms"] - 1)
                    assert (live.pop("behind_s") is None, live.pop("partial")) == (False, False)
            assert lives == [json.loads(line) for line in here.stdout.splitlines()]
            assert len(lives) > 3
        other = env | {"FLOORWATCH_KAFKA__TOPIC_PREFIX": "other."}
        gone = CliRunner().invoke(build("people"), ["people", "--var", str(tmp_path)], env=other)
        assert gone.exit_code == 1
        assert "floorwatch up" in gone.stderr
        runner.run(stack.aclose())


async def _fill(address: str, lines: list[bytes], tick: bytes) -> None:
    connection = {"bootstrap_servers": address}
    await create_topics(connection, topic_specs("floorwatch.", PARTITIONS))
    parts: list[list[ProducerRecord]] = [[ProducerRecord(b"clock", tick)] for _ in range(PARTITIONS)]
    for line in lines:
        key = json.loads(line)["subject"].encode()
        parts[partition_of(key, PARTITIONS)].append(ProducerRecord(key, line))
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        for partition, outgoing in enumerate(parts):
            await KafkaLogWriter(producer).append("floorwatch." + EVENTS, partition, outgoing)
    finally:
        await producer.stop()


def test_a_file_is_read_with_what_the_configuration_says_of_sampling() -> None:
    """As intake would have written it, and what an intake has written already stays."""
    told = {"method": None, "probability": 0.2, "source": "configuration"}
    events = [
        label("l-1", 5),
        audit("a-1", 7, "l-1", "correct"),
        label("l-2", 5, task="t-2"),
        audit("a-2", 7, "l-2", "correct", task="t-2")
        | {"data": {"audit_id": "a-2", "verdict": "correct", "sampling": told}},
        label("l-3", 5, task="t-3"),
        audit("a-3", 7, "l-3", "correct", p=0.001, task="t-3"),
    ]
    lines = [json.dumps(one).encode() for one in events]
    sampling = {"min_probability": 0.01, "sources": {"case": {"method": "random", "probability": 0.05}}}
    rules = ReadingRules(sampling=SamplingSettings.model_validate(sampling).plan())
    log = read_facts(lines, rules)
    drawn = {work.label_id: work.judged.weight_nano / NANO for work in log.works if work.judged is not None}
    assert drawn == {"l-1": 20.0, "l-2": 5.0}
    assert log.refused == 1
    assert read_facts(lines).refused == 0
