"""Alerts under load: from the record of a signal to its receiver, and ten thousand breaches at once.

.venv/bin/python -m bench.breaches
.venv/bin/python -m bench.breaches --rate 10000 --minutes 6 --breaches 10000 --keep FOLDER

On a real Kafka and a real Valkey one worker does everything, with the default rules and one more. While a process writes labels at an
even pace, a queue after the other gets a task that nobody takes within a second: each is an incident and a message of its own. Then
many queues get one in the same minute. Two channels hear of each queue, at a rate that is limited; a third of all queues together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml
from aiohttp import web
from confluent_kafka import Producer
from redis.asyncio import Redis

from alerts.rules_file import default_rules
from bench import log, machine
from bench.breach_log import Delivered, SignalTimes, outcome
from bench.floor_runs import Floor, started
from bench.stack import PARTITIONS, BenchError, Process, Stack, python, running_stack
from floorwatch.embedded.child_process import free_port
from streams.core.time_text import rfc3339
from streams.models import topics
from streams.models.topics import partition_of

RATES = {"ops": (6_000, 200), "leads": (3_000, 50)}
"""Messages a minute, and at once, that the limited channels may get."""
TOGETHER = "floor"
"""The channel that is told of all queues together."""
RULE = "waiting"

_QUIET_S = 240.0
"""Without any further message, what has not come is lost."""


@dataclass
class Memory:
    """Resident sizes of the worker, in MiB, by seconds since the start."""

    process: Process
    began_s: float = field(default_factory=time.monotonic)
    sizes: list[tuple[float, float]] = field(default_factory=list)

    async def watch(self) -> None:
        """Look once a second until cancelled."""
        while True:
            self.sizes.append((time.monotonic() - self.began_s, self.process.memory_mb("VmRSS")))
            await asyncio.sleep(1)

    def since(self, mark: int) -> dict[str, Any]:
        """Return the sizes since a mark: the first, the largest, the last, and one of each half minute."""
        sizes = [size for _, size in self.sizes[mark:]] or [0.0]
        course = [round(size) for size in sizes[::30]]
        return {"before": round(sizes[0]), "most": round(max(sizes)), "after": round(sizes[-1]), "each_30_s": course}


async def receivers(delivered: Delivered) -> tuple[web.AppRunner, int]:
    """Listen on a free port; each channel has its path."""

    async def take(request: web.Request) -> web.Response:
        delivered.take(request.match_info["channel"], request.headers["Idempotency-Key"], await request.read())
        return web.Response(status=204)

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/{channel}", take)
    runner, port = web.AppRunner(app, access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, port


def waiting_task(queue: str, now_ms: int) -> tuple[bytes, bytes]:
    """Return the id and the event of a task that is in a queue from now on."""
    envelope = {
        "specversion": "1.0",
        "source": "breaches",
        "type": "floorwatch.task.created.v1",
        "time": rfc3339(now_ms),
        "id": f"c-{queue}",
        "subject": f"w-{queue}",
        "data": {"queue": queue, "due_at": rfc3339(now_ms + 86_400_000)},
    }
    return f"w-{queue}".encode(), orjson.dumps(envelope)


def configuration(stack: Stack, port: int) -> dict[str, Any]:
    """Return the worker's configuration."""
    rule = {"kind": "backlog_age", "name": RULE, "scope": {"by": "queue"}, "window": "1h", "target": "1s", "for": 1}
    rules = [
        one.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for one in default_rules().rules
        if one.kind != "exposure_cap"
    ]
    channels: dict[str, Any] = {
        name: {"type": "webhook", "url": f"http://127.0.0.1:{port}/{name}"} for name in (*RATES, TOGETHER)
    }
    for name, (per_minute, burst) in RATES.items():
        channels[name]["rate"] = {"per_minute": per_minute, "burst": burst}
    routes = {
        "default": {"notify": list(RATES), "group_by": ["queue"]},
        "floor": {"notify": [TOGETHER], "group_interval": "30s"},
    }
    return {
        "kafka": {"brokers": [stack.brokers], "topic_prefix": "b.", "group": "b", "partitions": PARTITIONS},
        "redis": {"url": stack.redis_url, "prefix": "b:"},
        "metrics": {"port": 0},
        "alerts": {
            "channels": channels,
            "routes": routes,
            "routing": [{"route": "floor", "continue": True}, {"route": "default"}],
            "rules": [*rules, {**rule, "severity": "page"}],
        },
    }


