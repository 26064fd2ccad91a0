"""One annotation's life in Label Studio: label, new version, review, skip, and label again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from gateway.sources.fields import Severity
from gateway.sources.label_studio.events import Maker, label_id, person
from gateway.sources.label_studio.read import annotation_result_of, need, time_of
from gateway.webhooks import Remembered
from streams.models import events as wire

Step = tuple[list[Any], Remembered | None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ErrorClass = Literal["false_positive", "false_negative", "wrong_selection"]


class AnnotationMapping:
    """Maps one webhook about one annotation, given what is remembered of the annotation."""

    def __init__(self, maker: Maker, annotation: dict[str, Any], known: Remembered | None, place: str) -> None:
        """Read the annotation.

        Args:
            maker: Makes events about its task.
            annotation: The distilled annotation.
            known: What is remembered of it, or None.
            place: Where it stands in the webhook.

        Raises:
            BadWebhook: A field is missing or wrong.
        """
        self._make = maker
        self._annotation = annotation
        self._known = known
        self._place = place
        self._uid = str(need(annotation, "unique_id", place))
        self._answer = annotation_result_of(annotation, maker.settings)
        self._values = self._answer.values
        self._skip = annotation.get("was_cancelled") is True
        self._lead_s = annotation.get("lead_time")
        changed = "updated_at" if "updated_at" in annotation else "created_at"
        self._at_us = _micros(time_of(annotation, changed, place))

    @property
    def _outdated(self) -> bool:
        """Whether a later state of the annotation is known. Then this one was delivered again or late."""
        return self._known is not None and self._at_us < int(self._known["at_us"])

    def created(self) -> Step:
        """Return events and record of a new annotation."""
        time = time_of(self._annotation, "created_at", self._place)
        labeler = person(self._annotation.get("completed_by"))
        if self._known is not None and self._known["known"] and self._outdated:
            return [], None
        if self._skip:
            record = None if self._known else self._record(labeler, skipped=True, known=False)
            return [self._make.task_claimed(self._uid, labeler, time)], record
        label = self._make.label(self._uid, 1, labeler, self._values, time, self._lead_s)
        if self._known is None:
            return [label], self._record(labeler, skipped=False, known=True)
        if self._known["known"]:
            return [label], None  # delivered again: later changes must not be forgotten
        # A change came before this creation: only the labeller's own answer is new.
        return [label], {**self._known, "labeler": labeler, **self._given()}

    def updated(self) -> Step:
        """Return events and record of a changed annotation."""
        if self._outdated:
            return [], None
        if self._skip:
            return self._skipped()
        if self._known is not None and self._known["skipped"]:
            return self._unskipped(self._known)
        return self._reviewed() if self._by_reviewer() else self._new_version()

    def _by_reviewer(self) -> bool:
        changer = self._annotation.get("updated_by")
        return changer is not None and person(changer) != self._owner()

    def _owner(self) -> str:
        if self._known is not None:
            return str(self._known["labeler"])
        return person(self._annotation.get("completed_by"))

    def _skipped(self) -> Step:
        """A label that becomes a skip is withdrawn. A skip that is saved again changes nothing."""
        time = time_of(self._annotation, "updated_at", self._place)
        if self._known is not None and self._known["skipped"]:
            return [], {**self._known, "at_us": self._at_us}
        round_number = self._known["round"] if self._known else 1
        event = self._make.label_withdrawn(self._uid, round_number, time, "turned into a skip")
        record = self._known or self._record(self._owner(), skipped=True, known=False)
        return [event], {**record, "skipped": True, "withdrawn": True, "at_us": self._at_us}

    def _unskipped(self, known: Remembered) -> Step:
        """A skip that becomes a label is the label of the person who changed it. After a withdrawal it is a new label."""
        changer = self._annotation.get("updated_by")
        labeler = self._owner() if changer is None else person(changer)
        record = self._record(labeler, skipped=False, known=True)
        record["round"] = known["round"] + 1 if known["withdrawn"] else known["round"]
        return [self._version(record["round"], labeler)], record

    def _new_version(self) -> Step:
        labeler = self._owner()
        record = self._record(labeler, skipped=False, known=True)
        record["round"] = self._known["round"] if self._known else 1
        return [self._version(record["round"], labeler)], record

    def _version(self, round_number: int, labeler: str) -> Any:
        time = time_of(self._annotation, "updated_at", self._place)
        return self._make.label(self._uid, round_number, labeler, self._values, time, self._lead_s)

    def _reviewed(self) -> Step:
        """A change by somebody else is an audit of the label. A label that was never seen is sent first, without its answer."""
        if self._known is not None:
            return [self._audit(self._known)], {**self._known, "at_us": self._at_us}
        labeler = self._owner()
        created = time_of(self._annotation, "created_at", self._place)
        label = self._make.label(self._uid, 1, labeler, [], created, self._lead_s)
        record = self._record(labeler, skipped=False, known=False)
        return [label, self._audit(record)], record

    def _audit(self, given: Remembered) -> Any:
        """Return the audit of what is remembered of the label.

        Its verdict is ``incomparable`` where the labeller's answer is not known, or where what it holds beside choices cannot
        be compared: such an answer must not be taken for an equal one.
        """
        time = time_of(self._annotation, "updated_at", self._place)
        reviewer = person(self._annotation.get("updated_by"))
        same = self._answer.compared(given)
        wrong = same is False
        data = wire.AuditCompletedData(
            audit_id=f"ls-audit-{self._uid}-{reviewer}-{self._annotation['updated_at']}",
            label_id=label_id(self._uid, given["round"]),
            auditor_id=reviewer,
            verdict="incomparable" if same is None else "correct" if same else "incorrect",
            error_class=self._error_class(given["values"]) if wrong else None,
            severity=self._severity_of() if wrong else None,
            values=self._values if wrong else None,
            sampling=wire.Sampling(method="review"),
        )
        return self._make.audit(self._uid, data, time, given["values"])

    def _error_class(self, given: list[str]) -> ErrorClass:
        safe = self._make.settings.safe_values
        given_safe, truth_safe = set(given) <= safe, set(self._values) <= safe
        if given_safe == truth_safe:
            return "wrong_selection"
        return "false_negative" if given_safe else "false_positive"

    def _severity_of(self) -> Severity | None:
        """Return the severity that the reviewer chose. None where the form has no such control; it is never guessed."""
        chosen = self._answer.severity
        if chosen is None:
            return None
        severities = self._make.settings.severities
        first = chosen.split(maxsplit=1)
        found = severities.get(chosen) or (severities.get(first[0]) if first else None)
        return found or "minor"

    def _given(self) -> Remembered:
        """Return what is remembered of the labeller's own answer."""
        answer = self._answer
        return {
            "values": answer.values,
            "choices": answer.choices,
            "complete": answer.complete,
            "digest": answer.digest,
            "known": True,
        }

    def _record(self, labeler: str, *, skipped: bool, known: bool) -> Remembered:
        return {
            "task": self._make.task_id,
            "project": self._make.project,
            "generation": self._make.generation,
            "uid": self._uid,
            "labeler": labeler,
            **(self._given() if known else {"values": [], "known": False}),
            "skipped": skipped,
            "withdrawn": False,
            "round": 1,
            "deleted_ms": None,
            "at_us": self._at_us,
        }


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
