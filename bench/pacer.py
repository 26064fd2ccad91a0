"""Sends labels, and audits of a tenth of them, at an even pace, and writes down when each label was sent.

Run by latency.py as a process of its own: ``python -m bench.pacer BROKERS TOPIC PARTITIONS RATE SECONDS OUT``. Each queue
gets tasks of one partition only, so that the labels of a queue are counted in the order in which they were sent.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

import orjson
from confluent_kafka import Producer

from streams.core.time_text import rfc3339
from streams.models.topics import partition_of

QUEUES_EACH = 5
"""Queues of one partition."""

_AUDIT_EVERY = 11
_AUDITED_AGO = 500


def label(number: int, at_ms: int, partition: int, rng: random.Random) -> tuple[str, bytes]:
    """Return the queue and the event of a label sent now."""
    who = rng.randrange(500)
    queue = f"q{partition * QUEUES_EACH + rng.randrange(QUEUES_EACH)}"
    data: dict[str, object] = {
        "label_id": f"l-{number}",
        "labeler_id": f"lab-{who:04d}",
        "team": f"team-{who % 25}",
        "site": f"S{who % 3}",
        "vendor": ("inhouse", "bpo-a", "bpo-b")[who // 3 % 3],
        "queue": queue,
        "policy": f"P{rng.randrange(12)}",
        "policy_version": "2026-11",
        "market": f"m{rng.randrange(5)}",
        "priority": "normal",
        "values": ["hate"],
        "started_at": rfc3339(at_ms - rng.randrange(5_000, 60_000)),
    }
    return queue, _event(f"e{number}", "label.submitted", number, at_ms, data)


def audit(number: int, at_ms: int) -> bytes:
    """Return the audit of a label sent before."""
    sampling = {"method": "random", "probability": 0.1}
    data = {"audit_id": f"a-{number}", "label_id": f"l-{number}", "auditor_id": "qa-1", "verdict": "correct"}
    return _event(f"a{number}", "audit.completed", number, at_ms, {**data, "sampling": sampling})


def _event(event_id: str, kind: str, number: int, at_ms: int, data: dict[str, object]) -> bytes:
    envelope = {
        "specversion": "1.0",
        "source": "bench",
        "type": f"floorwatch.{kind}.v1",
        "time": rfc3339(at_ms),
        "id": event_id,
        "subject": f"t-{number}",
        "data": data,
    }
    return orjson.dumps(envelope)


def main() -> None:
    """Send for the asked time; every event is due at its own moment, late ones are sent at once."""
    brokers, topic, partitions, rate, seconds, out = sys.argv[1:7]
    count, pause_s = int(float(rate) * float(seconds)), 1 / float(rate)
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "linger.ms": 5, "log_level": 3})
    rng = random.Random(1)
    sent: dict[str, list[float]] = defaultdict(list)
    labels: list[int] = []
    worst_s, began = 0.0, time.time()
    for number in range(count):
        due = began + number * pause_s
        now = time.time()
        if now < due:
            producer.poll(0)
            time.sleep(due - now)
            now = time.time()
        worst_s = max(worst_s, now - due)
        audited = number % _AUDIT_EVERY == 0 and len(labels) > _AUDITED_AGO
        task = labels[-_AUDITED_AGO] if audited else number
        key = f"t-{task}".encode()
        partition = partition_of(key, int(partitions))
        if audited:
            value = audit(task, int(now * 1000))
        else:
            queue, value = label(number, int(now * 1000), partition, rng)
            sent[queue].append(now)
            labels.append(number)
        producer.produce(topic, value, key, partition=partition)
    left = producer.flush(30)
    took_s = time.time() - began
    report = {"sent": sent, "unsent": left, "worst_late_s": worst_s, "rate": count / took_s}
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
