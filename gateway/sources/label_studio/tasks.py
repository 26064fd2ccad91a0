"""Lives of a task under one id, and how many labels Label Studio wants of it.

With SQLite, its default database, Label Studio gives the ids of deleted tasks and annotations out again. Which life a webhook is
of is told by the time of creation that it carries itself, so a webhook that comes again, or late, finds its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.webhooks import Remembered, labels_wanted

_MOST_LIVES = 32
IGNORE_SKIPPED = "IGNORE_SKIPPED"


def generation_of(known: Remembered | None, created_at: Any) -> int:
    """Return which life of its id a task is: 1 for the first that was seen here.

    Args:
        known: What is remembered of the id.
        created_at: When the task of the webhook was created; None where the webhook does not say, then it is the latest.
    """
    if known is None:
        return 1
    born, moment = _lives(known), instant(created_at)
    if moment is None:
        return int(known["generation"])
    found = next((number for text, number in born.items() if instant(text) == moment), None)
    if found is not None:
        return found
    if born:
        return max(born.values()) + 1
    deleted_ms = known.get("deleted_ms")
    after = deleted_ms is not None and moment > datetime.fromtimestamp(deleted_ms / 1000, UTC)
    return int(known["generation"]) + (1 if after else 0)


def with_life(known: Remembered | None, project: Any, created_at: Any, generation: int) -> Remembered:
    """Return what is remembered of an id once a task was seen under it. The task created last is the current one."""
    record = known or {"project": project, "created_at": None, "generation": generation, "deleted_ms": None}
    born = _lives(record)
    moment, current = instant(created_at), instant(record["created_at"])
    if moment is None or any(instant(text) == moment for text in born):
        return record
    born = dict(list({**born, created_at: generation}.items())[-_MOST_LIVES:])
    record = {**record, "born": born}
    if current is not None and moment < current:
        return record
    same = generation == record["generation"]
    deleted_ms = record.get("deleted_ms") if same else None
    found = {**record, "project": project, "created_at": created_at, "generation": generation, "deleted_ms": deleted_ms}
    return found if same else {name: one for name, one in found.items() if name not in ("wanted", "wanted_at")}


def labels_needed(task: dict[str, Any], project: dict[str, Any]) -> int:
    """Return how many labels Label Studio still takes for complete, as its ``Task.completed_annotations`` has it.

    Under IGNORE_SKIPPED a skip counts there like an annotation, so the task needs one label less.

    Returns:
        At least 1; 0 where skips alone complete the task.
    """
    overlap = labels_wanted(task.get("overlap"))
    skips = task.get("cancelled_annotations") if project.get("skip_queue") == IGNORE_SKIPPED else 0
    needed = overlap - (skips if type(skips) is int and skips > 0 else 0)
    return needed if needed > 0 else 1 if task.get("total_annotations") else 0


def instant(text: Any) -> datetime | None:
    """Return a time of Label Studio; None where it is none."""
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return found if found.tzinfo is not None else None


def _lives(known: Remembered) -> dict[str, int]:
    held = known.get("born")
    if held is not None:
        return dict(held)
    return {} if known.get("created_at") is None else {known["created_at"]: known["generation"]}
