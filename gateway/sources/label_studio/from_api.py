"""Webhooks as Label Studio would have sent them, made of what its API and its exports say: for history and what was missed.

They mean the same events as the webhooks themselves, with the same ids and times, so whichever comes second changes nothing. Of an
annotation that was changed only its state now is left in Label Studio, so only its last version is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from gateway.sources.label_studio.api_records import ApiObject
from gateway.sources.label_studio.client import sorted_annotations
from gateway.sources.label_studio.tasks import instant

_SAME_SAVE = timedelta(milliseconds=10)
"""Label Studio reads the clock once for created_at and once for updated_at, some microseconds apart."""


def webhooks_of(project: ApiObject, tasks: Sequence[ApiObject]) -> Iterator[ApiObject]:
    """Yield webhooks for tasks and their annotations, in the order in which things happened to each task.

    Args:
        project: The project as ``LabelStudioApi.projects`` has it.
        tasks: Tasks with ``annotations``, as ``LabelStudioApi.task_pages`` yields them, or as a JSON export has them.

    Yields:
        First the creation of all tasks, then annotations, several in one webhook where the same happened to them.
    """
    if not tasks:
        return
    bare = [{name: one for name, one in task.items() if name != "annotations"} for task in tasks]
    yield {"action": "TASKS_CREATED", "project": project, "tasks": bare}
    by_id = {task.get("id"): task for task in bare}
    made = [(_action(one), one) for task in tasks for one in _annotations(task)]
    for action, group in groupby(made, key=lambda pair: pair[0]):
        annotations = [one for _, one in group]
        ids = dict.fromkeys(one.get("task") for one in annotations)
        held = [by_id[one] for one in ids if one in by_id]
        yield {"action": action, "project": project, "tasks": held, "annotations": annotations}


def tasks_deleted(project: ApiObject, task_ids: Iterable[int]) -> ApiObject:
    """Return the webhook of tasks that are no longer there."""
    return {"action": "TASKS_DELETED", "project": project, "tasks": [{"id": one} for one in task_ids]}


def annotations_deleted(project: ApiObject, annotation_ids: Iterable[int]) -> ApiObject:
    """Return the webhook of annotations that are no longer there."""
    return {"action": "ANNOTATIONS_DELETED", "project": project, "annotations": [{"id": one} for one in annotation_ids]}


def last_change(task: ApiObject) -> datetime | None:
    """Return when a task, or an annotation of it, changed last; None where nothing says so."""
    times = [instant(one.get("updated_at") or one.get("created_at")) for one in (task, *sorted_annotations(task))]
    return max((time for time in times if time is not None), default=None)


def _annotations(task: ApiObject) -> Iterator[ApiObject]:
    """Yield the annotations of a task, each naming task and project, as webhooks have them."""
    for one in sorted_annotations(task):
        named: dict[str, Any] = {"task": task.get("id"), "project": task.get("project")}
        yield {**one, **{name: value for name, value in named.items() if one.get(name) is None and value is not None}}


def _action(annotation: ApiObject) -> str:
    """Return with which action the webhook of an annotation's present state came."""
    created, updated = instant(annotation.get("created_at")), instant(annotation.get("updated_at"))
    if created is not None and updated is not None and updated - created > _SAME_SAVE:
        return "ANNOTATION_UPDATED"
    # A model's annotations are made by one action of Label Studio for many tasks.
    model = annotation.get("parent_prediction") is not None and annotation.get("lead_time") is None
    return "ANNOTATIONS_CREATED" if model else "ANNOTATION_CREATED"
