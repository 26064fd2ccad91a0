"""Alerts under load: from the record of a signal to its receiver, and ten thousand breaches at once.

.venv/bin/python -m bench.breaches
.venv/bin/python -m bench.breaches --rate 10000 --minutes 6 --breaches 10000

On a real Kafka and a real Valkey one worker does everything. While a process writes labels at an even pace, a new queue gets a
task that has waited too long every two seconds; each is an incident and a message of its own. Then many queues get one at once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from bench import log
from bench.floor_runs import Floor, started
from bench.stack import PARTITIONS, BenchError, Process, Stack, python, running_stack
from streams.core.time_text import rfc3339
from streams.models import topics
from streams.models.topics import partition_of

PER_MINUTE, BURST = 6_000, 200
"""Messages that the channel may get."""

_EVERY_S = 2.0
_QUIET_S = 180.0
"""Without any further message, what has not come is lost."""


@dataclass
class Receiver:
    """What came: Unix seconds by incident key, and of every request."""

    came: dict[str, list[float]] = field(default_factory=dict)
    requests: list[float] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Note a message."""
        now_s = time.time()
        self.requests.append(now_s)
        found = orjson.loads(body)
        for key in [one["incident"]["key"] for one in found.get("members") or ()] or [found["incident"]["key"]]:
            self.came.setdefault(key, []).append(now_s)


def serve(receiver: Receiver) -> ThreadingHTTPServer:
    """Listen on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def waiting_task(queue: str, now_ms: int) -> tuple[str, bytes]:
    """Return the id and the event of a task that has waited for two hours in a queue."""
    task = f"w-{queue}"
    data = {"queue": queue, "created_at": rfc3339(now_ms - 7_200_000), "due_at": rfc3339(now_ms + 86_400_000)}
    envelope = {
        "specversion": "1.0",
        "source": "breaches",
        "type": "floorwatch.task.created.v1",
        "time": rfc3339(now_ms),
        "id": f"c-{queue}",
        "subject": task,
        "data": data,
    }
    return task, orjson.dumps(envelope)


def configuration(stack: Stack, url: str) -> dict[str, Any]:
    """Return the worker's configuration: one rule, a message for each queue, a limit of the channel."""
    rule = {
        "kind": "backlog_age",
        "name": "waiting",
        "scope": {"by": "queue"},
        "window": "1h",
        "target": "1h",
        "for": 1,
    }
    return {
        "kafka": {"brokers": [stack.brokers], "topic_prefix": "b.", "group": "b", "partitions": PARTITIONS},
        "redis": {"url": stack.redis_url, "prefix": "b:"},
        "tables": {"scopes": [["vendor"], ["queue"]], "audit_scopes": []},
        "alerts": {
            "channels": {"ops": {"type": "webhook", "url": url, "rate": {"per_minute": PER_MINUTE, "burst": BURST}}},
            "routes": {"default": {"notify": ["ops"], "group_by": ["queue"]}},
            "rules": [rule | {"severity": "page", "route": "default"}],
        },
    }


class Signals:
    """Reads signals.v1 in a thread: when the first firing signal of each queue was put on the log (Unix seconds)."""

    def __init__(self, job: Floor) -> None:
        """Read from the beginning."""
        self.first: dict[str, float] = {}
        self._consumer = Consumer({"bootstrap.servers": job.stack.brokers, "group.id": "signals", "log_level": 3})
        topic = job.topic(topics.SIGNALS)
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    with suppress(ValueError, KeyError):
                        found = orjson.loads(message.value())
                        if found["type"] == "signal" and found["firing"]:
                            self.first.setdefault(found["scope"]["queue"], message.timestamp()[1] / 1000)

    def close(self) -> None:
        """End the thread and disconnect."""
        self._ended.set()
        self._thread.join(10)
        self._consumer.close()


