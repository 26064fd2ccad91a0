"""What the gateway writes: contract events re-encoded, and dead letters."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.hooks import Problem
from streams.core.stamps import rfc3339
from streams.models.events import encode_event
from streams.models.explain import Refusal, explain

MAX_VALUE_BYTES = 1_048_576 - 4096
"""Kafka refuses batches over 1 MiB, its own framing included."""

Record = tuple[bytes, bytes]


def checked(raw: bytes, now_ms: int | None, max_bytes: int, future_ms: int) -> Refusal | tuple[Any, Record]:
    """Return an event and the (key, value) to publish, or why it is refused.

    The value is encoded anew from what the contract knows: fields it does not know may hold moderated content, which
    must never be stored.

    Args:
        raw: JSON bytes of one event.
        now_ms: When it arrived, Unix milliseconds; None skips the check of times in the future.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of its arrival it may be dated.
    """
    found = explain(raw, now_ms, max_bytes, future_ms)
    if type(found) is Refusal:
        return found
    return _recorded(found)


def recorded(event: Any) -> Refusal | Record:
    """Return the (key, value) to publish for an event made by the gateway itself, checked as if it had been sent."""
    found = checked(encode_event(event), None, MAX_VALUE_BYTES, 0)
    return found if isinstance(found, Refusal) else found[1]


def _recorded(event: Any) -> Refusal | tuple[Any, Record]:
    value: bytes = encode_event(event)
    if len(value) > MAX_VALUE_BYTES:
        reason = f"the event has {len(value)} bytes, Kafka takes {MAX_VALUE_BYTES}"
        return Refusal("too_large", None, reason, "send ids and labels, not content")
    return event, (event.subject.encode(), value)


def dead_letter(problem: Problem, source: str, received_ms: int) -> Record:
    """Return the dead letter of a part of a webhook; the same problem of the same webhook has the same key.

    Args:
        problem: What could not be translated; its summary holds ids only.
        source: CloudEvents source of the tool.
        received_ms: When the webhook arrived.
    """
    value = msgspec.json.encode(problem.summary).decode()
    body = {
        "at": rfc3339(received_ms),
        "stage": "gateway",
        "source_topic": None,
        "partition": None,
        "offset": None,
        "code": problem.code,
        "field": problem.field,
        "reason": problem.reason,
        "value": value,
        "value_encoding": "utf-8",
        "value_bytes": len(value.encode()),
    }
    key = f"gateway|{source}|{received_ms}|{problem.code}|{problem.field}|{problem.summary.get('id')}"
    return key.encode(), msgspec.json.encode(body)
