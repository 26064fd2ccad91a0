"""What a change of somebody else's answer says of it: the data of an audit."""

from __future__ import annotations

from typing import Literal

from gateway.sources.fields import Severity
from gateway.sources.label_studio.events import label_id
from gateway.sources.label_studio.read import AnnotationResult
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.webhooks import Remembered
from streams.models import events as wire

ErrorClass = Literal["false_positive", "false_negative", "wrong_selection"]


def verdict_of(
    answer: AnnotationResult, given: Remembered, audit_id: str, auditor: str, settings: LabelStudioSettings
) -> wire.AuditCompletedData:
    """Return the audit of a label by the answer that somebody else puts in its place.

    Its verdict is ``incomparable`` where the labeller's answer is not known, or where what it holds beside choices cannot be
    compared: such an answer must not be taken for an equal one.

    Args:
        answer: The answer of the reviewer.
        given: What is remembered of the label.
        audit_id: Id of the audit.
        auditor: Who changed it.
        settings: How webhooks are read.
    """
    same = answer.compared(given)
    wrong = same is False
    return wire.AuditCompletedData(
        audit_id=audit_id,
        label_id=label_id(given["uid"], given["round"]),
        auditor_id=auditor,
        verdict="incomparable" if same is None else "correct" if same else "incorrect",
        error_class=_error_class(given["values"], answer.values, settings.safe_values) if wrong else None,
        severity=_severity(answer.severity, settings) if wrong else None,
        values=answer.values if wrong else None,
        sampling=wire.Sampling(method="review"),
    )


def _error_class(given: list[str], truth: list[str], safe: frozenset[str]) -> ErrorClass:
    given_safe, truth_safe = _all_safe(given, safe), _all_safe(truth, safe)
    if given_safe == truth_safe:
        return "wrong_selection"
    return "false_negative" if given_safe else "false_positive"


def _all_safe(values: list[str], safe: frozenset[str]) -> bool:
    """Tell whether all values mean 'no violation', by the whole value or by its choice alone."""
    return all(value in safe or value.partition("=")[2] in safe for value in values)


def _severity(chosen: str | None, settings: LabelStudioSettings) -> Severity | None:
    """Return the severity that the reviewer chose. None where the form has no such control; it is never guessed."""
    if chosen is None:
        return None
    first = chosen.split(maxsplit=1)
    found = settings.severities.get(chosen) or (settings.severities.get(first[0]) if first else None)
    return found or "minor"