class Bench:
    """One stack, its worker and its receivers."""

    def __init__(self, job: Floor, process: Process, delivered: Delivered) -> None:
        """Hold them."""
        self.job, self.process, self.delivered = job, process, delivered
        self.memory = Memory(process)
        self.signals = SignalTimes(job.stack, job.topic(topics.SIGNALS))
        self.sent: dict[str, float] = {}
        self._written = 0
        settings = {"bootstrap.servers": job.stack.brokers, "linger.ms": 5, "log_level": 3}
        self._producer = Producer(settings)

    def breach(self, queue: str) -> None:
        """Let a queue breach."""
        now_s = time.time()
        key, value = waiting_task(queue, int(now_s * 1000))
        self._producer.produce(self.job.topic(topics.RAW), value, key, partition=partition_of(key, PARTITIONS))
        self._producer.poll(0)
        self.sent[queue] = now_s

    def flush(self) -> None:
        """Wait until the broker has all that was sent."""
        if self._producer.flush(60):
            raise BenchError("the broker did not take the tasks")

    def writer(self, rate: float, seconds: float) -> tuple[Process, Path]:
        """Start a writer of labels; it reports to the path returned."""
        out = self.job.stack.folder / f"written-{time.monotonic_ns()}.json"
        words = [self.job.stack.brokers, self.job.topic(topics.RAW), str(PARTITIONS), str(rate), str(seconds)]
        first, self._written = self._written, self._written + int(rate * seconds) + 1
        return self.job.stack.start(out.stem, python("bench.labels_writer", *words, str(first), str(out))), out

    async def until_quiet(self, done: Callable[[], bool]) -> None:
        """Wait until something holds or nothing has come for long."""
        seen, moved = -1, time.monotonic()
        while not done() and time.monotonic() - moved < _QUIET_S:
            self.process.check("the messages")
            await asyncio.sleep(0.5)
            if (count := self.delivered.count()) != seen:
                seen, moved = count, time.monotonic()

    async def behind(self) -> int:
        """Return how many records of the raw topic are not committed by intake, and of the log not by the ledger."""

        def ask() -> int:
            offsets = log.Offsets(self.job.stack, self.job.group)
            try:
                return sum(
                    sum(offsets.ends(topic)) - sum(offsets.committed(topic))
                    for topic in (self.job.topic(topics.RAW), self.job.topic(topics.EVENTS))
                )
            finally:
                offsets.close()

        return await asyncio.to_thread(ask)

    def told(self, queues: set[str]) -> bool:
        """Tell whether each limited channel has heard of each queue."""
        return all(queues <= self.delivered.first[name].keys() for name in RATES)


async def latency(bench: Bench, rate: float, seconds: float, every_s: float) -> dict[str, Any]:
    """Let single queues breach while labels come at a pace; times from signal and event to the receivers."""
    mark, cpu_s, others = len(bench.memory.sizes), bench.process.cpu_s(), machine.Others()
    writer, out = bench.writer(rate, seconds + 90)
    began, queues, behind = time.monotonic(), [], []
    for number in range(int(seconds / every_s)):
        bench.breach(f"late-{number}")
        queues.append(f"late-{number}")
        if number % int(20 / every_s) == 0:
            behind.append(await bench.behind())
        await asyncio.sleep(max(0.0, began + (number + 1) * every_s - time.monotonic()))
    bench.flush()
    busy_ratio = (bench.process.cpu_s() - cpu_s) / (time.monotonic() - began)
    others_busy = others.cores()
    await asyncio.to_thread(writer.child.wait, seconds + 200)
    await bench.until_quiet(lambda: bench.told(set(queues)))
    report = json.loads(out.read_text())
    first = bench.delivered.first["ops"]
    at_s = await asyncio.to_thread(bench.signals.first)
    return {
        "events_per_s": round(report["rate"]),
        "writer_cpu_share": round(report["cpu_share"], 2),
        "worker_cpu_share": round(busy_ratio, 2),
        "others_cores": round(others_busy, 2),
        "behind_each_20_s": behind,
        "breaches": len(queues),
        "told": sum(queue in first for queue in queues),
        "from_signal_s": spread([first[queue] - at_s[queue] for queue in queues if queue in first and queue in at_s]),
        "from_event_s": spread([first[queue] - bench.sent[queue] for queue in queues if queue in first]),
        "memory_mb": bench.memory.since(mark),
    }