def spread(values: list[float]) -> dict[str, float]:
    """Return the number, median, 99th percentile and largest of times in seconds."""
    values = sorted(values)
    return {
        "count": len(values),
        "p50_s": round(values[len(values) // 2], 2),
        "p99_s": round(values[min(len(values) - 1, int(len(values) * 0.99))], 2),
        "max_s": round(values[-1], 2),
    }


def _queue_of(key: str) -> str:
    return key.partition("queue=")[2].partition("/")[0].partition("#")[0].partition(":")[0]


def latency(job: Floor, process: Process, receiver: Receiver, given: argparse.Namespace) -> dict[str, Any]:
    """Let single queues breach while labels come at a pace; times from signal and event to the receiver."""
    stack, seconds = job.stack, given.minutes * 60
    out = stack.folder / "sent.json"
    arguments = [stack.brokers, job.topic(topics.RAW), str(PARTITIONS), str(given.rate), str(seconds + 60), str(out)]
    pacer = stack.start("pacer", python("bench.pacer", *arguments))
    signals, sent = Signals(job), {}
    producer = Producer({"bootstrap.servers": stack.brokers, "linger.ms": 0, "log_level": 3})
    cpu, began = process.cpu_s(), time.monotonic()
    for number in range(int(seconds / _EVERY_S)):
        queue = f"late-{number}"
        task, value = waiting_task(queue, int(time.time() * 1000))
        producer.produce(job.topic(topics.RAW), value, task.encode(), partition=partition_of(task.encode(), PARTITIONS))
        producer.flush(10)
        sent[queue] = time.time()
        process.check("the messages")
        time.sleep(max(0.0, began + (number + 1) * _EVERY_S - time.monotonic()))
    busy_ratio = (process.cpu_s() - cpu) / (time.monotonic() - began)
    _until_quiet(lambda: len(receiver.came), lambda: len(receiver.came) >= len(sent), process)
    pacer.child.wait(120)
    signals.close()
    report = json.loads(out.read_text())
    arrived = {_queue_of(key): times[0] for key, times in receiver.came.items()}
    return {
        "events_per_s": round(report["rate"]),
        "worker_cpu_share": round(busy_ratio, 2),
        "sent": len(sent),
        "told": len(arrived),
        "from_signal": spread([at - signals.first[queue] for queue, at in arrived.items() if queue in signals.first]),
        "from_event": spread([at - sent[queue] for queue, at in arrived.items() if queue in sent]),
    }


def _until_quiet(count: Callable[[], int], done: Callable[[], bool], process: Process) -> None:
    seen, moved = count(), time.monotonic()
    while not done() and time.monotonic() - moved < _QUIET_S:
        process.check("the messages")
        time.sleep(0.5)
        if count() != seen:
            seen, moved = count(), time.monotonic()


def breaches(job: Floor, process: Process, receiver: Receiver, count: int) -> dict[str, Any]:
    """Let many queues breach at once; what came, how often, how fast, and the worker's memory."""
    receiver.came.clear()
    receiver.requests.clear()
    before_mb = process.memory_mb("VmRSS")
    producer = Producer({"bootstrap.servers": job.stack.brokers, "linger.ms": 5, "log_level": 3})
    began = time.time()
    for number in range(count):
        task, value = waiting_task(f"many-{number}", int(time.time() * 1000))
        producer.produce(job.topic(topics.RAW), value, task.encode(), partition=partition_of(task.encode(), PARTITIONS))
    producer.flush(60)
    _until_quiet(lambda: len(receiver.came), lambda: len(receiver.came) >= count, process)
    times = sorted(receiver.requests)
    most = max(
        (sum(1 for at in times if start <= at < start + 60) for start in times[:: max(1, len(times) // 200)]), default=0
    )
    return {
        "breaches": count,
        "written_in_s": round(time.time() - began, 1) if not times else round(times[0] - began, 1),
        "incidents_told": sum(key.find("many-") >= 0 for key in receiver.came),
        "requests": len(times),
        "told_more_than_once": sum(len(found) > 1 for found in receiver.came.values()),
        "most_in_a_minute": most,
        "allowed_in_a_minute": PER_MINUTE + BURST,
        "took_s": round(times[-1] - began, 1) if times else None,
        "memory_mb": {
            "before": round(before_mb),
            "most": round(process.memory_mb()),
            "after": round(process.memory_mb("VmRSS")),
        },
        "statuses": dict(Counter(["204"] * len(times))),
    }


def main() -> None:
    """Measure and print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=10_000, help="labels a second beside it")
    parser.add_argument("--minutes", type=float, default=6.0, help="of single breaches")
    parser.add_argument("--breaches", type=int, default=10_000, help="at once")
    parser.add_argument("--keep", type=Path, help="folder to keep logs in")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="breaches-"))
    receiver = Receiver()
    server = serve(receiver)
    with running_stack(folder) as stack:
        config = folder / "floorwatch.yaml"
        config.write_text(yaml.safe_dump(configuration(stack, f"http://127.0.0.1:{server.server_address[1]}/")))
        log.create(stack, topics.topic_specs("b.", PARTITIONS))
        job = Floor(stack, "b.", "b", config)
        process = job.start()
        started(process, "ledger")
        figures: dict[str, Any] = {}
        try:
            if given.minutes:
                print(json.dumps(latency(job, process, receiver, given)), flush=True)
            if given.breaches:
                print(json.dumps(breaches(job, process, receiver, given.breaches)), flush=True)
        except BenchError as error:
            raise SystemExit(f"{error}; logs in {folder}; so far {figures}") from None
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
