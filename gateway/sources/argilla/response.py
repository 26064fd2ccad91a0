"""One response's life in Argilla: draft, label or audit, new version, withdrawal, and label again."""

from __future__ import annotations

from typing import Any, Literal

from gateway.sources.argilla.events import EventMaker, choices_of, label_id, person, values_of
from gateway.sources.base import Webhook
from gateway.sources.fields import Severity
from gateway.sources.raw_json import need
from gateway.webhooks import BadWebhook, Remembered
from streams.models import events as wire

Step = tuple[list[Any], Remembered | None, str | None]
"""Events, what to remember of the response (None: nothing new), and why there are no events."""

ErrorClass = Literal["false_positive", "false_negative", "wrong_selection"]

_AGAIN = "nothing new: the webhook was delivered again, or a later state of the response is known"
_STATUSES = ("submitted", "draft", "discarded")


class ResponseMapping:
    """Maps one webhook about one response, given what is remembered of all responses to its record."""

    def __init__(self, maker: EventMaker, hook: Webhook, responses: dict[str, Remembered], at_us: int) -> None:
        """Read the response.

        Args:
            maker: Makes events about its record.
            hook: The reduced webhook.
            responses: What is remembered of the record's responses, by id.
            at_us: When it happened, Unix microseconds.

        Raises:
            BadWebhook: A field is missing or wrong.
        """
        self._make = maker
        self._created = hook["action"] == "response.created"
        self._answer = hook["response"]
        self._responses = responses
        self._at_us = at_us
        self.response = need(self._answer, "id", "$.data")
        self._known = responses.get(self.response)
        self._status = need(self._answer, "status", "$.data")
        user = hook.get("user") or {}
        self._who = person(user)
        self._may_audit = bool({user.get("role"), user.get("username")} & maker.settings.auditors)
        if self._status not in _STATUSES:
            reason = f"$.data.status is none of {', '.join(_STATUSES)}"
            raise BadWebhook("unknown_status", "$.data.status", reason)

    @property
    def audited(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """What is known of the label of each audit made so far, by the event's id: values by name."""
        return self._make.audited

    @property
    def _is_old(self) -> bool:
        return self._known is not None and self._at_us <= self._known["at_us"]

    def changed(self) -> Step:
        """Return events and record of a response that was created or changed."""
        if self._is_old:
            return [], None, _AGAIN
        if self._status != "submitted":
            return self._not_submitted()
        known = self._known
        if known is None or not known["given"]:
            audits = self._may_audit and bool(self._labels())
            entry = self._entry(kind="audit" if audits else "label", round=1)
        else:
            entry = self._entry(kind=known["kind"], round=known["round"] + (not known["stands"]))
        entry |= {"given": True, "stands": True}
        return self._audits(entry) if entry["kind"] == "audit" else self._label(entry)

    def deleted(self) -> Step:
        """Return events and record of a response that was deleted."""
        if self._is_old:
            return [], None, _AGAIN
        if self._known is None and self._status != "submitted":
            return [], self._entry(kind="label", round=1), f"a deleted {self._status} response was no label"
        return self._withdrawn("deleted in the tool")

    def _not_submitted(self) -> Step:
        """A draft or discarded response is no label; one that was submitted before is withdrawn."""
        known = self._known
        drafted = known is None and (self._created or self._status == "draft")
        if drafted or (known is not None and not known["given"]):
            return [], self._entry(kind="label", round=1), f"a {self._status} response is no label"
        return self._withdrawn("discarded in the tool" if self._status == "discarded" else "turned into a draft")

    def _withdrawn(self, reason: str) -> Step:
        known = self._known
        if known is None and self._may_audit:
            said = (
                f"response {self.response} of somebody who may audit no longer stands, but it never reached this gateway (or "
                "longer ago than gateway.memory_ttl_s), so whether it was a label or an audit is unknown; send a "
                "label.withdrawn or audit.withdrawn event if it counts"
            )
            raise BadWebhook("unknown_response", "$.data.id", said)
        entry = known or self._entry(kind="label", round=1) | {"given": True}
        after = {**entry, "stands": False, "at_us": self._at_us}
        if known is not None and not known["stands"]:
            return [], after, "the response does not count any more, or never did"
        if entry["kind"] == "audit":
            events = [self._make.audit_withdrawn(self.response, one, reason) for one in entry["audits"].values()]
            return events, after, None if events else "the audit was of no label"
        return [self._make.label_withdrawn(self.response, entry["round"], reason)], after, None

    def _label(self, entry: Remembered) -> Step:
        values = values_of(self._answer)
        return [self._make.label(self.response, entry["round"], self._who, values)], entry, None

    # -- audits --------------------------------------------------------------------------------------------------

    def _labels(self) -> dict[str, Remembered]:
        """Return the standing labels of others, by label id."""
        return {
            label_id(response, one["round"]): one
            for response, one in self._responses.items()
            if one["kind"] == "label" and one["stands"] and one["who"] != self._who
        }

    def _audits(self, entry: Remembered) -> Step:
        """Audit every label of others that stands; a changed audit keeps its id, so that it replaces the former."""
        former = (self._known or {}).get("audits", {}) if entry["round"] == (self._known or {}).get("round") else {}
        labels = self._labels()
        suffix = "" if entry["round"] == 1 else f"-{entry['round']}"
        audits = {one: former.get(one, f"argilla-audit-{self.response}{suffix}-{one}"[:256]) for one in labels}
        gone = [one for label, one in former.items() if label not in audits]
        events = [self._make.audit_withdrawn(self.response, one, "its label no longer stands") for one in gone]
        events += [self._audit(audits[one], one, labels[one]) for one in labels]
        return events, {**entry, "audits": audits}, None if events else "there is no label of somebody else to audit"

    def _audit(self, audit_id: str, label: str, given: Remembered) -> Any:
        """Return the audit of a label; ``incomparable`` where the answers are alike but not all made of choices."""
        alike = sorted(choices_of(self._answer)) == given["choices"]
        whole = bool(given["choices"]) and given["complete"] and not self._answer["others"]
        wrong = not alike
        data = wire.AuditCompletedData(
            audit_id=audit_id,
            label_id=label,
            auditor_id=self._who,
            verdict="incorrect" if wrong else "correct" if whole else "incomparable",
            error_class=self._error_class(given) if wrong else None,
            severity=self._severity() if wrong else None,
            values=values_of(self._answer) if wrong else None,
            sampling=wire.Sampling(method="review"),
        )
        return self._make.audit(self.response, data, given["choices"])

    def _error_class(self, given: Remembered) -> ErrorClass:
        truth_safe = self._is_safe()
        if given["safe"] == truth_safe:
            return "wrong_selection"
        return "false_negative" if given["safe"] else "false_positive"

    def _is_safe(self) -> bool:
        chosen = {one for found in self._answer["choices"].values() for one in found}
        return chosen <= self._make.settings.safe_values

    def _severity(self) -> Severity | None:
        """Return the severity the auditor chose; None where there is no such question: it is never guessed."""
        chosen = self._answer.get("severity")
        return None if chosen is None else self._make.settings.severities.get(chosen, "minor")

    def _entry(self, *, kind: str, round: int) -> Remembered:
        return {
            "who": self._who,
            "kind": kind,
            "round": round,
            "given": False,
            "stands": False,
            "at_us": self._at_us,
            "choices": sorted(choices_of(self._answer)),
            "complete": not self._answer["others"],
            "safe": self._is_safe(),
            "audits": {},
        }
