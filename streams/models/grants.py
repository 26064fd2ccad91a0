"""Grants: what a sender may do, and how that is written on an event so that nobody can write more.

Gateway and intake know the sender. They refuse at once what can be decided from the event alone: a type that is not
granted, a foreign ``source``, a dimension of somebody else. Only the ledger can decide what depends on another event
(whose label is withdrawn?). For that, they write the *stamp* into the event: the sender and the dimensions it is bound
to. An event without a stamp has all rights, so a stamp can only take rights away.

On the way from the gateway to intake an event also carries a *proof*: an HMAC of all its other bytes. Intake accepts a
stamp from a raw topic only with a proof, and drops any other.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec
from msgspec import UNSET, Struct

from streams.models.events import (
    EVENT_CLASSES,
    TYPE_NAMES,
    AppealDecided,
    AuditCompleted,
    AuditWithdrawn,
    BreakEnded,
    BreakStarted,
    LabelSubmitted,
    ShiftScheduled,
    TaskCreated,
    encode_event,
)
from streams.models.refusal import Refusal

BOUND_DIMENSIONS = ("site", "vendor", "team", "queue", "market")
"""What a sender may be bound to."""

NOT_PERMITTED = "not_permitted"
"""Code of the refusal of an event that its sender has no right to send."""

UNPROVEN = "unproven_grant"
"""Code of the refusal of an event whose proof was made with another key."""

REVIEWER = "reviewer"
NO_REVIEWER = "no"
"""``reviewer=no`` on a stamp: the sender may not change labels that have been audited."""

_HEX = 32
_PROOF = b',"floorwatchproof":"'
_TAIL = len(_PROOF) + _HEX + 2
_JUDGING = (AuditCompleted, AuditWithdrawn, AppealDecided)
_BREAKS = (BreakStarted, BreakEnded)
_PLACED = (LabelSubmitted, TaskCreated, ShiftScheduled)
"""Events that say where on the floor something belongs."""


class SenderGrant(Struct, frozen=True):
    """What one sender may do, as configured.

    Attributes:
        sender: Its name in the configuration.
        place: Where in the configuration that stands, for hints.
        types: Full names of the event types it may send; None for all.
        event_sources: Beginnings of the CloudEvents source it may use; empty allows any.
        bound: Values by dimension that it is bound to; a dimension that is not named is free.
        labelers: Patterns of the labeler ids it may name; empty allows any.
        reviewer: Whether it may judge the labels it is bound to: audit them, withdraw audits, decide appeals.
    """

    sender: str
    place: str = ""
    types: tuple[str, ...] | None = None
    event_sources: tuple[str, ...] = ()
    bound: dict[str, tuple[str, ...]] = {}
    labelers: tuple[str, ...] = ()
    reviewer: bool = False

    @property
    def stamp(self) -> str:
        """What is written on its events; empty for a sender that is bound to no dimension."""
        return stamp_of(self.sender, self.bound, reviewer=self.reviewer) if self.bound else ""

    def marked(self, event: Any) -> Any:
        """Return a decoded event as the log has it: with the stamp, and with each dimension that can have one value only.

        A label, task or shift that leaves out a dimension to which its sender is bound by a single value has that
        value. So it counts for that value, and the sender's reviewers may audit it.

        Args:
            event: A decoded event that the grant allows.
        """
        if type(event) in _PLACED:
            data = event.data
            only = {name: values[0] for name, values in self.bound.items() if len(set(values)) == 1}
            added = {name: value for name, value in only.items() if getattr(data, name, value) is None}
            if added:
                event = msgspec.structs.replace(event, data=msgspec.structs.replace(data, **added))
        return stamped(event, self.stamp)

    def refusal(self, event: Any) -> Refusal | None:
        """Return why an event may not come from this sender, or None. What only the ledger can know is not checked here.

        Args:
            event: A decoded customer event.
        """
        kind, data = type(event), event.data
        name = str(kind.__struct_config__.tag)
        if self.types is not None and name not in self.types:
            return self._refuse("$.type", f"may not send {short(name)}", f"add {short(name)} to {self.place}.may")
        if self.event_sources and not event.source.startswith(self.event_sources):
            allowed = ", ".join(self.event_sources)
            reason = f"the token of {self.sender} may not send for source {event.source!r}"
            hint = f"begin source with {allowed}, or use that source's own token"
            return Refusal("foreign_source", "$.source", reason, hint)
        if not self.bound:
            return self._labeler_refusal(event)
        if kind in _JUDGING and not self.reviewer:
            return self._refuse("$.type", f"may not judge: {short(name)} needs a reviewer", _review_hint(self.place))
        if kind is AuditCompleted and data.label_id is None:
            reason = "must name the label of its audits, because it is bound to a part of the floor"
            return self._refuse("$.data.label_id", reason, "send data.label_id")
        if kind in _BREAKS and not self.labelers:
            reason = "may not send breaks: they name a labeler and no dimension"
            return self._refuse("$.type", reason, f"set {self.place}.labelers, e.g. [a-*]")
        for dimension, values in self.bound.items():
            said = getattr(data, dimension, None)
            if said is not None and said not in values:
                reason = f"may not send for {dimension} {said!r}"
                hint = f"{self.place}.{dimension} holds {', '.join(values)}"
                return self._refuse(f"$.data.{dimension}", reason, hint)
        return self._labeler_refusal(event)

    def _labeler_refusal(self, event: Any) -> Refusal | None:
        if not self.labelers:
            return None
        data = event.data
        one = getattr(data, "labeler_id", None)
        named = [one] if one is not None else getattr(data, "labeler_ids", [])
        for labeler in named:
            if not any(fnmatchcase(labeler, pattern) for pattern in self.labelers):
                hint = f"{self.place}.labelers holds {', '.join(self.labelers)}"
                return self._refuse("$.data.labeler_id", f"may not name labeler {labeler!r}", hint)
        return None

    def _refuse(self, field: str, reason: str, hint: str) -> Refusal:
        return Refusal(NOT_PERMITTED, field, f"{self.sender} {reason}", hint)


def _review_hint(place: str) -> str:
    return f"send it with the token of a reviewer; {place}.reviewer is false"


def short(type_name: str) -> str:
    """Return an event type as people write it: ``label.submitted``."""
    return type_name.removeprefix("floorwatch.").removesuffix(".v1")


def types_matching(pattern: str) -> tuple[str, ...]:
    """Return the full names of the event types that a pattern of ``may`` covers: ``label.*``, or a full name."""
    return tuple(name for name in TYPE_NAMES if fnmatchcase(short(name), pattern) or fnmatchcase(name, pattern))


def types_of(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the full names of the event types that patterns cover, each once, in the order of the contract."""
    found = {name for pattern in patterns for name in types_matching(pattern)}
    return tuple(str(cls.__struct_config__.tag) for cls in EVENT_CLASSES if cls.__struct_config__.tag in found)


