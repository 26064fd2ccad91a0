"""What the mapping of an upstream tool returns: a translation, its problems, and deterministic event ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.models.events import encode_event

Remembered = dict[str, Any]


class BadWebhook(Exception):
    """A webhook that cannot be read. Operator: check the tool's version and the hook's address."""

    def __init__(self, code: str, where: str | None, reason: str) -> None:
        """Say what is wrong and where."""
        super().__init__(reason)
        self.code = code
        self.field = where
        self.reason = reason


@dataclass(frozen=True)
class WebhookProblem:
    """A part of a webhook that became no event: it goes to the dead letters.

    Attributes:
        code: For machines.
        field: Place in the webhook.
        reason: A sentence a person can act on.
        summary: What it was about: ids; of a mapped tool also what its mapping keeps of the item.
        hint: What to do about it.
    """

    code: str
    field: str | None
    reason: str
    summary: Mapping[str, Any]
    hint: str = "find it in the tool by the ids in value; what is right there and not understood here is worth a report"


@dataclass
class Translation:
    """What a webhook means.

    Attributes:
        events: Contract events, in order.
        remember: Records to keep, by key.
        ignored: Why there are no events, where none are expected.
        problems: What could not be translated.
        audited: What is known of the label of an audit, by the event's id: values by name (``streams.models.sampling_plan``).
    """

    events: list[Any] = field(default_factory=list)
    remember: dict[str, Remembered] = field(default_factory=dict)
    ignored: str | None = None
    problems: list[WebhookProblem] = field(default_factory=list)
    audited: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


MOST_LABELS = 1000
"""The most labels that a task may want; the contract's own bound."""


def labels_wanted(said: Any) -> int:
    """Return how many labels a tool wants of a task: 1 where it says no whole number from 1 to ``MOST_LABELS``; true is none."""
    return said if type(said) is int and 1 <= said <= MOST_LABELS else 1


def event_id(action: str, subject: str, event: Any) -> str:
    """Return an id made of the content, so that a webhook delivered again makes the same event: a duplicate.

    Args:
        action: The tool's own name of what happened.
        subject: What it happened to: an annotation's unique id and the time of the change.
        event: The event, with any id.
    """
    digest = hashlib.blake2b(encode_event((event.source, event.subject, event.time, event.data)), digest_size=8)
    return f"{action}:{subject}:{digest.hexdigest()}"[-256:]
