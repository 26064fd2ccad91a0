"""Floorwatch's whole pipeline against a stock Faust agent with a table, in turns, on one broker each time.

Prints events per second and CPU seconds per million events of each, and the ratio. Floorwatch does intake, ledger
(facts, dedupe, eleven scopes, three tables, three tiers) and scopes; stock Faust counts one number per queue and minute.

    make bench
    .venv/bin/python bench/pipeline.py --labels 300000 --stock-labels 20000 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aiokafka import AIOKafkaProducer

from bench.workload import workload
from floorwatch.bounded import GROUP, PREFIX
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import committed, create_topics, open_admin
from streams.engine.log import KafkaLogWriter, Outgoing
from streams.models import topics

PARTITIONS = 4


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_mb(pid: int) -> float:
    """Return the largest resident size of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


async def fill(brokers: str, topic: str, labels: int) -> int:
    """Put the workload on a topic; return the number of events."""
    by_partition: list[list[Outgoing]] = [[] for _ in range(PARTITIONS)]
    for key, value in workload(labels):
        by_partition[topics.partition_of(key, PARTITIONS)].append(Outgoing(key, value))
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", max_batch_size=262_144)
    await producer.start()
    writer = KafkaLogWriter(producer)
    await asyncio.gather(*(writer.append(topic, p, records) for p, records in enumerate(by_partition)))
    await producer.stop()
    return sum(map(len, by_partition))


async def drain(brokers: str, group: str, topic: str, goal: int) -> tuple[float, float]:
    """Wait until a group has committed ``goal`` records; return when it began and ended to move."""
    admin = await open_admin({"bootstrap_servers": brokers})
    began = 0.0
    try:
        while True:
            done = sum((await committed(admin, group, topic, PARTITIONS)).values())
            now = time.monotonic()
            if done and not began:
                began = now
            if done >= goal:
                return began, now
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def floorwatch_round(labels: int) -> tuple[float, float, float]:
    """Return (events/s, CPU s per million, peak MB) of Floorwatch's worker."""
    async with Servers() as servers:
        await create_topics({"bootstrap_servers": servers.brokers}, topics.topic_specs(PREFIX, PARTITIONS))
        events = await fill(servers.brokers, PREFIX + topics.RAW, labels)
        worker = servers.start_worker(KAFKA__PARTITIONS=str(PARTITIONS))
        await assigned(servers.log_tail)
        began, cpu = time.monotonic(), cpu_s(worker.pid)
        await drain(servers.brokers, GROUP, PREFIX + topics.RAW, events)
        _, ended = await drain(servers.brokers, GROUP, PREFIX + topics.EVENTS, events)
        return events / (ended - began), (cpu_s(worker.pid) - cpu) / events * 1e6, peak_mb(worker.pid)


async def assigned(log_tail) -> None:
    """Wait until the worker has recovered its partitions."""
    while "recovered" not in log_tail("worker", 50):
        await asyncio.sleep(0.02)


async def stock_round(labels: int) -> tuple[float, float, float]:
    """Return (events/s, CPU s per million, peak MB) of the stock agent."""
    async with Servers() as servers:
        specs = [topics.TopicSpec(name, PARTITIONS, {}) for name in ("bench.raw", "stock-faust-labels-changelog")]
        await create_topics({"bootstrap_servers": servers.brokers}, specs)
        events = await fill(servers.brokers, "bench.raw", labels)
        command = [sys.executable, "bench/stock_faust.py", servers.brokers, "bench.raw", str(PARTITIONS)]
        process = servers.start("stock", command)
        began, ended = await drain(servers.brokers, "stock-faust", "bench.raw", events)
        rate = events / max(0.001, ended - began)
        return rate, cpu_s(process.pid) / events * 1e6, peak_mb(process.pid)


async def main() -> None:
    """Run the rounds in turns and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--labels", type=int, default=200_000)
    options.add_argument("--stock-labels", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    ours, theirs = [], []
    for number in range(1, given.rounds + 1):
        ours.append(await floorwatch_round(given.labels))
        theirs.append(await stock_round(given.stock_labels))
        print(
            f"round {number}: floorwatch {ours[-1][0]:,.0f} events/s, stock Faust {theirs[-1][0]:,.0f} events/s, "
            f"ratio {ours[-1][0] / theirs[-1][0]:.1f}",
            flush=True,
        )
    print(f"\n{'':24}{'events/s':>12}{'CPU s per million':>20}{'peak MB':>10}   (medians of {given.rounds})")
    for name, rounds in (("floorwatch, whole", ours), ("stock Faust, one count", theirs)):
        rate, cpu, memory = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:24}{rate:>12,.0f}{cpu:>20.1f}{memory:>10.0f}")
    print(f"ratio of events/s: {statistics.median(a[0] / b[0] for a, b in zip(ours, theirs, strict=True)):.1f}")


if __name__ == "__main__":
    asyncio.run(main())
