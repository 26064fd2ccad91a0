"""Workload W of the benchmarks: labels 1 ms apart, a tenth audited up to ten minutes later."""

from __future__ import annotations

import heapq
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson

from streams.core.time_text import rfc3339

START_MS = 1_795_396_200_000
SHAPE = 2
"""Counts up when the events change, so that no old cache is read."""

_AUDIT_SHARE = 0.1
_WRONG_SHARE = 0.06
_LATER_MS = 600_000


def workload(
    labels: int, seed: int = 1, labelers: int = 500, start_ms: int = START_MS
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (task id, event) in order of event time: 20 queues, 12 policies, 3 vendors, 3 sites.

    Args:
        labels: How many labels; about a tenth of that in audits comes on top.
        seed: The same seed gives the same events.
        labelers: How many people they are spread over.
        start_ms: Time of the first label; each next one is 1 ms later.
    """
    rng = random.Random(seed)
    audits: list[tuple[int, int, str, dict[str, object]]] = []
    for n in range(labels):
        at_ms = start_ms + n
        while audits and audits[0][0] <= at_ms:
            yield _encoded(*heapq.heappop(audits))
        yield _encoded(at_ms, n, "label.submitted", _label(n, at_ms, rng, labelers))
        if rng.random() < _AUDIT_SHARE:
            audit = _audit(n, rng)
            heapq.heappush(audits, (at_ms + rng.randrange(_LATER_MS), n, "audit.completed", audit))
    while audits:
        yield _encoded(*heapq.heappop(audits))


def _label(n: int, at_ms: int, rng: random.Random, labelers: int) -> dict[str, object]:
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
    return {"id": f"e{n}", "subject": f"t-{n}", "data": data}


def _audit(n: int, rng: random.Random) -> dict[str, object]:
    wrong = rng.random() < _WRONG_SHARE
    audit: dict[str, object] = {
        "audit_id": f"a-{n}",
        "label_id": f"l-{n}",
        "auditor_id": "qa-1",
        "verdict": "incorrect" if wrong else "correct",
        "sampling": {"method": "random", "probability": _AUDIT_SHARE},
    }
    if wrong:
        audit |= {"error_class": "false_positive", "severity": "major"}
    return {"id": f"a{n}", "subject": f"t-{n}", "data": audit}


def _encoded(at_ms: int, _: int, kind: str, body: dict[str, object]) -> tuple[bytes, bytes]:
    envelope = {"specversion": "1.0", "source": "bench", "type": f"floorwatch.{kind}.v1", "time": rfc3339(at_ms)}
    return str(body["subject"]).encode(), orjson.dumps(envelope | body)


def cached(labels: int, seed: int = 1, labelers: int = 500) -> Path:
    """Return a file of the workload, made the first time: one event a line, its task id and a tab before it.

    The file stands in ``FLOORWATCH_BENCH_CACHE`` or a folder of the system's temporary one.
    """
    folder = Path(os.environ.get("FLOORWATCH_BENCH_CACHE") or Path(tempfile.gettempdir()) / "floorwatch-bench")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"w{SHAPE}-{labels}-{labelers}-{seed}.tsv"
    if not path.exists():
        partial = folder / f"{path.name}.{os.getpid()}"
        with partial.open("wb", buffering=1 << 20) as file:
            file.writelines(b"%s\t%s\n" % event for event in workload(labels, seed, labelers))
        partial.rename(path)
    return path


def load(labels: int, seed: int = 1, labelers: int = 500) -> Iterator[tuple[bytes, bytes]]:
    """Yield (task id, event) of the workload from its file."""
    with cached(labels, seed, labelers).open("rb", buffering=1 << 20) as file:
        for line in file:
            key, _, value = line[:-1].partition(b"\t")
            yield key, value


def open_tasks(tasks: int, start_ms: int = START_MS) -> Iterator[tuple[bytes, bytes]]:
    """Yield (task id, event) of tasks nobody has labelled: created 1 ms apart, due a day later."""
    for n in range(tasks):
        at_ms = start_ms + n
        data: dict[str, object] = {
            "queue": f"q{n % 20}",
            "policy": f"P{n % 12}",
            "market": f"m{n % 5}",
            "priority": "normal",
            "due_at": rfc3339(at_ms + 86_400_000),
        }
        yield _encoded(at_ms, n, "task.created", {"id": f"c{n}", "subject": f"t-{n}", "data": data})
