"""Label Studio's webhooks as contract events: a pure mapping, given the tool state that earlier webhooks left.

Label Studio sends no event id, no event time and no verdict. Ids are made of the content, so that the same webhook
twice is a duplicate; a change by somebody other than the labeller is an audit; deletions name neither task nor label,
so both are remembered. The label remembered as the original is always the labeller's own, never a reviewer's.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.sources import page_index
from gateway.sources.base import TranslationContext
from gateway.sources.label_studio import projects
from gateway.sources.label_studio.annotation import AnnotationMapping, copy_audit_id, is_older
from gateway.sources.label_studio.due import BadDueTime
from gateway.sources.label_studio.events import Maker, annotation_key, project_id, review_key, task_key
from gateway.sources.label_studio.read import Hook, distill, malformed, names_controls, need, time_of
from gateway.sources.label_studio.review import review_withdrawn, reviewed, reviewed_annotation
from gateway.sources.label_studio.tasks import generation_of, instant, labels_needed, with_life
from gateway.webhooks import BadWebhook, Remembered, Translation, WebhookProblem, labels_wanted

_IGNORED = ("PROJECT_CREATED", "PROJECT_UPDATED", "LABEL_LINK_")


def lookups(payload: Hook, context: TranslationContext, seen: Mapping[str, Remembered]) -> list[str]:
    """Return the keys of the tool state that ``translate`` reads for a webhook, given what is known so far."""
    return lookups_of(distill(payload, context.settings), seen, context)


def lookups_of(hook: Hook, seen: Mapping[str, Remembered], context: TranslationContext) -> list[str]:
    """Return the keys of memory that ``translate_distilled`` reads, given what is known so far."""
    keys = [task_key(context.source, one.get("id")) for one in hook["tasks"] or ()]
    for one in hook["annotations"] or ():
        keys.append(annotation_key(context.source, one.get("id")))
        if one.get("task") is not None:
            keys.append(task_key(context.source, one["task"]))
        if one.get("parent_annotation") is not None:
            keys.append(annotation_key(context.source, one["parent_annotation"]))
    for one in hook.get("reviews") or ():
        keys.append(review_key(context.source, one.get("id")))
        keys.append(annotation_key(context.source, reviewed_annotation(one, hook)))
    keys += projects.keys(context.source, hook, seen)
    return list(dict.fromkeys(keys))


def translate(payload: Hook, seen: Mapping[str, Remembered], context: TranslationContext) -> Translation:
    """Return what a webhook means.

    Args:
        payload: The decoded body, or its distilled form.
        seen: Records remembered under ``lookups`` of the same webhook.
        context: Source, time of arrival, settings.

    Returns:
        Events in order, what to remember, and what could not be translated. The same arguments give the same events.

    Raises:
        BadWebhook: It is not a webhook of Label Studio.
    """
    return translate_distilled(distill(payload, context.settings), seen, context)


def translate_distilled(hook: Hook, seen: Mapping[str, Remembered], context: TranslationContext) -> Translation:
    """Return what a distilled webhook means; see ``translate``."""
    action = hook["action"]
    if action.startswith(_IGNORED):
        return Translation(ignored=f"{action} says nothing about labels")
    work = _Work(hook, seen, context)
    handler = work.handlers.get(action)
    if handler is None:
        return Translation(problems=[work.problem_of_action()])
    handler()
    if work.out.events or work.out.problems:
        work.out.ignored = None
    elif work.out.ignored is None:
        work.out.ignored = f"{action} names nothing"
    return work.out


class _Work:
    """One webhook under translation."""

    def __init__(self, hook: Hook, seen: Mapping[str, Remembered], context: TranslationContext) -> None:
        self.hook = hook
        self.action: str = hook["action"]
        self.context = context
        self.seen = seen
        self.out = Translation()
        self.now = ChainMap(self.out.remember, dict(seen))
        self.received = datetime.fromtimestamp(context.received_ms / 1000, UTC)
        self.handlers: dict[str, Callable[[], None]] = {
            "PROJECT_DELETED": self._project_deleted,
            "TASKS_CREATED": lambda: self._each("tasks", self._task_created),
            "TASKS_DELETED": lambda: self._each("tasks", self._task_deleted),
            "ANNOTATION_CREATED": lambda: self._each("annotations", self._annotation),
            "ANNOTATIONS_CREATED": lambda: self._each("annotations", self._annotation),
            "ANNOTATION_UPDATED": lambda: self._each("annotations", self._annotation),
            "ANNOTATIONS_DELETED": lambda: self._each("annotations", self._annotation_deleted),
            "REVIEW_CREATED": lambda: self._each("reviews", self._review),
            "REVIEW_UPDATED": lambda: self._each("reviews", self._review),
            "REVIEWS_DELETED": lambda: self._each("reviews", self._review_deleted),
        }

    def problem_of_action(self) -> WebhookProblem:
        return WebhookProblem(
            "unknown_type",
            "$.action",
            f"Label Studio sent the action {self.action}, which Floorwatch does not know; nothing was counted for it",
            {"action": self.action},
        )

    def _each(self, name: str, handle: Callable[[dict[str, Any], str], None]) -> None:
        """Handle items one by one. A bad one goes to the dead letters; the others are counted."""
        items = self.hook.get(name)
        if items is None:
            reason = f"the webhook has no {name}, so what happened cannot be counted; switch on 'Send payload' in Label Studio"
            self._problem("missing_field", f"$.{name.removesuffix('s')}", reason, {})
            return
        for index, item in enumerate(items, self.hook.get("first", 0)):
            place = f"$.{name}[{index}]"
            kind = malformed(item)
            if kind is not None:
                reason = f"{place} is {kind} and not an object, so what happened cannot be counted"
                self._problem("wrong_type", place, reason, {})
                continue
            try:
                handle(item, place)
            except BadWebhook as fault:
                self._problem(fault.code, fault.field, fault.reason, item)

    def _problem(self, code: str, where: str | None, reason: str, item: dict[str, Any]) -> None:
        summary = {"action": self.action, "project": (self.hook.get("project") or {}).get("id")}
        summary |= {name: item[name] for name in ("id", "unique_id", "task") if name in item}
        self.out.problems.append(WebhookProblem(code, where, reason, summary))

    def _maker(self, item: dict[str, Any], task: dict[str, Any] | None, task_id: Any) -> Maker:
        project = project_id(item, task, self.hook)
        if project is None:
            raise BadWebhook("missing_field", "$.project.id", "the webhook names no project")
        generation = generation_of(self._known_task(task_id), (task or {}).get("created_at"))
        title = (self.hook.get("project") or {}).get("title")
        source, settings = self.context.source, self.context.settings
        named = names_controls(self.hook.get("project") or {}, settings)
        return Maker(self.action, source, settings, project, task_id, task, title, generation, named)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _task_created(self, task: dict[str, Any], place: str) -> None:
        task_id = need(task, "id", place)
        time = time_of(task, "created_at", place)
        maker = self._maker({}, task, task_id)
        self._unreadable_due(maker, task, place)
        self.out.events.append(maker.task_created(time))
        known = self._known_task(task_id)
        record = with_life(known, maker.project, task["created_at"], maker.generation)
        if maker.generation == record["generation"] and "wanted" not in record:
            record = {**record, "wanted": labels_wanted(task.get("overlap"))}
        self._remember_life(maker, known, record)

    def _remember_life(self, maker: Maker, known: Remembered | None, record: Remembered) -> None:
        """Remember a task; one that is new is entered among the open tasks of its project."""
        if record == known:
            return
        source = self.context.source
        new = known is None or record["generation"] != known["generation"]
        if new and maker.project == projects.project_of(self.hook):
            page, changed = projects.entered(source, maker.project, maker.task_id, maker.generation, self.now)
            self.out.remember.update(changed)
            record = {**record, "page": page}
        self.out.remember[task_key(source, maker.task_id)] = record

    def _leave(self, record: Remembered, task_id: Any) -> None:
        self.out.remember.update(projects.left(self.context.source, record, task_id, self.now))

    def _project_deleted(self) -> None:
        """Cancel the open tasks of the project that were seen here: Label Studio tells of none."""
        source = self.context.source
        project = need(self.hook.get("project") or {}, "id", "$.project")
        for task_id, generation in projects.open_tasks(source, project, self.now):
            maker = self._maker({"project": project}, None, task_id)
            maker.generation = generation
            self.out.events.append(maker.task_cancelled(self.received, "the project was deleted in the tool"))
        full = projects.is_full(source, project, self.now)
        if not self.out.events and not full:
            self.out.ignored = "no open task of the deleted project is known here"
            return
        if full:
            reason = (
                f"the deleted project had more than {page_index.MOST_RECORDS} tasks; those after them are not cancelled; send a "
                "task.cancelled event for each that is open"
            )
            self._problem("too_many_tasks", "$.project.id", reason, {})
        self.out.remember.update(projects.emptied(source, project))

    def _known_task(self, task_id: Any) -> Remembered | None:
        key = task_key(self.context.source, task_id)
        return self.out.remember.get(key) or self.seen.get(key)

    def _unreadable_due(self, maker: Maker, task: dict[str, Any], place: str) -> None:
        """Report a due time that cannot be read. The task counts without one."""
        try:
            maker.due_at()
        except BadDueTime as fault:
            where = f"{place}.data.{self.context.settings.due_field}"
            self._problem("wrong_time", where, f"{where} {fault}; the task has no SLA", task)

    def _task_deleted(self, task: dict[str, Any], place: str) -> None:
        task_id = need(task, "id", place)
        key = task_key(self.context.source, task_id)
        known = self.seen.get(key)
        project = known["project"] if known else project_id({}, None, self.hook)
        if project is None:
            raise BadWebhook(
                "unknown_task",
                f"{place}.id",
                f"task {task_id} was deleted, but the webhook names no project and the task was never seen here; "
                "send a task.cancelled event if it counts",
            )
        maker = self._maker({"project": project}, None, task_id)
        deleted_ms = (known or {}).get("deleted_ms") or self.context.received_ms
        self.out.events.append(maker.task_cancelled(datetime.fromtimestamp(deleted_ms / 1000, UTC)))
        record = known or {"project": project, "created_at": None, "generation": 1}
        self.out.remember[key] = {**record, "deleted_ms": deleted_ms}
        self._leave(record, task_id)

    # -- annotations ---------------------------------------------------------------------------------------------

    def _annotation(self, annotation: dict[str, Any], place: str) -> None:
        task_id = annotation.get("task")
        tasks = self.hook["tasks"] or []
        if task_id is None and len(tasks) == 1:
            task_id = tasks[0].get("id")
        if task_id is None:
            raise BadWebhook("missing_field", f"{place}.task", f"{place} names no task")
        task = next((one for one in tasks if one.get("id") == task_id), None)
        key = annotation_key(self.context.source, need(annotation, "id", place))
        # A webhook with several annotations may name one twice. The second is read with the state that the first left.
        known, older = self.out.remember.get(key) or self.seen.get(key), False
        if known is not None and known["uid"] != annotation.get("unique_id"):
            # SQLite gives the id of a deleted annotation out again.
            older = is_older(annotation, known)
            if older and self.action == "ANNOTATION_UPDATED":
                self.out.ignored = "it is of an annotation that was deleted, and whose id another has now"
                return
            known = None
        maker = self._maker(annotation, task, task_id)
        self._remember_task(maker, task)
        parent_key = annotation_key(self.context.source, annotation.get("parent_annotation"))
        parent = self.out.remember.get(parent_key) or self.seen.get(parent_key)
        mapping = AnnotationMapping(maker, annotation, known, place, parent)
        events, record = mapping.updated() if self.action == "ANNOTATION_UPDATED" else mapping.created()
        self.out.events += events
        self.out.audited.update(maker.audited)
        if record is not None and not older:
            self.out.remember[key] = record
        self._tell_wanted(maker, task, annotation, place)
        if not events:
            self.out.ignored = "nothing to count: a save that is no verdict, a skip saved again, or an earlier state"

    def _remember_task(self, maker: Maker, task: dict[str, Any] | None) -> None:
        """Remember a task that is older than this gateway, because its deletion may name no project."""
        known = self._known_task(maker.task_id)
        if task is not None:
            record = with_life(known, maker.project, task.get("created_at"), maker.generation)
            self._remember_life(maker, known, record)

    def _tell_wanted(self, maker: Maker, task: dict[str, Any] | None, annotation: dict[str, Any], place: str) -> None:
        """Tell how many labels the task wants where that has changed: by skips under IGNORE_SKIPPED, or another overlap."""
        known = self._known_task(maker.task_id)
        changed = None if task is None else instant(task.get("updated_at"))
        if task is None or known is None or changed is None or instant(task.get("created_at")) is None:
            return
        before = instant(known.get("wanted_at"))
        if maker.generation != known["generation"] or known.get("wanted") == 0 or (before and changed < before):
            return
        wanted = labels_needed(task, self.hook.get("project") or {})
        total = task.get("total_annotations")
        if type(total) is int and total >= wanted:
            self._leave(known, maker.task_id)
        if wanted == known.get("wanted", labels_wanted(task.get("overlap"))):
            return
        at = time_of(annotation, "updated_at" if "updated_at" in annotation else "created_at", place)
        created = time_of(task, "created_at", f"{place}.task")
        event = maker.task_created(created, wanted) if wanted else maker.task_cancelled(at, "skipped in the tool")
        self.out.events.append(event)
        record = {**known, "wanted": wanted, "wanted_at": task["updated_at"]}
        self.out.remember[task_key(self.context.source, maker.task_id)] = record

    def _annotation_deleted(self, annotation: dict[str, Any], place: str) -> None:
        annotation_id = need(annotation, "id", place)
        key = annotation_key(self.context.source, annotation_id)
        known = self.seen.get(key)
        project = project_id({}, None, self.hook)
        if known is None or (project is not None and known["project"] != project):
            raise BadWebhook(
                "unknown_annotation",
                f"{place}.id",
                f"annotation {annotation_id} was deleted, but its creation never reached this gateway (or longer ago "
                "than gateway.memory_ttl_s), so its task is unknown; send a label.withdrawn event if it counts",
            )
        if known["skipped"]:
            self.out.ignored = "the deleted annotation was a skip, which counts nowhere"
            return
        maker, deleted_ms, time = self._deletion(known)
        if not known.get("copy"):
            self.out.events.append(maker.label_withdrawn(known["uid"], known["round"], time, "deleted in the tool"))
        elif known["said"]:
            audit_id = copy_audit_id(known["uid"])
            self.out.events.append(maker.audit_withdrawn(known["uid"], audit_id, time, "deleted in the tool"))
        self.out.remember[key] = {**known, "deleted_ms": deleted_ms}

    def _deletion(self, known: Remembered) -> tuple[Maker, int, datetime]:
        """Return maker, Unix milliseconds and time of a deletion. Told again it has the time of the first telling."""
        maker = self._maker({"project": known["project"]}, None, known["task"])
        maker.generation = known["generation"]
        deleted_ms = known.get("deleted_ms") or self.context.received_ms
        return maker, deleted_ms, datetime.fromtimestamp(deleted_ms / 1000, UTC)

    # -- reviews of the Enterprise edition -----------------------------------------------------------------------

    def _review(self, review: dict[str, Any], place: str) -> None:
        key = review_key(self.context.source, need(review, "id", place))
        annotation_id = reviewed_annotation(review, self.hook)
        label = None if annotation_id is None else self.seen.get(annotation_key(self.context.source, annotation_id))
        if label is None:
            raise BadWebhook(
                "unknown_annotation",
                f"{place}.annotation",
                f"{place} is of an annotation whose creation never reached this gateway (or longer ago than "
                "gateway.memory_ttl_s); send an audit.completed event if it counts",
            )
        maker = self._maker({"project": label["project"]}, None, label["task"])
        maker.generation = label["generation"]
        events, record = reviewed(maker, review, label, self.seen.get(key), place)
        self.out.events += events
        self.out.audited.update(maker.audited)
        if record is not None:
            self.out.remember[key] = record
        if not events:
            self.out.ignored = (
                "nothing to count: a review of a skip or of one's own, or with a change, which says it already"
            )

    def _review_deleted(self, review: dict[str, Any], place: str) -> None:
        key = review_key(self.context.source, need(review, "id", place))
        known = self.seen.get(key)
        if known is None:
            reason = f"{place} was deleted, but its creation never reached this gateway, so its label is unknown"
            raise BadWebhook("unknown_review", f"{place}.id", reason)
        maker, deleted_ms, time = self._deletion(known)
        self.out.events += review_withdrawn(maker, known, time)
        self.out.remember[key] = {**known, "deleted_ms": deleted_ms}
