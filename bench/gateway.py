"""``python -m bench.gateway``: one gateway on one core, with a real Kafka and a real Valkey on the other.

Events in batches and Label Studio's webhooks at an even rate, answered when they are durable (acks=all; the spool synced); then as many
as it takes. Last, webhooks go on while Kafka stands still, and the log is read: is any lost, or out of its task's order?
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from bench import log, machine
from bench.stack import PARTITIONS, BenchError, Process, Stack, python, running_stack
from streams.models import topics

PREFIX = "g."
BATCH = 100
CONNECTIONS = 100
_HOOKS = "/v1/hooks/label-studio?source=bench"
_AWAY = "/v1/hooks/label-studio?source=away"


@dataclass
class Load:
    """Requests and what came of them.

    Attributes:
        seconds: From the time at which a request was due to its answer, one a request.
        statuses: How many had which status.
        until_s: When the last was answered, on the loop's clock.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    until_s: float = 0.0


def stamp(base: datetime, seconds: float) -> str:
    """Return a time of Label Studio."""
    return (base + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def events(first: int, base: datetime) -> bytes:
    """Return a batch of labels, each of a task of its own."""
    made = []
    for number in range(first, first + BATCH):
        data = {
            "label_id": f"l-{number}",
            "labeler_id": f"lab-{number % 500}",
            "queue": f"q{number % 20}",
            "values": ["hate"],
        }
        name = {"specversion": "1.0", "id": f"e{number}", "source": "bench", "subject": f"t{number}"}
        made.append({**name, "type": "floorwatch.label.submitted.v1", "time": stamp(base, 0), "data": data})
    return orjson.dumps(made)


def hook(number: int, base: datetime, saves: int = 1) -> bytes:
    """Return the webhook of one save of an annotation; ``saves`` of each follow one another."""
    which, save = divmod(number, saves)
    task = {"id": which, "created_at": stamp(base, 0), "updated_at": stamp(base, save), "overlap": 1, "project": 1}
    task |= {
        "total_annotations": 1,
        "cancelled_annotations": 0,
        "data": {"text": "x" * 1500, "queue": f"q{which % 20}"},
    }
    made = {"id": which, "unique_id": f"u-{which}", "created_at": stamp(base, 0), "updated_at": stamp(base, save)}
    made |= {
        "completed_by": which % 500,
        "updated_by": which % 500,
        "lead_time": 5.0 + save,
        "was_cancelled": False,
        "task": which,
    }
    choice = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [f"v{save}"]}}
    action = "ANNOTATION_UPDATED" if save else "ANNOTATION_CREATED"
    project = {"id": 1, "title": "Bench"}
    return orjson.dumps(
        {"action": action, "annotation": {**made, "result": [choice]}, "task": task, "project": project}
    )


class Client:
    """Connections to a gateway. Bodies with one key go over one connection, so they arrive in order."""

    def __init__(self, url: str, path: str) -> None:
        """Name the gateway."""
        place = urlsplit(url)
        self._host, self._port = str(place.hostname), int(place.port or 80)
        head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        self._head = head.encode()

    async def send(self, made: Callable[[int], bytes], wanted: int, rate: float, key: Callable[[int], int]) -> Load:
        """Send bodies 0 to ``wanted`` at an even rate, or as fast as they are answered where it is 0."""
        load = Load()
        began_s = asyncio.get_running_loop().time() + 0.2
        mine: list[list[int]] = [[] for _ in range(CONNECTIONS)]
        for number in range(wanted):
            mine[key(number) % CONNECTIONS].append(number)
        await asyncio.gather(*(self._connection(made, some, rate, began_s, load) for some in mine))
        load.until_s -= began_s
        return load

    async def _connection(
        self, made: Callable[[int], bytes], mine: list[int], rate: float, began_s: float, load: Load
    ) -> None:
        now_s = asyncio.get_running_loop().time
        reader, writer = await asyncio.open_connection(self._host, self._port)
        for number in mine:
            due_s = began_s + number / rate if rate else now_s()
            body = made(number)
            while True:
                if due_s > now_s():
                    await asyncio.sleep(due_s - now_s())
                writer.write(self._head + b"%d\r\n\r\n" % len(body) + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                size = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(size.partition(b":")[2]))
                status = int(answer[9:12])
                load.statuses[status] += 1
                if status != 503 or b"/events" not in self._head:
                    break
                await asyncio.sleep(0.5)  # as the SDK does; Label Studio never sends again
            load.seconds.append(now_s() - due_s)
            load.until_s = max(load.until_s, now_s())
        writer.close()


