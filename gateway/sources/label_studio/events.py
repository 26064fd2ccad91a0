"""Makes contract events about one task of Label Studio."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.sources.label_studio.due import BadDueTime, due_time
from gateway.sources.label_studio.read import dim
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.sources.places import ProjectDims
from gateway.webhooks import event_id, labels_wanted
from streams.models import events as wire

_NO_PROJECT = ProjectDims()
_MAX_LEAD_S = 30 * 86_400.0


def annotation_key(source: str, annotation_id: Any) -> str:
    """Return the memory key of an annotation; its id is unique in one Label Studio."""
    return f"{source}:annotation:{annotation_id}"


def task_key(source: str, task_id: Any) -> str:
    """Return the memory key of a task; its id is unique in one Label Studio."""
    return f"{source}:task:{task_id}"


def review_key(source: str, review_id: Any) -> str:
    """Return the memory key of a review (Enterprise); its id is unique in one Label Studio."""
    return f"{source}:review:{review_id}"


def project_id(item: dict[str, Any], task: dict[str, Any] | None, hook: dict[str, Any]) -> Any:
    """Return the project's id from wherever the webhook has it, or None."""
    for found in (item.get("project"), (task or {}).get("project"), (hook.get("project") or {}).get("id")):
        if found is not None:
            return found
    return None


def label_id(unique_id: str, round_number: int) -> str:
    """Return a label's id. A withdrawn label that is submitted again is a new label."""
    return f"ls-{unique_id}" if round_number == 1 else f"ls-{unique_id}-{round_number}"


@dataclass
class Maker:
    """Makes events about one task.

    Attributes:
        action: Label Studio's name of what happened; part of event ids.
        source: CloudEvents source.
        settings: How webhooks are read.
        project: Project id.
        task_id: Task id.
        task: The task, where the webhook has it.
        title: The project's title, the queue where no other is named.
        generation: Counts up when the tool gives a deleted task's id out again.
        named: Whether decisions are ``control=choice``.
        audited: What is known of the label of each audit made, by the event's id: values by name.
    """

    action: str
    source: str
    settings: LabelStudioSettings
    project: Any
    task_id: Any
    task: dict[str, Any] | None
    title: str | None
    generation: int
    named: bool = False
    audited: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The task_id in Floorwatch."""
        name = f"{self._prefix}{self.project}-{self.task_id}"
        return name if self.generation == 1 else f"{name}-{self.generation}"

    @property
    def _prefix(self) -> str:
        """What ids of this instance begin with. After the last colon there is no name of a source, so no two ids are equal."""
        return f"ls:{self.source.partition('/')[2] or self.source}:" if self.settings.ids_by_source else "ls-"

    @property
    def model(self) -> str:
        """The labeller of annotations that this instance made of a model's predictions."""
        return f"{self._prefix}model"

    def person(self, user: Any) -> str:
        """Return the id of a person; a user who was deleted is unknown."""
        return f"{self._prefix}user-{'unknown' if user is None else user}"

    @property
    def _own(self) -> ProjectDims:
        return self.settings.project(self.source, self.project, self.title) or _NO_PROJECT

    def _dims(self) -> dict[str, Any]:
        s, own = self.settings, self._own
        title = self.title[:256] if isinstance(self.title, str) and self.title else None
        return {
            "queue": dim(self.task, s.queue_field) or own.queue or title,
            "policy": dim(self.task, s.policy_field) or own.policy,
            "policy_version": dim(self.task, s.policy_version_field) or own.policy_version,
            "market": dim(self.task, s.market_field) or own.market,
            "priority": dim(self.task, s.priority_field) or own.priority,
        }

    def due_at(self) -> datetime | None:
        """Return when the task is due, where its data says so.

        Raises:
            BadDueTime: It says something that is no time.
        """
        said = dim(self.task, self.settings.due_field)
        return None if said is None else due_time(said, self.settings.due_zone)

    def _due(self) -> datetime | None:
        try:
            return self.due_at()
        except BadDueTime:
            return None

    def _event(self, cls: Any, identity: str, time: datetime, data: Any) -> Any:
        event = cls(specversion="1.0", id="-", source=self.source, subject=self.subject, time=time, data=data)
        return msgspec.structs.replace(event, id=event_id(self.action, identity, event))

    def task_created(self, time: datetime, wanted: int | None = None) -> Any:
        """Return task.created; overlap is the number of labels the task needs, unless another is given."""
        required = labels_wanted((self.task or {}).get("overlap")) if wanted is None else wanted
        sla_class = dim(self.task, self.settings.sla_class_field) or self._own.sla_class
        due_at = self._due()
        data = wire.TaskCreatedData(**self._dims(), required_labels=required, due_at=due_at, sla_class=sla_class)
        return self._event(wire.TaskCreated, f"task-{self.task_id}", time, data)

    def task_cancelled(self, time: datetime, reason: str = "deleted in the tool") -> Any:
        """Return task.cancelled for a deleted task, or for another reason."""
        data = wire.TaskCancelledData(reason=reason)
        return self._event(wire.TaskCancelled, f"task-{self.task_id}", time, data)

    def task_claimed(self, unique_id: str, labeler: str, time: datetime) -> Any:
        """Return task.claimed. A skip is not a label, so only this is counted of it."""
        return self._event(wire.TaskClaimed, unique_id, time, wire.TaskClaimedData(labeler_id=labeler))

    def label(
        self, unique_id: str, round_number: int, labeler: str, values: list[str], time: datetime, lead_s: Any
    ) -> Any:
        """Return label.submitted.

        Args:
            unique_id: The annotation's own id.
            round_number: 1, and one more after each withdrawal.
            labeler: Who decided.
            values: The choices; empty where unknown.
            time: When it was submitted.
            lead_s: Seconds of work, or None.
        """
        known = isinstance(lead_s, int | float) and not isinstance(lead_s, bool) and 0 <= lead_s <= _MAX_LEAD_S
        data = wire.LabelSubmittedData(
            label_id=label_id(unique_id, round_number),
            labeler_id=labeler,
            values=values,
            started_at=_before(time, lead_s) if known else None,
            **self.settings.dims_of(labeler, self._own),
            **self._dims(),
        )
        return self._event(wire.LabelSubmitted, f"{unique_id}:{time.isoformat()}", time, data)

    def label_withdrawn(self, unique_id: str, round_number: int, time: datetime, reason: str) -> Any:
        """Return label.withdrawn; it is final for this round of the label."""
        data = wire.LabelWithdrawnData(label_id=label_id(unique_id, round_number), reason=reason)
        return self._event(wire.LabelWithdrawn, unique_id, time, data)

    def audit(self, unique_id: str, data: wire.AuditCompletedData, time: datetime, decision: list[str]) -> Any:
        """Return audit.completed of a label with this decision."""
        event = self._event(wire.AuditCompleted, f"{unique_id}:{time.isoformat()}", time, data)
        dims = {name: (value,) for name, value in self._dims().items() if value is not None}
        self.audited[event.id] = {**dims, "decision": tuple(decision)}
        return event

    def audit_withdrawn(self, unique_id: str, audit_id: str, time: datetime, reason: str) -> Any:
        """Return audit.withdrawn; it is final for this audit."""
        data = wire.AuditWithdrawnData(audit_id=audit_id, reason=reason)
        return self._event(wire.AuditWithdrawn, unique_id, time, data)


def _before(time: datetime, seconds: float) -> datetime | None:
    """Return a time some seconds earlier. None before year 1; then the event is refused for its own time."""
    try:
        return time - timedelta(seconds=seconds)
    except OverflowError:
        return None