def stamp_of(sender: str, bound: Mapping[str, Sequence[str]], *, reviewer: bool = True) -> str:
    """Return the stamp of a sender: ``vendor-a?vendor=bpo-a&vendor=bpo-b&reviewer=no``.

    Args:
        sender: Its name.
        bound: Values by dimension.
        reviewer: Whether it may change labels that have been audited. Only a missing right is written, so that a stamp
            takes rights away and never gives any.
    """
    pairs = [(dimension, value) for dimension in sorted(bound) for value in sorted(set(bound[dimension]))]
    pairs += [] if reviewer else [(REVIEWER, NO_REVIEWER)]
    return f"{quote(sender, safe='')}?{urlencode(pairs)}"


def read_stamp(stamp: str) -> tuple[str, dict[str, frozenset[str]]]:
    """Return the sender and the values by dimension of a stamp.

    Example:
        >>> read_stamp("vendor-a?site=KUL&vendor=bpo-a")
        ('vendor-a', {'site': frozenset({'KUL'}), 'vendor': frozenset({'bpo-a'})})
    """
    sender, _, query = stamp.partition("?")
    found: dict[str, set[str]] = {}
    for dimension, value in parse_qsl(query, keep_blank_values=True):
        found.setdefault(dimension, set()).add(value)
    return unquote(sender), {name: frozenset(held) for name, held in found.items()}


def stamped(event: Any, stamp: str) -> Any:
    """Return a decoded event with a stamp, or without one if the stamp is empty. A stamp in the event itself is replaced."""
    if event.floorwatchgrant is UNSET and not stamp:
        return event
    return msgspec.structs.replace(event, floorwatchgrant=stamp or UNSET)


def sealed(value: bytes, key: bytes) -> bytes:
    """Return an encoded event with a proof by a key.

    Args:
        value: JSON object; its last byte, but for white space, is the brace that closes it.
        key: The installation's grant key.
    """
    body = value.rstrip()[:-1]
    return body + _PROOF + _digest(body, key) + b'"}'


def has_proof(value: bytes) -> bool:
    """Tell whether an event ends with a proof. Costs 60 ns."""
    return value[-_TAIL : -_TAIL + len(_PROOF)] == _PROOF


def opened(value: bytes, keys: Sequence[bytes]) -> bytes | None:
    """Return a signed event without its proof; None if none of the keys made the proof.

    Args:
        value: An event for which ``has_proof`` holds.
        keys: The grant key, and the one before it while it is replaced.
    """
    body, proof = value[:-_TAIL], value[-_HEX - 2 : -2]
    for key in keys:
        if hmac.compare_digest(_digest(body, key), proof):
            return body + b"}"
    return None


def _digest(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[: _HEX // 2].hex().encode()


def encoded(event: Any, value: bytes, grant: SenderGrant | None, key: bytes | None) -> bytes:
    """Return the bytes the gateway publishes for an event: stamped by its sender's grant, sealed where there is a key.

    Args:
        event: A decoded event that the grant allows.
        value: Its bytes.
        grant: The sender's, None for one that may do everything.
        key: The grant key; without one there are no grants.
    """
    bound = stamped(event, "") if grant is None else grant.marked(event)
    if bound is not event:
        value = encode_event(bound)
    return value if key is None else sealed(value, key)
