"""Writes a floor's ordinary labels, and audits of a tenth of them, at an even pace for little CPU.

Run by breaches.py as a process of its own: ``python -m bench.labels_writer BROKERS TOPIC PARTITIONS RATE SECONDS FIRST OUT``; FIRST is
the number of the first event, as a number that was there is a duplicate. What an event says is made beforehand, only its number and its
times are filled in, so that the writer takes no core that the worker needs.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import orjson
from confluent_kafka import Producer

from streams.core.time_text import rfc3339
from streams.models.topics import partition_of

BATCH_S = 0.02
_AUDIT_EVERY, _AUDITED_AGO = 11, 5_000
_KINDS = 2_048
_NUMBER, _NOW, _BEGUN = "@number@", "@now@", "@begun@"


def _template(kind: str, prefix: str, data: dict[str, object]) -> bytes:
    envelope = {
        "specversion": "1.0",
        "source": "bench",
        "type": f"floorwatch.{kind}.v1",
        "time": _NOW,
        "id": prefix + _NUMBER,
        "subject": f"t-{_NUMBER}",
        "data": data,
    }
    text = orjson.dumps(envelope).replace(b"%", b"%%")
    for name in (_NUMBER, _NOW, _BEGUN):
        text = text.replace(name.encode(), b"%%(%s)b" % name.strip("@").encode())
    return text


def templates(rng: random.Random) -> list[bytes]:
    """Return labels of 500 people in 20 queues, 12 policies, 5 markets, 3 vendors and 3 sites, without their number and times."""
    made = []
    for _ in range(_KINDS):
        who, queue = rng.randrange(500), rng.randrange(20)
        data: dict[str, object] = {
            "label_id": f"l-{_NUMBER}",
            "labeler_id": f"lab-{who:04d}",
            "team": f"team-{who % 25}",
            "site": f"S{who % 3}",
            "vendor": ("inhouse", "bpo-a", "bpo-b")[who // 3 % 3],
            "queue": f"q{queue}",
            "policy": f"P{rng.randrange(12)}",
            "policy_version": "2026-11",
            "market": f"m{queue % 5}",
            "priority": "normal",
            "values": ["hate"],
            "started_at": _BEGUN,
        }
        made.append(_template("label.submitted", "e", data))
    return made


def audit_template() -> bytes:
    """Return a random audit of a label, without its number and time."""
    audit = {"audit_id": f"a-{_NUMBER}", "label_id": f"l-{_NUMBER}", "auditor_id": "qa-1", "verdict": "correct"}
    return _template("audit.completed", "a", {**audit, "sampling": {"method": "random", "probability": 0.1}})


class Writer:
    """Makes the events of one moment after the other."""

    def __init__(self, producer: Producer, topic: str, partitions: int, first: int) -> None:
        self._producer, self._topic, self._partitions, self._first = producer, topic, partitions, first
        self._labels, self._audit = templates(random.Random(1)), audit_template()
        self.written = 0

    def write(self, count: int, now_ms: int) -> None:
        """Write some events of now; none waits for the broker."""
        times = {b"now": rfc3339(now_ms).encode(), b"begun": rfc3339(now_ms - 30_000 - now_ms % 7_000).encode()}
        produce, kinds = self._producer.produce, self._labels
        begin = self._first + self.written
        for number in range(begin, begin + count):
            audited = number % _AUDIT_EVERY == 0 and number > self._first + 2 * _AUDITED_AGO
            task = b"%d" % (number - _AUDITED_AGO + 1 if audited else number)
            template = self._audit if audited else kinds[number % _KINDS]
            key = b"t-" + task
            value = template % {**times, b"number": task}
            produce(self._topic, value, key, partition=partition_of(key, self._partitions))
        self.written += count


def main() -> None:
    """Write for the asked time; what is due late is written at once."""
    brokers, topic, partitions, rate, seconds, first, out = sys.argv[1:8]
    settings = {"linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "log_level": 3}
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", **settings})
    writer = Writer(producer, topic, int(partitions), int(first))
    began, worst_s = time.time(), 0.0
    while (passed_s := time.time() - began) < float(seconds):
        due = int(passed_s * float(rate)) - writer.written
        worst_s = max(worst_s, due / float(rate) - BATCH_S)
        writer.write(min(due, 20_000), int(time.time() * 1000))
        producer.poll(0)
        time.sleep(BATCH_S)
    left = producer.flush(60)
    took_s, cpu_s = time.time() - began, time.process_time()
    report = {"written": writer.written, "unsent": left, "rate": writer.written / took_s, "worst_late_s": worst_s}
    Path(out).write_text(json.dumps({**report, "cpu_share": cpu_s / took_s}))


if __name__ == "__main__":
    main()
