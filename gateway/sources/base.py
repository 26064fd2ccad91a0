"""What a tool is to the gateway: how its webhooks are verified, reduced, looked up and translated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.time_slices import TimeSlices
from gateway.webhooks import Remembered, Translation

Webhook = dict[str, Any]
"""A webhook reduced to ids, times, dimensions and choices, as the spool keeps it. ``action`` is the tool's event name."""


@dataclass(frozen=True)
class Bounds:
    """What may be held of a webhook that is reduced while it arrives.

    Attributes:
        part_bytes: The largest part of it, such as a task.
        parts: Most tasks, annotations or reviews.
    """

    part_bytes: int
    parts: int


class TooManyParts(Exception):
    """A webhook has more parts than are taken."""


class HookReader(Protocol):
    """Reduces a webhook while it arrives."""

    @property
    def held_bytes(self) -> int:
        """Bytes that it holds now."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises as ``Tool.redact``, or ``TooLargePart``, or ``TooManyParts``."""

    def end(self) -> list[Webhook]:
        """Return the reduced webhook, a large one in parts; raises as ``feed``. What is large may be ``msgspec.Raw``."""


class BadSignature(Exception):
    """A webhook is not signed as its source's secret asks. Operator: the message says what is wrong."""

    def __init__(self, code: str, reason: str, hint: str) -> None:
        """Say what is wrong and how to mend it; nothing of the request is quoted."""
        super().__init__(reason)
        self.code, self.reason, self.hint = code, reason, hint


@dataclass(frozen=True)
class TranslationContext:
    """What a translation needs beside the webhook.

    Attributes:
        source: CloudEvents source, ``<tool>/<name>``.
        received_ms: When it arrived, Unix milliseconds.
        settings: How the tool's webhooks are read: its own section.
    """

    source: str
    received_ms: int
    settings: Any


@dataclass(frozen=True)
class Signature:
    """How a tool proves who it is.

    Attributes:
        check_head: Refuses a request by its head, before its body is read: headers, Unix milliseconds, tolerance in
            seconds.
        check_body: Refuses a body that none of the secrets has signed: headers, body, secrets.
        secrets: The keys in the text of a secret. Raises ValueError, with a sentence that does not show the secret.
        timed: Whether a time is signed; then the tool's section has ``timestamp_tolerance_s``.
    """

    check_head: Callable[[Mapping[str, str], int, float], None]
    check_body: Callable[[Mapping[str, str], bytes, Sequence[bytes]], None]
    secrets: Callable[[str], list[bytes]]
    timed: bool = True


@dataclass(frozen=True)
class Tool:
    """A tool whose webhooks the gateway takes at ``/v1/hooks/<name>``.

    Attributes:
        name: In the address, in the metrics, and before the slash of the events' source.
        title: Its name for people.
        signature: How its webhooks are signed; None where a bearer token, or nothing, says who sends.
        reader: Begins to reduce a webhook while it arrives; None where it must be there as a whole, as for a signature.
        redact: Reduces a body to what is kept of it. Raises BadWebhook, TooComplex, or msgspec.DecodeError.
        lookups: Keys of remembered state that a webhook needs, given what is known so far.
        lookup_rounds: How often ``lookups`` is asked: 2 where one record names another.
        retries: Whether it sends a webhook again that was not answered 2xx.
        signature_of: How the webhooks of one source are signed, by its section, where sources differ; the source has a
            token where it says None.
        translate: A pure function of webhook, remembered state and context. Raises BadWebhook.
        project_of: Id and name of a webhook's project, each None where it says none; None for a tool whose section has
            no ``projects``.
    """

    name: str
    title: str
    signature: Signature | None
    redact: Callable[[bytes, Any, TimeSlices], Awaitable[Webhook]]
    lookups: Callable[[Webhook, Mapping[str, Remembered], TranslationContext], list[str]]
    translate: Callable[[Webhook, Mapping[str, Remembered], TranslationContext], Translation]
    lookup_rounds: int = 1
    retries: bool = False
    reader: Callable[[Any, Bounds], HookReader] | None = None
    signature_of: Callable[[Any], Signature | None] | None = None
    project_of: Callable[[Webhook], tuple[Any, Any]] | None = None

    @property
    def of_source(self) -> bool:
        """Whether its settings are those of a source; else all its webhooks are read by one section of ``gateway``."""
        return self.signature is not None or self.signature_of is not None

    @property
    def section(self) -> str:
        """Where its settings are: see ``of_source``.

        One of ``gateway`` has ``source``, the name for webhooks without ``?source=``.
        """
        return self.name.replace("-", "_")

    @property
    def path(self) -> str:
        """Where its webhooks are taken."""
        return f"/v1/hooks/{self.name}"