def spread_ms(values: list[float]) -> dict[str, float]:
    """Return median, 99th percentile (nearest rank) and largest of times, in milliseconds."""
    values = sorted(values)
    at = {name: values[max(0, -(-len(values) * share // 100) - 1)] for name, share in (("p50", 50), ("p99", 99))}
    return {**{name: round(one * 1000, 1) for name, one in at.items()}, "max": round(values[-1] * 1000, 1)}


@contextmanager
def gateway(stack: Stack, core: int) -> Iterator[tuple[Process, str]]:
    """Run a gateway on one core; gives its process and its address."""
    config = stack.folder / "floorwatch.yaml"
    limits = {"port": 0, "requests_per_s": 0, "spool_dir": str(stack.folder / "spool")}
    broker = {"brokers": [stack.brokers], "topic_prefix": PREFIX, "partitions": PARTITIONS}
    held = {"gateway": limits, "kafka": broker, "redis": {"url": stack.redis_url}}
    config.write_text(yaml.safe_dump(held))
    command = ["taskset", "-c", str(core), *python("floorwatch", "gateway", "--config", str(config))]
    with stack.run("gateway", command) as process:
        process.wait_for(lambda text: "gateway at http://" in text and "Kafka is reached" in text, 60, "listening")
        yield process, next(line.split()[2] for line in process.text().splitlines() if line.startswith("gateway at"))


async def measured(
    process: Process, url: str, path: str, made: Callable[[int], bytes], wanted: int, rate: float, each: int
) -> dict[str, Any]:
    """Return what came of a load: events a second, times in milliseconds, CPU seconds per million events."""
    before_s = process.cpu_s()
    load = await Client(url, path).send(made, wanted, rate, lambda number: number)
    cpu_s = process.cpu_s() - before_s
    count = wanted * each
    found: dict[str, Any] = {
        "events": count,
        "asked_per_s": rate * each or "most",
        "per_s": round(count / load.until_s),
    }
    found |= {"ms": spread_ms(load.seconds), "statuses": dict(load.statuses)}
    return {**found, "cpu_s_per_million": round(cpu_s / count * 1e6, 1), "cores": round(cpu_s / load.until_s, 2)}


async def away(stack: Stack, url: str, rate: float, seconds: float, stop_s: float) -> dict[str, Any]:
    """Send webhooks while Kafka stands still for some seconds; return what the log then holds of them."""
    base = datetime.now(UTC) - timedelta(hours=1)
    wanted, saves = int(rate * seconds), 4
    pid = kafka_pid(stack)
    sending = asyncio.create_task(
        Client(url, _AWAY).send(lambda n: hook(n, base, saves), wanted, rate, lambda n: n // saves)
    )
    await asyncio.sleep((seconds - stop_s) / 2)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(stop_s)
    finally:
        os.kill(pid, signal.SIGCONT)
    back_s = time.monotonic()
    load = await sending
    while len(found := await asyncio.to_thread(_on_log, stack)) < wanted:
        if time.monotonic() > back_s + 300:
            break
        await asyncio.sleep(3)
    # What was published again after a failure has the same id: only where it first stands counts.
    firsts: dict[str, dict[str, Any]] = {}
    for event in found:
        firsts.setdefault(event["id"], event)
    order: dict[str, list[str]] = defaultdict(list)
    for event in firsts.values():
        order[event["subject"]].append(event["time"])
    kept = sum(len(set(times)) for times in order.values())
    wrong = sum(times != sorted(set(times)) for times in order.values())
    said = {"sent": wanted, "away_s": stop_s, "lost": wanted - kept, "tasks_out_of_order": wrong, "records": len(found)}
    return {
        **said,
        "caught_up_after_s": round(time.monotonic() - back_s, 1),
        "ms": spread_ms(load.seconds),
        "statuses": dict(load.statuses),
    }


def _on_log(stack: Stack) -> list[dict[str, Any]]:
    """Return the labels that the log holds of the webhooks that were sent while Kafka was away, partition by partition."""
    raw = (value for _, value in log.read(stack, PREFIX + topics.RAW) if value and b"label-studio/away" in value)
    return [event for event in map(orjson.loads, raw) if event["type"] == "floorwatch.label.submitted.v1"]


def kafka_pid(stack: Stack) -> int:
    """Return the process of this run's Kafka: the one whose command names its folder."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"kafka.Kafka" in command and str(stack.folder).encode() in command:
                return int(folder.name)
    raise BenchError("Kafka's process is not found")


async def _run(given: argparse.Namespace, folder: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})  # and so Kafka, Valkey and the senders
    base = datetime.now(UTC) - timedelta(hours=2)
    with running_stack(folder) as stack:
        log.create(stack, topics.topic_specs(PREFIX, PARTITIONS))
        with gateway(stack, cores[0]) as (process, url):
            sent = 0
            for rate in (given.rate, 0):
                wanted = int((rate or 2 * given.rate) * given.seconds)
                first, sent = sent, sent + wanted
                batches = await measured(
                    process,
                    url,
                    "/v1/events",
                    lambda n, at=first: events(at + n * BATCH, base),
                    wanted // BATCH,
                    rate / BATCH,
                    BATCH,
                )
                print(json.dumps({"events": batches}), flush=True)
                hooks = await measured(process, url, _HOOKS, lambda n, at=first: hook(at + n, base), wanted, rate, 1)
                print(json.dumps({"webhooks": hooks}), flush=True)
            if given.away:
                print(
                    json.dumps({"away": await away(stack, url, given.away_rate, given.away + 20, given.away)}),
                    flush=True,
                )
            print(json.dumps({"memory_mb": round(process.memory_mb()), "load_average": os.getloadavg()}), flush=True)


def main() -> None:
    """Measure and print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=5000, help="events a second, of each kind")
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--away", type=float, default=60, help="seconds for which Kafka stands still; 0: not at all")
    parser.add_argument("--away-rate", type=float, default=2000, help="webhooks a second meanwhile")
    parser.add_argument("--keep", type=Path, help="folder to keep logs in")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="gateway-"))
    print(json.dumps(machine.facts()), flush=True)
    try:
        asyncio.run(_run(given, folder))
    except BenchError as error:
        raise SystemExit(f"{error}; logs in {folder}") from None


if __name__ == "__main__":
    main()
