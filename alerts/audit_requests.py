"""Requests for audits: turns the audit suggestions of signals into requests to labelling tools. Pure.

There is one open request per rule and scope. It ends after a day, and only then may the next one be made. So if a
signal is folded again, after a crash or by another worker, its request is still open and it makes no second one.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec import Struct

from alerts.signals import Signal
from streams.core.formatting import rfc3339
from streams.models.outputs import AuditDrawn, AuditRequested
from streams.models.timestamps import to_ms

STANDS_MS = 86_400_000
"""How long a request is open. A day includes every shift."""


class AuditRequest(Struct, frozen=True):
    """One request; times in ms of event time.

    Attributes:
        made_by: The signal that made it.
        number: Counts the requests of a rule on a scope, from 1.
        until_ms: When it ends.
    """

    made_by: Signal
    number: int
    until_ms: int


class LastRequest(Struct, frozen=True):
    """What is kept of the last request of a rule on a scope."""

    number: int
    until_ms: int


def step(held: LastRequest | None, signal: Signal) -> AuditRequest | None:
    """Return the request that a signal makes. None if it suggests no audits or a request is open already."""
    if signal.wish is None or (held is not None and signal.watermark_ms < held.until_ms):
        return None
    return AuditRequest(signal, 1 if held is None else held.number + 1, signal.watermark_ms + STANDS_MS)


def standing(request: AuditRequest) -> LastRequest:
    """Return what to keep of a request."""
    return LastRequest(request.number, request.until_ms)


def request_id(rule: str, scope_key: str, number: int) -> str:
    """Return the stable id of a request: 32 hex digits (blake2b-128)."""
    # A unit separator, as in incident_key: neither part can hold a control character.
    return blake2b(f"audit\x1f{rule}\x1f{scope_key}\x1f{number}".encode(), digest_size=16).hexdigest()


def request_key(rule: str, scope_key: str) -> str:
    """Return the record key. The latest request of a rule on a scope is kept."""
    return f"{rule}|{scope_key}"


def encode_request(request: AuditRequest) -> bytes:
    """Return the CloudEvent of a request as JSON.

    Raises:
        ValueError: The signal that made it suggests no audits.
    """
    signal, wish = request.made_by, request.made_by.wish
    if wish is None:
        raise ValueError(f"a signal of {signal.rule} on {signal.scope_key} without a wish makes no request")
    data = {
        "rule": signal.rule,
        "kind": signal.kind,
        "scope": signal.scope,
        "scope_key": signal.scope_key,
        "number": request.number,
        "audits": wish.audits,
        "until": rfc3339(request.until_ms),
        "since": rfc3339(signal.since_ms),
        "units": wish.units,
        "bad": wish.bad,
        "score": wish.score,
        "bar": wish.bar,
    }
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": request_id(signal.rule, signal.scope_key, request.number),
            "source": "floorwatch",
            "type": AuditRequested.__struct_config__.tag,
            "subject": signal.scope_key,
            "time": rfc3339(signal.watermark_ms),
            "datacontenttype": "application/json",
            "data": data,
        }
    )


_decode = msgspec.json.Decoder(AuditRequested | AuditDrawn).decode


def decode_standing(value: bytes) -> tuple[str, str, LastRequest] | None:
    """Return rule, scope key and what is kept of the request in a record; None for a label that an audit plan drew.

    Raises:
        msgspec.DecodeError: The record holds neither.
    """
    event = _decode(value)
    if isinstance(event, AuditDrawn):
        return None
    data = event.data
    return data.rule, data.scope_key, LastRequest(data.number, to_ms(data.until))
