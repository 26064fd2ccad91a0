"""Makes contract events about one job of CVAT, and corrects those made before when more becomes known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from gateway.sources.cvat.history import HandOver, JobVerdict
from gateway.sources.cvat.read import time_of
from gateway.sources.cvat.settings import CvatSettings
from gateway.sources.places import ProjectDims
from gateway.webhooks import Remembered, event_id
from streams.models import events as wire


def task_id(source: str, job: int) -> str:
    """Return the task of a job: ``cvat:NAME:12``. It names the source, for two CVATs have jobs of the same number."""
    return f"{source.replace('/', ':', 1)}:{job}"


def person(source: str, username: str) -> str:
    """Return the id of a person: ``cvat:NAME:ann``. A username has no colon, so no two are alike."""
    return f"{source.replace('/', ':', 1)}:{username}"[:256]


class _Wanted(NamedTuple):
    """A label, or an audit where somebody said something: what makes it another one, and what it is of."""

    what: list[Any]
    work: HandOver
    said: JobVerdict | None


@dataclass
class JobEvents:
    """Events about one job.

    Attributes:
        action: CVAT's name of what happened; part of event ids.
        source: CloudEvents source.
        settings: How webhooks are read.
        job: Job id.
        dims: Dimensions of its labels.
        project: What is configured of its project.
        given: What stands of labels and audits made before, by the hand-over or verdict they are of; changed in place.
        events: Events made, in order.
        audited: What is known of the label of each audit made, by the event's id: values by name.
    """

    action: str
    source: str
    settings: CvatSettings
    job: int
    dims: dict[str, Any]
    project: ProjectDims | None
    given: Remembered
    events: list[Any] = field(default_factory=list)
    audited: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The task id."""
        return task_id(self.source, self.job)

    def created(self, at_us: int, sla_class: str | None) -> None:
        """Add task.created."""
        self._add(wire.TaskCreated, at_us, wire.TaskCreatedData(**self.dims, sla_class=sla_class))

    def cancelled(self, at_us: int) -> None:
        """Add task.cancelled."""
        self._add(wire.TaskCancelled, at_us, wire.TaskCancelledData(reason="deleted in the tool"))

    def settle(self, works: list[HandOver]) -> None:
        """Add what makes labels and audits those of the hand-overs: new ones, and withdrawals of what is otherwise now.

        Args:
            works: All hand-overs of the job, as far as they are known now.
        """
        wanted = self._wanted(works)
        for kind in ("audit", "label"):
            for key, held in self.given.items():
                if held["stands"] and held["kind"] == kind and (key not in wanted or wanted[key].what != held["what"]):
                    self._withdraw(key, held)
        for key, one in wanted.items():
            held = self.given.get(key) or {"number": 0, "stands": False}
            if not held["stands"]:
                at_us = one.work.at_us if one.said is None else one.said.at_us
                kind = "label" if one.said is None else "audit"
                number = held["number"] + 1
                self.given[key] = {"kind": kind, "number": number, "stands": True, "what": one.what, "at_us": at_us}
                self._label(key, one.work) if one.said is None else self._audit(key, one.work, one.said)

    def _wanted(self, works: list[HandOver]) -> dict[str, _Wanted]:
        """Return the labels and audits that should stand, labels first, by hand-over or verdict."""
        known = [one for one in works if one.who is not None]
        wanted = {str(one.at_us): _Wanted([one.who], one, None) for one in known}
        for one in known:
            number = self._number(str(one.at_us), one.who)
            for said in one.verdicts:
                wanted[f"{one.at_us}:{said.name}"] = _Wanted([number, said.says, said.auditor], one, said)
        return wanted

    def _number(self, key: str, who: str | None) -> int:
        """Return the number that the label of a hand-over has or will get: withdrawals are final, so each is another."""
        held = self.given.get(key)
        if held is None:
            return 1
        return int(held["number"]) + (not held["stands"] or held["what"] != [who])

    def _id(self, key: str) -> str:
        number = self.given[key]["number"]
        return f"{self.subject}:{key}" if number == 1 else f"{self.subject}:{key}:{number}"

    def _label(self, key: str, work: HandOver) -> None:
        who = person(self.source, str(work.who))
        data = wire.LabelSubmittedData(
            label_id=self._id(key),
            labeler_id=who,
            **self.settings.dims_of(who, self.project),
            **self.dims,
        )
        self._add(wire.LabelSubmitted, work.at_us, data)

    def _audit(self, key: str, work: HandOver, said: JobVerdict) -> None:
        data = wire.AuditCompletedData(
            audit_id=self._id(key),
            label_id=self._id(str(work.at_us)),
            auditor_id=person(self.source, said.auditor),
            verdict=said.says,
            sampling=wire.Sampling(method="review"),
        )
        event = self._add(wire.AuditCompleted, said.at_us, data)
        self.audited[event.id] = {name: (value,) for name, value in self.dims.items() if value is not None}

    def _withdraw(self, key: str, held: Remembered) -> None:
        held["stands"] = False
        data: Any
        if held["kind"] == "label":
            data = wire.LabelWithdrawnData(
                label_id=self._id(key), reason="an earlier webhook came later and says otherwise"
            )
            self._add(wire.LabelWithdrawn, held["at_us"], data)
        else:
            data = wire.AuditWithdrawnData(audit_id=self._id(key), reason="what CVAT says of the job has changed")
            self._add(wire.AuditWithdrawn, held["at_us"], data)

    def _add(self, cls: Any, at_us: int, data: Any) -> Any:
        event = cls(specversion="1.0", id="-", source=self.source, subject=self.subject, time=time_of(at_us), data=data)
        event = msgspec.structs.replace(event, id=event_id(self.action, str(self.job), event))
        self.events.append(event)
        return event
