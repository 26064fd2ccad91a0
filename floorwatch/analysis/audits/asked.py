"""The records with which an audit plan asks for the audits of labels, on ``audit-requests.v1``. Pure.

A label is asked for once: its key and its id are made of its task and itself, whichever plan draws it, and the event is the same to the
byte however often it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from floorwatch.analysis.audits.drawing import METHOD
from streams.core.time_text import rfc3339
from streams.models.outputs import AuditDrawn
from streams.models.timestamps import to_ms

KEY_PREFIX = "~label|"
"""Begins the record keys. No rule has such a name, so they differ from those of requests of rules."""


class DrawnLabel(NamedTuple):
    """A label that a plan has drawn.

    Attributes:
        task_id: Its task.
        label_id: Itself.
        time_ms: When its first version was made.
        stratum: Values by dimension, and ``decision``.
        probability: π of the stratum.
    """

    task_id: str
    label_id: str
    time_ms: int
    stratum: Mapping[str, str]
    probability: float


def draw_key(task_id: str, label_id: str) -> bytes:
    """Return the record key of a label, of which no two have the same: ``|`` and ``%`` of an id are written %7C and %25.

    Source: percent-encoding, RFC 3986, section 2.1.
    """
    return f"{KEY_PREFIX}{_escaped(task_id)}|{_escaped(label_id)}".encode()


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("|", "%7C")


def draw_id(task_id: str, label_id: str) -> str:
    """Return the event's id: 32 hex digits (BLAKE2b-128), always the same for a label."""
    return blake2b(f"drawn\x1f{task_id}\x1f{label_id}".encode(), digest_size=16).hexdigest()


def encode_draw(plan: str, drawn: DrawnLabel, until_ms: int) -> bytes:
    """Return the CloudEvent that asks for the audit of a label.

    Args:
        plan: Name of the plan.
        drawn: The label.
        until_ms: From when on its audit would be late.
    """
    made = rfc3339(drawn.time_ms)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": draw_id(drawn.task_id, drawn.label_id),
            "source": "floorwatch",
            "type": AuditDrawn.__struct_config__.tag,
            "subject": drawn.task_id,
            "time": made,
            "datacontenttype": "application/json",
            "data": {
                "plan": plan,
                "label_id": drawn.label_id,
                "labeled_at": made,
                "stratum": dict(drawn.stratum),
                "sampling": {"method": METHOD, "probability": drawn.probability},
                "until": rfc3339(until_ms),
            },
        }
    )


_decode = msgspec.json.Decoder(AuditDrawn).decode


def until_of(value: bytes) -> int:
    """Return from when on the audit that a record asks for would be late, in ms.

    Raises:
        msgspec.DecodeError: The record asks for no audit of a label.
    """
    return to_ms(_decode(value).data.until)
