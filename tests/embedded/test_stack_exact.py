"""The real stack, the real worker, kill -9 of each process in turn: the tables equal an independent recount."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.bounded import PREFIX, BoundedRun
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.stack_plan import StackPlan
from floorwatch.embedded.status import Status
from floorwatch.embedded.supervisor import Stack
from floorwatch.sdk.stacks import read_state
from floorwatch.simulate.compare import COMPARED, differences, keyed, report, row_count
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.runs import simulated_log
from streams.adapters.admin import open_admin
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.embedded.test_stack import _replaced, until

pytestmark = pytest.mark.servers

PARTITIONS = 4
VICTIMS = ("worker-1", "shipper", "broker", "valkey", "worker-1")


async def bounded(stack: Stack) -> tuple[BoundedRun, AIOKafkaProducer]:
    """Return the means of ending the input on a running stack, as ``floorwatch process`` ends it."""
    connection = {"bootstrap_servers": stack.urls["kafka"]}
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    admin = await open_admin(connection)
    reader = KafkaLogReader(connection)
    running = SimpleNamespace(poll=lambda: None)
    servers = SimpleNamespace(log_tail=lambda *_: "")
    run = BoundedRun(servers, running, producer, admin, reader, PARTITIONS, lambda *_: None, 0, [])
    run._ends = [await run._end(topics.RAW, partition) for partition in range(PARTITIONS)]
    return run, producer


async def tables_after_kills(var: Path, lines: list[bytes], told: list[Status]) -> dict:
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    plan = StackPlan(var, gateway=False, worker_argv=(sys.executable, "-m", "floorwatch.cli.worker"), extra_env=env)
    step = len(lines) // (len(VICTIMS) + 1) + 1
    async with Stack(plan, told.append) as stack, JournalWriter(plan.paths.journal, "simulate") as journal:
        for index, start in enumerate(range(0, len(lines), step)):
            for at in range(start, min(start + step, len(lines)), 200):
                part = lines[at : min(at + 200, start + step)]
                await journal.publish([(key_of(line), line) for line in part])
                await asyncio.sleep(0.02)
            if index < len(VICTIMS):
                victim = VICTIMS[index]
                old = read_state(plan.var).children[victim].pid
                before = len(told)
                os.kill(old, signal.SIGKILL)
                await until(lambda old=old, victim=victim: _replaced(stack, victim, old), f"{victim} replaced")
                if victim == "broker":  # the next victim must not be what its replacement is just setting up
                    await until(lambda before=before: _worker_ready(told[before:]), "a worker of the new epoch")
        await until(lambda: _shipped(stack), "everything shipped")
        run, producer = await bounded(stack)
        try:
            assert sum(run._ends) >= len(lines), PREFIX
            await run.finish()
            return {table: await run.table(table) for table in COMPARED}
        finally:
            await producer.stop()
            await run.admin.close()


async def _worker_ready(told: list[Status]) -> bool:
    return any(status.name == "worker-1" and status.phase == "ready" for status in told)


def key_of(line: bytes) -> bytes:
    from floorwatch.bounded import _key_of

    return _key_of(line)


async def _shipped(stack: Stack) -> bool:
    return stack.shipped()


@pytest.mark.slow
def test_kill_9_of_each_process_in_turn_leaves_the_tables_true(tmp_path: Path) -> None:
    lines = simulated_log(11, 0.4, 0.15)
    told: list[Status] = []
    actual = asyncio.run(tables_after_kills(tmp_path, lines, told))
    assert [status.name for status in told if status.phase == "ended"] == list(VICTIMS)
    oracle = Oracle.from_events(lines)
    panes = {table: keyed(rows, panes=True) for table, rows in actual.items()}
    expected = oracle.panes(3600)
    found = differences(expected, panes, COMPARED)
    assert not found, report(found, row_count(expected, panes))
    assert row_count(expected, panes) > 500
