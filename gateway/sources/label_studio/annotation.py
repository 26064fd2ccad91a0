"""One annotation's life in Label Studio: label, new version, review, skip, label again, corrected copy.

Which saves are a verdict, and why: docs/adr/0063-label-studios-meaning.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sources.label_studio.events import Maker
from gateway.sources.label_studio.read import annotation_result_of, need, time_of
from gateway.sources.label_studio.tasks import instant
from gateway.sources.label_studio.verdict import verdict_of
from gateway.webhooks import BadWebhook, Remembered

Step = tuple[list[Any], Remembered | None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AnnotationMapping:
    """Maps one webhook about one annotation, given what is remembered of the annotation."""

    def __init__(
        self,
        maker: Maker,
        annotation: dict[str, Any],
        known: Remembered | None,
        place: str,
        parent: Remembered | None = None,
    ) -> None:
        """Read the annotation.

        Args:
            maker: Makes events about its task.
            annotation: The distilled annotation.
            known: What is remembered of it, or None.
            place: Where it stands in the webhook.
            parent: What is remembered of the annotation it was copied from, or None.

        Raises:
            BadWebhook: A field is missing or wrong.
        """
        self._make = maker
        self._annotation = annotation
        self._known = known
        self._parent = parent
        self._place = place
        self._uid = str(need(annotation, "unique_id", place))
        self._answer = annotation_result_of(annotation, maker.settings, named=maker.named)
        self._values = self._answer.values
        self._skip = annotation.get("was_cancelled") is True
        self._lead_s = annotation.get("lead_time")
        changed = "updated_at" if "updated_at" in annotation else "created_at"
        self._at_us = _micros(time_of(annotation, changed, place))

    @property
    def _outdated(self) -> bool:
        """Whether a later state of the annotation is known. Then this one was delivered again or late."""
        return self._known is not None and self._at_us < int(self._known["at_us"])

    @property
    def _changer(self) -> str:
        return self._make.person(self._annotation.get("updated_by"))

    def created(self) -> Step:
        """Return events and record of a new annotation."""
        if self._is_correction():
            return self._copied()
        time = time_of(self._annotation, "created_at", self._place)
        labeler = self._maker_of()
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
        if self._known is not None and self._at_us <= int(self._known["at_us"]):
            return [], None  # this state of it, or a later one, is known
        if self._known is not None and self._known.get("copy"):
            return self._copied()
        if self._skip:
            return self._skipped()
        if self._known is not None and self._known["skipped"]:
            return self._unskipped(self._known)
        return self._reviewed() if self._by_somebody_else() else self._saved_again()

    def _maker_of(self) -> str:
        """Return who made the answer. One that comes from a prediction, and that nobody has worked on, is the model's."""
        if self._annotation.get("parent_prediction") is not None and self._lead_s is None:
            return self._make.model
        return self._make.person(self._annotation.get("completed_by"))

    def _owner(self) -> str:
        if self._known is not None:
            return str(self._known["labeler"])
        maker, changer = self._maker_of(), self._annotation.get("updated_by")
        if (
            maker != self._make.model
            and self._annotation.get("parent_prediction") is not None
            and self._make.person(changer) != maker
        ):
            return self._make.person(
                None
            )  # the model's, changed since, or a person's: its creation, which would tell, never came
        return maker

    def _by_somebody_else(self) -> bool:
        return self._annotation.get("updated_by") is not None and self._changer != self._owner()

    # -- by the labeller -----------------------------------------------------------------------------------------

    def _saved_again(self) -> Step:
        """The labeller's save is a new version, unless it changes nothing or comes after somebody else's change of the answer."""
        known = self._known
        if known is not None:
            if known.get("fixed"):
                return [], {**known, **self._state(), **self._latest()}
            same = self._answer.compared(known)
            marked = known.get("truth", self._truth()) != self._truth()
            if known.get("lead_s", ...) == self._lead_s and (same is True or (same is None and marked)):
                return [], {**known, **self._state()}
        labeler = self._owner()
        record = self._record(labeler, skipped=False, known=True)
        record["round"] = known["round"] if known else 1
        return [self._version(record["round"], labeler)], record

    def _skipped(self) -> Step:
        """A label that becomes a skip is withdrawn, whoever skips it. A skip that is saved again changes nothing."""
        time = time_of(self._annotation, "updated_at", self._place)
        if self._known is not None and self._known["skipped"]:
            return [], {**self._known, "at_us": self._at_us}
        round_number = self._known["round"] if self._known else 1
        event = self._make.label_withdrawn(self._uid, round_number, time, "turned into a skip")
        record = self._known or self._record(self._owner(), skipped=True, known=False)
        return [event], {**record, "skipped": True, "withdrawn": True, "at_us": self._at_us}

    def _unskipped(self, known: Remembered) -> Step:
        """A skip that becomes a label is the label of who saved it; with the labeller's own answer it is theirs, whoever saved it.

        After a withdrawal it is a new label.
        """
        theirs = self._annotation.get("updated_by") is None or self._answer.compared(known) is True
        labeler = self._owner() if theirs else self._changer
        record = self._record(labeler, skipped=False, known=True)
        record["round"] = known["round"] + 1 if known["withdrawn"] else known["round"]
        return [self._version(record["round"], labeler)], record

    def _version(self, round_number: int, labeler: str) -> Any:
        time = time_of(self._annotation, "updated_at", self._place)
        return self._make.label(self._uid, round_number, labeler, self._values, time, self._lead_s)

    # -- by somebody else ----------------------------------------------------------------------------------------

    def _reviewed(self) -> Step:
        """A reviewer's change of the answer is an audit of the label. A label that was never seen is sent first, without its answer."""
        known = self._known
        if known is None:
            labeler = self._owner()
            created = time_of(self._annotation, "created_at", self._place)
            label = self._make.label(self._uid, 1, labeler, [], created, self._lead_s)
            record = {**self._record(labeler, skipped=False, known=False), **self._latest()}
            return [label, *([self._audit(record)] if self._is_reviewer() else [])], record
        last = known.get("last")
        same = self._answer.compared(last or known)
        if same is True:
            said = last is None and self._confirms(known)
            return ([self._audit(known)] if said else []), {**known, **self._state()}
        marked = same is None and known.get("truth", self._truth()) != self._truth()
        said = self._is_reviewer() and not marked
        fixed = bool(known.get("fixed")) or (said and same is False)
        return ([self._audit(known)] if said else []), {**known, **self._state(), **self._latest(), "fixed": fixed}

    def _latest(self) -> Remembered:
        """Return the answer that somebody else left, with which the next save is compared; nothing where the webhook has none."""
        return {"last": self._given()} if self._answer.present else {}

    def _is_reviewer(self) -> bool:
        reviewers = self._make.settings.reviewers
        return reviewers is None or self._changer in reviewers

    def _confirms(self, known: Remembered) -> bool:
        """Tell whether a save that leaves the answer as it was says *correct*, as the settings have it."""
        confirmations = self._make.settings.confirmations
        if not self._is_reviewer() or "lead_s" not in known or not known["known"]:
            return False
        if known["truth"] != self._truth():
            return self._truth() and "ground_truth" in confirmations
        return ("unchanged" if known["lead_s"] == self._lead_s else "lead_time") in confirmations

    def _audit(self, given: Remembered) -> Any:
        time = time_of(self._annotation, "updated_at", self._place)
        audit_id = f"ls-audit-{self._uid}-{self._changer}-{self._annotation['updated_at']}"
        data = verdict_of(self._answer, given, audit_id, self._changer, self._make.settings)
        return self._make.audit(self._uid, data, time, given["values"])

    # -- corrected copies ----------------------------------------------------------------------------------------

    def _is_correction(self) -> bool:
        """Tell whether this is a reviewer's copy of somebody else's annotation."""
        if self._annotation.get("parent_annotation") is None or self._skip:
            return False
        if self._known is not None:
            return bool(self._known.get("copy"))
        reviewers, copier = self._make.settings.reviewers, self._maker_of()
        if reviewers is not None and copier not in reviewers:
            return False
        if self._parent is None:
            raise BadWebhook(
                "unknown_annotation",
                f"{self._place}.parent_annotation",
                f"{self._place} is a copy of an annotation whose creation never reached this gateway (or longer ago than "
                "gateway.memory_ttl_s), so nothing tells whether it is a correction",
            )
        return bool(self._parent["labeler"] != copier) and not (self._parent.get("copy") or self._parent["skipped"])

    def _copied(self) -> Step:
        """A reviewer's copy is no label: where it has another answer it is an audit of the label it was copied from."""
        known = self._known
        given: Remembered = (known or {}).get("copy") or _part_of(self._parent or {})
        copier = str(known["labeler"]) if known else self._maker_of()
        record = {
            **self._record(copier, skipped=False, known=False),
            "copy": given,
            "said": bool(known and known["said"]),
        }
        if self._skip:
            return self._copy_ended(record)
        if not record["said"] and self._answer.compared(given) is True:
            return [], record
        changed = "updated_at" if known else "created_at"
        data = verdict_of(self._answer, given, copy_audit_id(self._uid), copier, self._make.settings)
        event = self._make.audit(self._uid, data, time_of(self._annotation, changed, self._place), given["values"])
        return [event], {**record, "said": True}

    def _copy_ended(self, record: Remembered) -> Step:
        time = time_of(self._annotation, "updated_at", self._place)
        ended = {**record, "skipped": True}
        withdrawn = self._make.audit_withdrawn(self._uid, copy_audit_id(self._uid), time, "turned into a skip")
        return ([withdrawn] if record["said"] else []), ended

    # -- what is remembered --------------------------------------------------------------------------------------

    def _truth(self) -> bool:
        return self._annotation.get("ground_truth") is True

    def _state(self) -> Remembered:
        """Return what is remembered of a save beside the answer."""
        return {"at_us": self._at_us, "lead_s": self._lead_s, "truth": self._truth()}

    def _given(self) -> Remembered:
        """Return what is remembered of an answer."""
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
            "born": self._annotation.get("created_at"),
            **self._state(),
        }


def is_older(annotation: dict[str, Any], known: Remembered) -> bool:
    """Tell whether an annotation was created before the one that is remembered under its id."""
    mine, theirs = instant(annotation.get("created_at")), instant(known.get("born"))
    return mine is not None and theirs is not None and mine < theirs


def copy_audit_id(unique_id: str) -> str:
    """Return the id of the audit that a corrected copy is; saved again, the copy replaces it."""
    return f"ls-audit-{unique_id}-copy"


def _part_of(record: Remembered) -> Remembered:
    """Return of a label's record what a later save of its copy is compared with."""
    names = ("uid", "round", "labeler", "values", "choices", "complete", "digest", "known")
    return {name: record[name] for name in names if name in record}


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