async def breaches(bench: Bench, count: int, rate: float) -> dict[str, Any]:
    """Let many queues breach in the same minute; what came, how fast, what was lost, and the worker's memory."""
    mark, others = len(bench.memory.sizes), machine.Others()
    limit_s = 300 + 60 * count / min(per_minute for per_minute, _ in RATES.values())
    writer, _ = bench.writer(rate, limit_s)
    bench.delivered.clear()
    await asyncio.sleep(60 - time.time() % 60 + 1)  # all in one minute
    queues = [f"many-{number}" for number in range(count)]
    began = time.time()
    for queue in queues:
        bench.breach(queue)
    await asyncio.to_thread(bench.flush)
    written_s = time.time() - began
    await bench.until_quiet(lambda: bench.told(set(queues)))
    await asyncio.sleep(35)  # the channel that is told of all together has its last message
    bench.job.stack.end(writer)
    names = set(queues)
    at_s = [one for queue, one in (await asyncio.to_thread(bench.signals.first)).items() if queue in names]
    redis: Redis = Redis.from_url(bench.job.stack.redis_url)
    found = await outcome(bench.job, redis, bench.delivered, RULE, names)
    await redis.aclose()
    return {
        "breaches": count,
        "written_in_s": round(written_s, 1),
        "signals": len(at_s),
        "first_signal_after_s": round(min(at_s) - began, 1) if at_s else None,
        "last_signal_after_s": round(max(at_s) - began, 1) if at_s else None,
        **found,
        "channels": {name: bench.delivered.channel(name, began, RATES.get(name)) for name in (*RATES, TOGETHER)},
        "others_cores": round(others.cores(), 2),
        "memory_mb": bench.memory.since(mark),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return the number, median, 99th percentile (nearest rank) and largest of times in seconds."""
    if not values:
        return {"count": 0}
    values = sorted(values)
    at = {name: values[max(0, -(-len(values) * share // 100) - 1)] for name, share in (("p50", 50), ("p99", 99))}
    return {"count": len(values), **{name: round(one, 2) for name, one in at.items()}, "max": round(values[-1], 2)}


async def _run(given: argparse.Namespace, folder: Path) -> None:
    delivered = Delivered((*RATES, TOGETHER), RULE)
    runner, port = await receivers(delivered)
    with running_stack(folder) as stack:
        config = folder / "floorwatch.yaml"
        config.write_text(yaml.safe_dump(configuration(stack, port)))
        log.create(stack, topics.topic_specs("b.", PARTITIONS))
        job = Floor(stack, "b.", "b", config)
        process = await asyncio.to_thread(job.start)
        await asyncio.to_thread(started, process, "ledger")
        bench = Bench(job, process, delivered)
        watching = asyncio.create_task(bench.memory.watch())
        try:
            if given.minutes:
                print(json.dumps(await latency(bench, given.rate, given.minutes * 60, given.every)), flush=True)
            if given.breaches:
                print(json.dumps(await breaches(bench, given.breaches, given.beside)), flush=True)
            letters = Counter(orjson.loads(value)["code"] for _, value in log.read(stack, job.topic("deadletters.v1")))
            print(json.dumps({"dead_letters": letters, "load_average": os.getloadavg()}), flush=True)
        finally:
            watching.cancel()
            await runner.cleanup()


def main() -> None:
    """Measure and print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=10_000, help="events a second beside single breaches")
    parser.add_argument("--minutes", type=float, default=6.0, help="of single breaches")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two single breaches")
    parser.add_argument("--breaches", type=int, default=10_000, help="in the same minute")
    parser.add_argument("--beside", type=float, default=200, help="events a second beside many breaches")
    parser.add_argument("--keep", type=Path, help="folder to keep logs in")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="breaches-"))
    print(json.dumps(machine.facts()), flush=True)
    try:
        asyncio.run(_run(given, folder))
    except BenchError as error:
        raise SystemExit(f"{error}; logs in {folder}") from None


if __name__ == "__main__":
    main()
