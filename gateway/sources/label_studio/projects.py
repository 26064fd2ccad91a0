"""The open tasks of each project: Label Studio deletes a project with one webhook, which names none of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.sources import page_index
from gateway.sources.label_studio.events import task_key
from gateway.sources.label_studio.read import Hook
from gateway.webhooks import Remembered

_WHOLE = frozenset({"PROJECT_DELETED", "TASKS_DELETED"})


def project_of(hook: Hook) -> Any:
    """Return the id of the project whose tasks a webhook may enter, or None."""
    found = (hook.get("project") or {}).get("id")
    items = [*(hook["tasks"] or ()), *(hook["annotations"] or ())]
    return (
        found if found is not None else next((one["project"] for one in items if one.get("project") is not None), None)
    )


def keys(source: str, hook: Hook, seen: Mapping[str, Remembered]) -> list[str]:
    """Return the keys of the project's index that a webhook needs, given what is known so far."""
    project = project_of(hook)
    if project is None or hook["action"].startswith(("PROJECT_CREATED", "PROJECT_UPDATED", "LABEL_LINK_", "REVIEW")):
        return []
    whole = hook["action"] in _WHOLE
    found = page_index.keys(source, _name(project), seen, None, whole=whole)
    for one in hook["annotations"] or ():
        task = seen.get(task_key(source, one.get("task")))
        if task is not None and task.get("page"):
            found += page_index.keys(source, _name(project), seen, task, whole=False)
    return found


def entered(source: str, project: Any, task_id: Any, generation: int, seen: Mapping[str, Remembered]) -> Any:
    """Return the page on which a new task stands, 0 for none where the index is full, and what has changed."""
    return page_index.entered(source, _name(project), _entry(task_id, generation), seen)


def left(source: str, record: Remembered, task_id: Any, seen: Mapping[str, Remembered]) -> dict[str, Remembered]:
    """Return what changes when a task is complete or deleted: its project's deletion then does not cancel it."""
    if not record.get("page"):
        return {}
    held = {"dataset": _name(record["project"]), "page": record["page"]}
    return page_index.left(source, held, _entry(task_id, record["generation"]), seen)


def open_tasks(source: str, project: Any, seen: Mapping[str, Remembered]) -> list[tuple[str, int]]:
    """Return id and generation of the tasks of a project that are open, in the order in which they came."""
    pairs = (entry.rpartition(":") for entry in page_index.records(source, _name(project), seen))
    return [(task_id, int(generation)) for task_id, _, generation in pairs]


def is_full(source: str, project: Any, seen: Mapping[str, Remembered]) -> bool:
    """Tell whether the project had more tasks than an index holds."""
    return bool(page_index.index_of(source, _name(project), seen)["full"])


def emptied(source: str, project: Any) -> dict[str, Remembered]:
    """Return the index of a project that was deleted: its id may be given out again."""
    return page_index.fresh(source, _name(project))


def _name(project: Any) -> str:
    return f"project-{project}"


def _entry(task_id: Any, generation: int) -> str:
    return f"{task_id}:{generation}"
