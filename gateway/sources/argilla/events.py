"""Makes contract events about one record of Argilla."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from gateway.sources.argilla.settings import ArgillaSettings
from gateway.sources.places import ProjectDims
from gateway.webhooks import event_id, labels_wanted
from streams.models import events as wire
from streams.models.timestamps import parse_rfc3339

_NO_PROJECT = ProjectDims()


def person(user: dict[str, Any]) -> str:
    """Return the id of a person: Argilla's usernames are unique, and people know each other by them."""
    name = user.get("username") or user.get("id")
    return f"argilla-{name or 'unknown'}"[:256]


def label_id(response: str, round_number: int) -> str:
    """Return a label's id; a withdrawn label that is given again is a new label, for a withdrawal is final."""
    return f"argilla-{response}" if round_number == 1 else f"argilla-{response}-{round_number}"


def values_of(answer: dict[str, Any]) -> list[str]:
    """Return what a response decides, as values: the choices; ``question=choice`` where several questions decide."""
    return (
        choices_of(answer)
        if answer["questions"] > 1
        else [one for found in answer["choices"].values() for one in found]
    )


def choices_of(answer: dict[str, Any]) -> list[str]:
    """Return ``question=choice`` for each choice, in the dataset's order of questions."""
    return [f"{question}={one}" for question, found in answer["choices"].items() for one in found]


@dataclass(frozen=True)
class EventMaker:
    """Makes events about one record.

    Attributes:
        action: Argilla's name of what happened; part of event ids.
        source: CloudEvents source.
        settings: How webhooks are read.
        record: Record id.
        time: When it happened.
        metadata: The record's, reduced to dimensions.
        dataset: The dataset, reduced.
        audited: What is known of the label of each audit made, by the event's id: values by name.
    """

    action: str
    source: str
    settings: ArgillaSettings
    record: str
    time: datetime
    metadata: dict[str, Any]
    dataset: dict[str, Any]
    audited: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def _dim(self, name: str) -> str | None:
        value = self.metadata.get(name)
        return None if value is None or value == "" else str(value)[:256]

    @property
    def _project(self) -> ProjectDims:
        dataset = self.dataset
        return self.settings.project(self.source, dataset.get("id"), dataset.get("name")) or _NO_PROJECT

    def _dims(self) -> dict[str, Any]:
        s, own = self.settings, self._project
        return {
            "queue": self._dim(s.queue_field) or own.queue or self.dataset.get("name") or None,
            "policy": self._dim(s.policy_field) or own.policy,
            "policy_version": self._dim(s.policy_version_field) or own.policy_version,
            "market": self._dim(s.market_field) or own.market,
            "priority": self._dim(s.priority_field) or own.priority,
        }

    def due_at(self) -> datetime | None:
        """Return when the record is due, where its metadata says so.

        Raises:
            ValueError: It says something that is not a time with a zone.
        """
        said = self._dim(self.settings.due_field)
        return None if said is None else parse_rfc3339(said)

    def _event(self, cls: Any, identity: str, data: Any) -> Any:
        subject = f"argilla-{self.record}"
        event = cls(specversion="1.0", id="-", source=self.source, subject=subject, time=self.time, data=data)
        return msgspec.structs.replace(event, id=event_id(self.action, identity, event))

    def task_created(self, due_at: datetime | None) -> Any:
        """Return task.created; a record needs as many labels as its dataset's distribution says."""
        required = labels_wanted(self.dataset.get("min_submitted"))
        sla_class = self._dim(self.settings.sla_class_field) or self._project.sla_class
        data = wire.TaskCreatedData(**self._dims(), required_labels=required, due_at=due_at, sla_class=sla_class)
        return self._event(wire.TaskCreated, self.record, data)

    def task_cancelled(self) -> Any:
        """Return task.cancelled for a deleted record."""
        data = wire.TaskCancelledData(reason="deleted in the tool")
        return self._event(wire.TaskCancelled, self.record, data)

    def label(self, response: str, round_number: int, labeler: str, values: list[str]) -> Any:
        """Return label.submitted. Argilla does not say when the work began."""
        data = wire.LabelSubmittedData(
            label_id=label_id(response, round_number),
            labeler_id=labeler,
            values=values,
            **self.settings.dims_of(labeler, self._project),
            **self._dims(),
        )
        return self._event(wire.LabelSubmitted, response, data)

    def label_withdrawn(self, response: str, round_number: int, reason: str) -> Any:
        """Return label.withdrawn; it is final for this round of the label."""
        data = wire.LabelWithdrawnData(label_id=label_id(response, round_number), reason=reason)
        return self._event(wire.LabelWithdrawn, response, data)

    def audit(self, response: str, data: wire.AuditCompletedData, choices: list[str]) -> Any:
        """Return audit.completed of a label with these choices, as ``question=choice``."""
        event = self._event(wire.AuditCompleted, response, data)
        dims = {name: (value,) for name, value in self._dims().items() if value is not None}
        self.audited[event.id] = {**dims, "decision": (*choices, *(one.partition("=")[2] for one in choices))}
        return event

    def audit_withdrawn(self, response: str, audit_id: str, reason: str) -> Any:
        """Return audit.withdrawn."""
        data = wire.AuditWithdrawnData(audit_id=audit_id, reason=reason)
        return self._event(wire.AuditWithdrawn, response, data)
