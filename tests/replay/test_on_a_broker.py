"""The commands on the embedded broker: the past against a plain fold of the prefix, the present against Redis."""

from __future__ import annotations

import asyncio
import csv
import functools
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from floorwatch.bounded import BoundedRun, bounded_run
from floorwatch.cli import build
from floorwatch.replay.reader import open_log
from floorwatch.settings.load import load
from floorwatch.settings.policies import core_policy
from floorwatch.simulate.runs import simulated_log
from streams.adapters.admin import create_topics
from streams.core.time_text import rfc3339
from streams.engine.log import KafkaLogWriter, ProducerRecord
from streams.models.topics import EVENTS, PARTIALS, RAW, topic_specs
from tests.embedded.tansu import filled_broker
from tests.replay.memory import START_MS, MemoryLog, PlainRun, floor_log
from tests.support import size

pytestmark = pytest.mark.servers

PARTITIONS = 3
CUT_MS = START_MS + 5 * 3_600_000


def logged() -> MemoryLog:
    return floor_log(21, PARTITIONS, days=0.4)


@functools.cache
def plain_run(until_ms: int | None = None) -> PlainRun:
    return PlainRun(logged(), until_ms, core_policy(load(None, {})))


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose log of events holds ``logged()``, offset by offset."""
    with filled_broker(tmp_path_factory.mktemp("broker"), _fill) as address:
        yield address


async def _fill(address: str) -> None:
    connection = {"bootstrap_servers": address}
    await create_topics(connection, topic_specs("floorwatch.", PARTITIONS))
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        for partition, records in enumerate(logged().parts):
            outgoing = [ProducerRecord(r.key, r.value, r.timestamp_ms) for r in records]
            await KafkaLogWriter(producer).append("floorwatch." + EVENTS, partition, outgoing)
    finally:
        await producer.stop()


def call(bootstrap: str, *arguments: str, tmp: Path | None = None) -> Result:
    env = {
        "FLOORWATCH_KAFKA__BROKERS": bootstrap,
        "FLOORWATCH_KAFKA__PARTITIONS": str(PARTITIONS),
        "COLUMNS": "200",
    }
    return CliRunner().invoke(build(arguments[0]), [*arguments, "--var", str(tmp or "no-such-stack")], env=env)


def rows(result: Result) -> list[dict]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("table", ["accuracy", "throughput", "sla"])
def test_a_past_table_is_that_of_the_prefix(bootstrap: str, table: str) -> None:
    moment = rfc3339(CUT_MS)
    done = call(bootstrap, "table", table, "--by", "vendor", "--window", "24h", "--as-of", moment, "--json")
    found = {row["scope_key"]: row for row in rows(done)}
    prefix = json.loads(json.dumps(plain_run(CUT_MS).windows(table, "24h")))
    assert len(found) > 1
    assert found == {key: {**row, "as_of": moment} for key, row in prefix.items() if set(row["scope"]) == {"vendor"}}
    assert f"stamped after {moment}" in done.stderr
    assert "today's configuration" in done.stderr


def test_the_difference_to_now_is_shown(bootstrap: str) -> None:
    done = call(bootstrap, "table", "accuracy", "--as-of", rfc3339(CUT_MS), "--window", "24h", "--diff", "--json")
    changes = {change["measure"]: change for change in rows(done)}
    assert changes["audited"]["now"] > changes["audited"]["then"]
    assert changes["audited"]["change"] == changes["audited"]["now"] - changes["audited"]["then"]
    shown = call(bootstrap, "table", "accuracy", "--as-of", rfc3339(CUT_MS), "--window", "24h", "--diff")
    assert "as it was known at" in " ".join(shown.stdout.split())
    now = rfc3339(int(time.time() * 1000))
    last = call(bootstrap, "table", "accuracy", "--as-of", now, "--diff")
    assert "Nothing has changed since" in last.stdout


def test_nothing_was_known_before_the_log_began(bootstrap: str) -> None:
    done = call(bootstrap, "table", "sla", "--as-of", "2001-01-01T00:00:00Z", "--json")
    assert rows(done) == []
    assert "nothing was known" in done.stderr


def test_why_lists_tasks_that_add_up(bootstrap: str) -> None:
    plain = plain_run().windows("accuracy", "24h")["all"]
    arguments = ("why", "accuracy", "--window", "24h", "--measure", "wrong", "--limit", "0")
    body = json.loads(call(bootstrap, *arguments, "--json").stdout)
    assert body["row"] == body["sum"] == plain["audited"] - plain["correct"] == len(body["tasks"]) > 0
    assert body["adds_up"] is True
    table = list(csv.DictReader(io.StringIO(call(bootstrap, *arguments, "--csv").stdout)))
    assert [row["task"] for row in table] == [task["task"] for task in body["tasks"]]
    shown = call(bootstrap, "why", "accuracy", "--window", "24h", "--limit", "1", "--scope", "all")
    assert "more, " in shown.stdout
    assert f"the row says {plain['audited']:,}" in shown.stdout


def test_facts_of_a_task_are_told_with_offsets(bootstrap: str) -> None:
    task = json.loads(call(bootstrap, "why", "accuracy", "--window", "24h", "--measure", "wrong", "--json").stdout)[
        "tasks"
    ][0]["task"]
    body = json.loads(call(bootstrap, "facts", task, "--json").stdout)
    part = logged().parts[body["partition"]]
    assert [line["offset"] for line in body["facts"]] == [
        r.offset for r in part if r.value is not None and json.loads(r.value)["subject"] == task
    ]
    judged = next(one for one in body["contributions"] if one["group"].startswith("audit:"))
    assert any(name.startswith("wrong.") for name in judged["counts"])
    shown = call(bootstrap, "facts", task)
    assert "What it counts for" in shown.stdout
    assert "of scopes all · " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("facts", "nobody"), 1, "no event of task 'nobody'"),
        (("why", "accuracy", "--window", "24h", "--scope", "vendor=nobody"), 1, "no row of scope vendor=nobody"),
        (("why", "accuracy"), 2, "either --window 24h or --pane"),
        (("why", "accuracy", "--window", "24h", "--measure", "guilt"), 2, "not of accuracy; use one of audited"),
        (("why", "accuracy", "--window", "3h"), 2, "use one of 5m"),
        (("why", "accuracy", "--pane", "today"), 2, "is not a time"),
        (("why", "accuracy", "--window", "24h", "--scope", "team=x,market=y"), 2, "no rows are kept by"),
        (("table", "accuracy", "--as-of", "2026-11-22T18:00:00"), 2, "has no zone"),
        (("table", "accuracy", "--diff"), 2, "belong to --as-of"),
    ],
)
def test_what_cannot_be_answered_is_explained(bootstrap: str, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = call(bootstrap, *arguments)
    assert done.exit_code == code, done.output
    assert said in done.output
    assert done.stdout == ""


def test_no_broker_and_no_log_say_what_to_do(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = call("127.0.0.1:1", "facts", "t")
    assert gone.exit_code == 1
    assert "floorwatch up" in gone.output
    monkeypatch.setenv("FLOORWATCH_KAFKA__TOPIC_PREFIX", "other.")
    other = call(bootstrap, "facts", "t")
    assert other.exit_code == 1
    assert "has no topic other.events.v1" in other.output


def test_the_reader_reads_what_was_there_and_not_what_comes_meanwhile(bootstrap: str) -> None:
    async def go() -> list[int]:
        counts = []
        async with open_log({"bootstrap_servers": bootstrap}, "floorwatch." + EVENTS) as log:
            for partition in log.partitions:
                extent = await log.extent(partition)
                counts.append(sum([len(records) async for records in log.read(extent)]))
                limited = await log.extent(partition, 7)
                assert [r.offset for records in [b async for b in log.read(limited)] for r in records] == list(range(7))
        return counts

    assert asyncio.run(go()) == [len(part) for part in logged().parts]


def test_at_the_end_it_is_the_table_a_worker_has_published(tmp_path: Path) -> None:
    """The whole stack: what Redis serves now is what a replay of the log to its end says."""
    lines = simulated_log(8, days=0.2, rate=size(0.025, 0.05))

    async def go() -> None:
        async with bounded_run(tmp_path, partitions=PARTITIONS) as run:
            for half in (lines[: len(lines) // 2], lines[len(lines) // 2 :]):
                await run.send(half)
                await _caught_up(run)
            # Each partition stands at a time of its own here: the table's is that of the one furthest behind. A row that has
            # not changed keeps the watermark it was last published at, and what follows from it.
            by_time = ("watermark", "labels_per_hour", "oldest_open_age_ms", "evidence")
            await asyncio.to_thread(_compare, run.servers.brokers, run.servers.redis_url, *by_time)
            await run.finish()
            await asyncio.to_thread(_compare, run.servers.brokers, run.servers.redis_url, *by_time)

    asyncio.run(go())


async def _caught_up(run: BoundedRun) -> None:
    """Wait until everything sent is folded and published, without ending the input."""
    await run._folded(RAW, run._ends, None)
    for topic in (EVENTS, PARTIALS):
        await run._folded(topic, [await run._end(topic, p) for p in range(run.partitions)], None)


def _compare(brokers: str, redis_url: str, *skipped: str) -> None:
    for table in ("accuracy", "throughput", "sla"):
        for by in ("vendor", "queue,policy"):
            arguments = ("table", table, "--by", by, "--window", "24h", "--json")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FLOORWATCH_REDIS__URL", redis_url)
                present = rows(call(brokers, *arguments))
            moment = rfc3339(int(time.time() * 1000))
            past = rows(call(brokers, *arguments, "--as-of", moment))
            assert len(present) > 1
            assert [_without(row, *skipped) for row in past] == [_without(row, *skipped) for row in present]


def _without(row: dict, *names: str) -> dict:
    return {name: value for name, value in row.items() if name not in ("as_of", "behind_s", *names)}


def test_memory_and_broker_readers_agree_on_extents() -> None:
    log = MemoryLog([logged().parts[0][5:]])
    extent = asyncio.run(log.extent(0))
    assert (extent.begin, extent.end) == (5, len(logged().parts[0]))


def test_quality_is_reported_from_the_log(bootstrap: str) -> None:
    done = call(bootstrap, "quality", "--by", "vendor", "--json")
    body = json.loads(done.stdout)
    plain = plain_run().windows("accuracy", "24h")["all"]
    assert body["groups"][0]["overview"]["audited"] == plain["audited"] > 0
    assert "Replayed" in done.stderr
    shown = call(bootstrap, "quality", "--window", "2h")
    assert shown.exit_code == 0
    assert "of them audited" in shown.stdout
    for option, said in (
        ("--by", "no such dimension"),
        ("--window", "write for example"),
        ("--since", "is not a time"),
    ):
        wrong = call(bootstrap, "quality", option, "colour")
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert said in wrong.output or "not a unit" in wrong.output or "write seconds" in wrong.output
