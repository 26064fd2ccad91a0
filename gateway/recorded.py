"""What the gateway writes: contract events re-encoded, and dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.webhooks import WebhookProblem
from streams.core.dead_letters import dead_letter as letter
from streams.core.dead_letters import kept_ids
from streams.models.acceptance import accept
from streams.models.events import encode_event
from streams.models.grants import SenderGrant, encoded
from streams.models.refusal import Refusal
from streams.models.sampling_plan import NO_PLAN, NOTHING_KNOWN, SamplingPlan, with_sampling
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

MAX_VALUE_BYTES = 1_048_576 - 4096
"""Kafka refuses batches over 1 MiB, its own framing included."""

Record = tuple[bytes, bytes]


def checked(
    raw: bytes,
    now_ms: int | None,
    max_bytes: int,
    future_ms: int,
    limits: EventLimits = DEFAULT_LIMITS,
    grant: SenderGrant | None = None,
    key: bytes | None = None,
    plan: SamplingPlan = NO_PLAN,
    *,
    explained: bool = True,
    label: Mapping[str, tuple[str, ...]] | None = None,
) -> Refusal | tuple[Any, Record]:
    """Return an event and the (key, value) to publish, or why it is refused.

    The value has only the contract's fields. Others may hold moderated content, which must never be stored.

    Args:
        raw: JSON bytes of one event.
        now_ms: When it arrived, Unix milliseconds; None skips the check of times in the future.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of its arrival it may be dated.
        limits: How far its other times may be from its own.
        grant: What its sender may do; None for one that may do everything.
        key: Key with which the grant is signed; None without one.
        plan: What is said of audits that name no probability.
        explained: As ``accept``.
        label: For an audit of a webhook: what is known of its label, values by name.
    """
    found = accept(raw, now_ms, max_bytes, future_ms, limits, explained=explained)
    if isinstance(found, Refusal):
        return found
    event, value = found
    refusal = None if grant is None else grant.refusal(event)
    if refusal is not None:
        return refusal
    sampled = with_sampling(event, plan, first=True, from_tool=label is not None, label=label or NOTHING_KNOWN)
    if isinstance(sampled, Refusal):
        return sampled
    if sampled is not event:
        event, value = sampled, encode_event(sampled)
    value = encoded(event, value, grant, key)
    if len(value) > MAX_VALUE_BYTES:
        reason = f"the event has {len(value)} bytes, Kafka takes {MAX_VALUE_BYTES}"
        return Refusal("too_large", None, reason, "send ids and labels, not content")
    return event, (event.subject.encode(), value)


def recorded(
    event: Any,
    limits: EventLimits = DEFAULT_LIMITS,
    grant: SenderGrant | None = None,
    key: bytes | None = None,
    plan: SamplingPlan = NO_PLAN,
    label: Mapping[str, tuple[str, ...]] = NOTHING_KNOWN,
) -> tuple[Record | None, tuple[Refusal, ...]]:
    """Return the (key, value) to publish for an event that a webhook was translated to, checked as if it had been sent.

    A time that breaks a rule is left out if the event is valid without it. The tool never sends the webhook again, and
    a label without its handle time is worth more than no label.

    Args:
        event: An event of the contract.
        limits: How far its times may be from its own.
        grant: What its sender may do; None for one that may do everything.
        key: Key with which the grant is signed; None without one.
        plan: What is said of audits that name no probability.
        label: What is known of the label of an audit: values by name.

    Returns:
        The record, None where there is none to publish; and what was refused, of the event or of its times.
    """
    refusals: list[Refusal] = []
    while True:
        found = checked(encode_event(event), None, MAX_VALUE_BYTES, 0, limits, grant, key, plan, label=label)
        if not isinstance(found, Refusal):
            return found[1], tuple(refusals)
        refusals.append(found)
        name = (found.field or "").removeprefix("$.data.")
        if name not in _OPTIONAL_TIMES or getattr(event.data, name, None) is None:
            return None, tuple(refusals)
        event = msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **{name: None}))


_OPTIONAL_TIMES = ("due_at", "started_at", "created_at")


def dead_letter(problem: WebhookProblem, source: str, received_ms: int) -> Record:
    """Return the dead letter of a part of a webhook; the same problem of the same webhook has the same key.

    Args:
        problem: What could not be translated; its summary holds ids only.
        source: CloudEvents source of the tool.
        received_ms: When the webhook arrived.
    """
    refusal = Refusal(problem.code, problem.field, problem.reason, problem.hint)
    key = f"gateway|{source}|{received_ms}|{problem.code}|{problem.field}|{problem.summary.get('id')}"
    return key.encode("utf-8", "replace"), letter("gateway", refusal, kept_ids(problem.summary), received_ms)
