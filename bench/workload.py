"""Workload W of the benchmarks: labels 1 ms apart, a tenth audited up to ten minutes later."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

from streams.core.stamps import rfc3339

START_MS = 1_795_396_200_000


def workload(labels: int, seed: int = 1, labelers: int = 500) -> Iterator[tuple[bytes, bytes]]:
    """Yield (task id, event) in order of event time: 20 queues, 12 policies, 3 vendors, 3 sites."""
    rng = random.Random(seed)
    events: list[tuple[int, str, dict[str, object]]] = []
    for n in range(labels):
        at_ms = START_MS + n
        who = rng.randrange(labelers)
        queue = rng.randrange(20)
        data: dict[str, object] = {
            "label_id": f"l-{n}",
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
            "started_at": rfc3339(at_ms - int(rng.lognormvariate(10, 0.5))),
        }
        events.append((at_ms, "label.submitted", {"id": f"e{n}", "subject": f"t-{n}", "data": data}))
        if rng.random() < 0.1:
            wrong = rng.random() < 0.06
            audit: dict[str, object] = {
                "audit_id": f"a-{n}",
                "label_id": f"l-{n}",
                "auditor_id": "qa-1",
                "verdict": "incorrect" if wrong else "correct",
                "sampling": {"method": "random", "probability": 0.1},
            }
            if wrong:
                audit |= {"error_class": "false_positive", "severity": "major"}
            later = at_ms + rng.randrange(600_000)
            events.append((later, "audit.completed", {"id": f"a{n}", "subject": f"t-{n}", "data": audit}))
    events.sort(key=lambda event: event[0])
    for at_ms, kind, body in events:
        envelope = {"specversion": "1.0", "source": "bench", "type": f"floorwatch.{kind}.v1", "time": rfc3339(at_ms)}
        yield str(body["subject"]).encode(), orjson.dumps(envelope | body)
