"""A small, nasty log: every kind of event in random order on few tasks, with repeats, disorder and jumps in time."""

from __future__ import annotations

import json
import random
from typing import Any

from streams.core.records import Record
from streams.core.time_text import rfc3339

START_MS = 1_795_392_000_000
MINUTE_MS = 60_000


def small_log(seed: int, events: int = 400) -> list[Record]:
    """Return ``events`` records of one partition."""
    rng = random.Random(seed)
    now_ms = START_MS
    sent: list[bytes] = []
    for number in range(events):
        now_ms += rng.choice((0, 500, 5_000, 90_000, 700_000 if rng.random() < 0.2 else 1_000))
        if rng.random() < 0.01:
            now_ms += rng.choice((2, 8, 40)) * 3_600_000
        if sent and rng.random() < 0.06:
            sent.append(rng.choice(sent[-50:]))
            continue
        at_ms = now_ms - rng.choice((0, 0, 0, 30_000, 600_000, 5 * 3_600_000))
        task = f"t{rng.randrange(max(4, events // 12))}"
        kind, data = _event(rng, at_ms)
        sent.append(
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": f"e{number}" if rng.random() > 0.02 else f"e{number // 2}",
                    "source": "gen",
                    "type": f"floorwatch.{kind}.v1",
                    "subject": task if kind != "clock.tick" else "clock",
                    "time": rfc3339(at_ms),
                    "data": data,
                }
            ).encode()
        )
    return [Record(offset, 0, None, value) for offset, value in enumerate(sent)]


def _event(rng: random.Random, at_ms: int) -> tuple[str, dict[str, Any]]:
    label, audit = f"l{rng.randrange(3)}", f"a{rng.randrange(3)}"
    dims = {"queue": f"q{rng.randrange(2)}", "vendor": rng.choice(("v1", "v2")), "policy": "p1"}
    kind = rng.choices(
        (
            *("task.created", "label.submitted", "audit.completed", "label.withdrawn", "audit.withdrawn"),
            *("appeal.opened", "appeal.decided", "task.cancelled", "clock.tick", "task.claimed"),
        ),
        (25, 40, 20, 3, 3, 3, 5, 1, 2, 2),
    )[0]
    target = rng.choice(({"against": "audit", "audit_id": audit}, {"against": "label", "label_id": label}))
    data: dict[str, dict[str, Any]] = {
        "task.created": {
            **dims,
            "due_at": rfc3339(at_ms + rng.choice((60_000, 3_600_000, 86_400_000))),
            "required_labels": rng.choice((1, 1, 2)),
        },
        "label.submitted": {
            "label_id": label,
            "labeler_id": f"w{rng.randrange(3)}",
            "started_at": rfc3339(at_ms - rng.randrange(90_000)),
            "values": rng.choice((["hate"], ["safe"], ["safe", "hate"], ["hate", "safe", "hate"], [])),
            **(dims if rng.random() < 0.7 else {"site": "KUL"}),
        },
        "audit.completed": {
            "audit_id": audit,
            "verdict": rng.choice(("correct", "incorrect", "correct", "incorrect", "incomparable")),
            **({"label_id": label} if rng.random() < 0.8 else {}),
            **({"sampling": {"probability": rng.choice((0.05, 0.3))}} if rng.random() < 0.8 else {}),
        },
        "label.withdrawn": {"label_id": label},
        "audit.withdrawn": {"audit_id": audit},
        "appeal.opened": {"appeal_id": f"p{rng.randrange(2)}", **target},
        "appeal.decided": {
            "appeal_id": f"p{rng.randrange(2)}",
            "outcome": rng.choice(("upheld", "overturned")),
            **target,
        },
        "task.cancelled": {},
        "clock.tick": {},
        "task.claimed": {"labeler_id": "w1"},
    }
    return kind, data[kind]
