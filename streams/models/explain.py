"""Explains why bytes are not an acceptable event, in words a sender can act on.

The good case costs one decode and two searches of bytes; all explaining happens only after a failure.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import msgspec
from msgspec import Struct

from streams.models.events import (
    TYPE_NAMES,
    AppealDecided,
    AppealOpened,
    LabelSubmitted,
    decode_event,
)

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_CONTROL = re.compile(rb"\\u00[01][0-9a-fA-F]|\\[bfnrt]")


class Refusal(Struct, frozen=True):
    """Why an event is refused: a code for machines, the field, a reason and what to do."""

    code: str
    field: str | None
    reason: str
    hint: str


def explain(raw: bytes, now_ms: int | None, max_bytes: int = 1_048_576, future_ms: int = 300_000) -> Any:
    """Decode an event or say what is wrong with it.

    Args:
        raw: JSON bytes of one CloudEvent.
        now_ms: When it arrived; None skips the check of times in the future.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of its arrival an event may be dated.

    Returns:
        The decoded event, or a ``Refusal``. Never raises.
    """
    if len(raw) > max_bytes:
        return Refusal(
            "too_large",
            None,
            f"the event has {len(raw)} bytes, the limit is {max_bytes}",
            "send ids and labels, not content",
        )
    try:
        event = decode_event(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _explain_failure(raw, error)
    if b"\\" in raw and _CONTROL.search(raw):
        found = _control_character(raw)
        if found is not None:
            return found
    if now_ms is not None and event.time.timestamp() * 1000.0 > now_ms + future_ms:
        return Refusal(
            "future_time",
            "$.time",
            f"the event is dated {event.time.isoformat()}, more than {future_ms // 1000} s after it arrived",
            "correct the sender's clock or its time zone; a time in the future would close windows too early",
        )
    kind = type(event)
    if kind is LabelSubmitted:
        started = event.data.started_at
        if started is not None and started > event.time:
            return Refusal(
                "started_after_time",
                "$.data.started_at",
                "the label starts after its own time",
                "send started_at at or before the event's time",
            )
    elif kind is AppealOpened or kind is AppealDecided:
        return _appeal_target(event) or event
    return event


def _appeal_target(event: Any) -> Refusal | None:
    name = "audit_id" if event.data.against == "audit" else "label_id"
    if getattr(event.data, name) is not None:
        return None
    return Refusal(
        "missing_field",
        f"$.data.{name}",
        f"an appeal against a {event.data.against} names no {name}",
        f"send data.{name}",
    )


def _control_character(raw: bytes) -> Refusal | None:
    """Find a control character in an identifier; free text (reason) may hold line breaks."""

    def walk(value: Any, path: str) -> str | None:
        if isinstance(value, str):
            bad = any(ord(c) < 32 for c in value) and not path.endswith(".reason")
            return path if bad else None
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            found = walk(inner, f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}")
            if found:
                return found
        return None

    try:
        path = walk(json.loads(raw), "$")
    except (ValueError, RecursionError):
        return Refusal("not_json", None, "the event cannot be read as JSON", "send one JSON object")
    if path is None:
        return None
    return Refusal("control_character", path, f"{path} holds a control character", "send printable identifiers")


def _explain_failure(raw: bytes, error: Exception) -> Refusal:
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        return Refusal(
            "not_utf8", None, f"byte {fault.start} is not UTF-8", "encode the event as UTF-8 (JSON is always UTF-8)"
        )
    try:
        value = json.loads(text)
    except json.JSONDecodeError as fault:
        return Refusal(
            "not_json",
            None,
            f"not JSON: {fault.msg} at line {fault.lineno} column {fault.colno}",
            "send one JSON object per event",
        )
    except (ValueError, RecursionError):
        return Refusal(
            "not_json", None, "not JSON that can be read: nested too deeply or a number too long", "flatten it"
        )
    if not isinstance(value, dict):
        return Refusal(
            "wrong_type",
            "$",
            f"an event is a JSON object, this is {_kind(value)}",
            "send one CloudEvents object per event",
        )
    return _explain_object(value, str(error))


def _explain_object(value: dict[str, Any], message: str) -> Refusal:
    kind = value.get("type")
    if "type" not in value:
        return Refusal("missing_field", "$.type", "the event has no type", f"one of {', '.join(TYPE_NAMES[:4])}, ...")
    if isinstance(kind, str) and kind not in TYPE_NAMES:
        near = difflib.get_close_matches(kind, TYPE_NAMES, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known types: {', '.join(TYPE_NAMES)}"
        return Refusal("unknown_type", "$.type", f"unknown event type {kind[:200]!r}", hint)
    found = _PATH.search(message)
    path = found.group(1) if found else "$"
    reason = _PATH.sub("", message)
    if "missing required field" in reason:
        name = reason.rsplit("`", 2)[1]
        field = f"{path}.{name}"
        return Refusal("missing_field", field, f"{field} is missing", _FIELD_HINTS.get(name, f"send {field}"))
    if path == "$.time" or path.endswith(("_at", ".from", ".to")):
        return Refusal(
            "wrong_time", path, f"{path}: {reason}", "write times in RFC 3339 with a zone: 2026-11-23T01:10:42Z"
        )
    code = "wrong_type" if reason.startswith("Expected") and "got" in reason else "wrong_value"
    return Refusal(code, path, f"{path}: {reason}", "see contract/README.md for the field")


_FIELD_HINTS = {
    "subject": "send the task_id as subject: facts of one task are ordered by it",
    "id": "give each event an id of its own; id and source together tell duplicates",
    "source": "name the tool that sends, e.g. label-studio/kul-1",
    "specversion": 'CloudEvents 1.0: send "specversion": "1.0"',
    "data": "put the event's own fields under data",
}


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
