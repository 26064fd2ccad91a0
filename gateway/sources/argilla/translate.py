"""Argilla's webhooks as contract events: a pure mapping, given the tool state that earlier webhooks left.

Argilla sends each webhook until it is taken, with a new webhook-id each time and the same body. So an event's id is made
of its content, and a state of a response that is not later than the one known is passed over. Ids are never given out
twice. The envelope's ``timestamp`` is the time of what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sources import page_index
from gateway.sources.argilla.events import EventMaker
from gateway.sources.argilla.read import time_of
from gateway.sources.argilla.response import ResponseMapping
from gateway.sources.base import TranslationContext, Webhook
from gateway.sources.raw_json import need
from gateway.webhooks import BadWebhook, Remembered, Translation, WebhookProblem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

IGNORED = {
    "ping": "a ping only asks whether the gateway answers",
    "dataset.created": "a dataset holds no work before it has records",
    "dataset.updated": "a dataset's own fields are counted nowhere",
    "dataset.published": "a dataset holds no work before it has records",
    "record.updated": "a record's dimensions are those it was created with; its answers come as responses",
    "record.completed": "a record is complete when its labels are there: they are counted one by one",
}
"""Why these webhooks make no events."""


def record_key(source: str, record: Any) -> str:
    """Return the memory key of a record and its responses."""
    return f"{source}:record:{record}"


def lookups(hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> list[str]:
    """Return the keys of memory that ``translate`` reads for a webhook, given what is known so far."""
    if hook["action"] in IGNORED:
        return []
    dataset = (hook.get("dataset") or {}).get("id")
    record = (hook.get("record") or {}).get("id")
    key = None if record is None else record_key(context.source, record)
    keys = [key] if key is not None else []
    if dataset is not None:
        known = seen.get(key) if key is not None else None
        keys += page_index.keys(context.source, dataset, seen, known, whole=hook["action"] == "dataset.deleted")
    return keys


def translate(hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> Translation:
    """Return what a webhook means.

    Args:
        hook: What ``redact`` returned.
        seen: Records remembered under ``lookups`` of the same webhook.
        context: Source, time of arrival, settings.

    Returns:
        Events in order, what to remember, and what could not be translated. The same arguments give the same events.

    Raises:
        BadWebhook: A field is missing or wrong.
    """
    action = hook["action"]
    if action in IGNORED:
        return Translation(ignored=IGNORED[action])
    work = _Work(hook, seen, context)
    handlers: dict[str, Callable[[], None]] = {
        "record.created": work.record_created,
        "record.deleted": work.record_deleted,
        "dataset.deleted": work.dataset_deleted,
        "response.created": work.response_changed,
        "response.updated": work.response_changed,
        "response.deleted": work.response_deleted,
    }
    handler = handlers.get(action)
    if handler is None:
        reason = f"Argilla sent the event {action}, which Floorwatch does not know; nothing was counted for it"
        return Translation(problems=[WebhookProblem("unknown_type", "$.type", reason, {"action": action})])
    try:
        handler()
    except BadWebhook as fault:
        work.problem(fault.code, fault.field, fault.reason)
    return work.out


class _Work:
    """One webhook under translation."""

    def __init__(self, hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> None:
        self.hook = hook
        self.seen = seen
        self.context = context
        self.out = Translation()

    def problem(self, code: str, where: str | None, reason: str) -> None:
        parts = {name: (self.hook.get(name) or {}).get("id") for name in ("response", "record", "dataset")}
        about = {name: one for name, one in parts.items() if one is not None}
        summary = {"action": self.hook["action"], "id": next(iter(about.values()), None), **about}
        self.out.problems.append(WebhookProblem(code, where, reason, summary))

    def _micros(self) -> int:
        return (time_of(self.hook) - _EPOCH) // timedelta(microseconds=1)

    def _maker(self, record: str) -> EventMaker:
        metadata = (self.hook.get("record") or {}).get("metadata") or {}
        dataset = self.hook.get("dataset") or {}
        source, settings = self.context.source, self.context.settings
        return EventMaker(self.hook["action"], source, settings, record, time_of(self.hook), metadata, dataset)

    def _record(self) -> tuple[str, Remembered]:
        """Return the record's id and what is remembered of it; an unknown one is entered in its dataset's index."""
        place = "$.data" if self.hook["action"].startswith("record.") else "$.data.record"
        record = need(self.hook.get("record"), "id", place)
        known = self.seen.get(record_key(self.context.source, record))
        if known is not None:
            return record, {**known, "responses": dict(known["responses"])}
        dataset = need(self.hook.get("dataset"), "id", f"{place}.dataset")
        page, changed = page_index.entered(self.context.source, dataset, record, self.seen)
        self.out.remember.update(changed)
        return record, {"dataset": dataset, "page": page, "created": False, "deleted_us": None, "responses": {}}

    def _remember(self, record: str, held: Remembered) -> None:
        self.out.remember[record_key(self.context.source, record)] = held

    def _event(self, *events: Any) -> None:
        self.out.events += events

    # -- records and datasets ------------------------------------------------------------------------------------

    def record_created(self) -> None:
        record, held = self._record()
        if held["created"]:
            self.out.ignored = "the record is known: the webhook was delivered again"
            return
        maker = self._maker(record)
        try:
            due_at = maker.due_at()
        except ValueError:
            due_at, where = None, f"$.data.metadata.{self.context.settings.due_field}"
            self.problem("wrong_time", where, f"{where} is no RFC 3339 time with a zone; the task has no SLA")
        self._event(maker.task_created(due_at))
        self._remember(record, {**held, "created": True})

    def record_deleted(self) -> None:
        record, held = self._record()
        if held["deleted_us"] is not None:
            self.out.ignored = "the record is cancelled already"
            return
        self._event(self._maker(record).task_cancelled())
        self._remember(record, {**held, "deleted_us": self._micros()})
        seen = {**self.seen, **self.out.remember}
        self.out.remember.update(page_index.left(self.context.source, held, record, seen))

    def dataset_deleted(self) -> None:
        """Cancel every record of the dataset that was seen here: Argilla does not tell of each."""
        dataset = need(self.hook.get("dataset"), "id", "$.data")
        index = page_index.index_of(self.context.source, dataset, self.seen)
        if index["deleted_us"] is not None:
            self.out.ignored = "the dataset's records are cancelled already"
            return
        for record in page_index.records(self.context.source, dataset, self.seen):
            self._event(self._maker(record).task_cancelled())
        if index["full"]:
            reason = (
                f"the deleted dataset had more than {page_index.MOST_RECORDS} records; those after them are not "
                "cancelled; send a task.cancelled event for each"
            )
            self.problem("too_many_records", "$.data.id", reason)
        elif not self.out.events:
            self.out.ignored = "no record of the deleted dataset counts here"
        key = page_index.index_key(self.context.source, dataset)
        self.out.remember[key] = {**index, "deleted_us": self._micros()}

    # -- responses -----------------------------------------------------------------------------------------------

    def _mapping(self) -> tuple[str, Remembered, ResponseMapping]:
        record, held = self._record()
        return record, held, ResponseMapping(self._maker(record), self.hook, held["responses"], self._micros())

    def response_changed(self) -> None:
        record, held, mapping = self._mapping()
        self._apply(record, held, mapping, *mapping.changed())

    def response_deleted(self) -> None:
        record, held, mapping = self._mapping()
        self._apply(record, held, mapping, *mapping.deleted())

    def _apply(
        self,
        record: str,
        held: Remembered,
        mapping: ResponseMapping,
        events: list[Any],
        entry: Remembered | None,
        ignored: str | None,
    ) -> None:
        self._event(*events)
        self.out.audited.update(mapping.audited)
        self.out.ignored = ignored
        if entry is None:
            self.out.remember.clear()  # nothing new: neither of the response nor of its record
            return
        held["responses"][mapping.response] = entry
        self._remember(record, held)
