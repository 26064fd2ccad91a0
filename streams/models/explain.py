"""Explains why bytes are not an acceptable event, in words a sender can act on.

The good case costs one decode and a few searches of bytes; all explaining happens only after a failure.
"""

from __future__ import annotations

import difflib
import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from streams.models.events import (
    TYPE_NAMES,
    Against,
    AppealDecided,
    AppealOpened,
    ErrorClass,
    LabelSubmitted,
    Outcome,
    Severity,
    Verdict,
    decode_event,
)

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_BYTE = re.compile(r" \(byte (\d+)\)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
"""What a datetime can hold: the years 1 to 9999. The clock of a foreign producer may say anything."""
_ESCAPED_CONTROL = re.compile(rb"\\u00[01][0-9a-fA-F]|\\[bfnrt]")


class Refusal(Struct, frozen=True):
    """Why an event is refused.

    Attributes:
        code: For machines and counters.
        field: JSON path of the place, or None where it is the whole event.
        reason: What is wrong, in a sentence.
        hint: What to do about it.
    """

    code: str
    field: str | None
    reason: str
    hint: str


def explain(raw: bytes, now_ms: int | None, max_bytes: int = 1_048_576, future_ms: int = 300_000) -> Any:
    """Decode an event or say what is wrong with it.

    Args:
        raw: JSON bytes of one CloudEvent.
        now_ms: When it arrived, Unix milliseconds; None skips the check of times in the future.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of its arrival an event may be dated.

    Returns:
        The decoded event, or a ``Refusal``. Never raises. About 3 microseconds for a good event.
    """
    if len(raw) > max_bytes:
        reason = f"the event has {len(raw)} bytes, the limit is {max_bytes}"
        return Refusal("too_large", None, reason, "send ids and labels, not content")
    try:
        if not raw.isascii():
            raw.decode()  # the decoder does not look into fields it does not know
        event = decode_event(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return explain_failure(raw, error)
    if b"\\" in raw and _ESCAPED_CONTROL.search(raw):
        path = _control_character(msgspec.to_builtins(event), "$")
        if path is not None:
            reason = f"{path} holds a control character"
            return Refusal("control_character", path, reason, "send printable identifiers")
    if (
        now_ms is not None
        and event.time > _instant((now_ms + future_ms) // 1000)
        and event.time.timestamp() * 1000.0 > now_ms + future_ms
    ):
        return _from_the_future(event, future_ms)
    kind = type(event)
    if kind is LabelSubmitted:
        started = event.data.started_at
        return event if started is None or started <= event.time else _STARTED_AFTER_TIME
    if kind is AppealOpened or kind is AppealDecided:
        return _appeal_target(event) or event
    return event


@lru_cache(1024)
def _instant(second: int) -> datetime:
    """Return a Unix time as what a decoded event holds: two of the same zone are compared in a tenth of ``timestamp()``."""
    return _EPOCH + timedelta(seconds=min(max(second, _FIRST_S), _LAST_S))


def _from_the_future(event: Any, future_ms: int) -> Refusal:
    reason = f"the event is dated {event.time.isoformat()}, more than {future_ms // 1000} s after it arrived"
    hint = "correct the sender's clock or its time zone; a time in the future would close windows too early"
    return Refusal("future_time", "$.time", reason, hint)


_STARTED_AFTER_TIME = Refusal(
    "started_after_time",
    "$.data.started_at",
    "the label starts after its own time",
    "send started_at at or before the event's time",
)


def _appeal_target(event: Any) -> Refusal | None:
    name = "audit_id" if event.data.against == "audit" else "label_id"
    if getattr(event.data, name) is not None:
        return None
    reason = f"an appeal against a {event.data.against} names no {name}"
    return Refusal("missing_field", f"$.data.{name}", reason, f"send data.{name}")


def _control_character(value: Any, path: str) -> str | None:
    """Return the place of a control character in an identifier; free text (reason) may hold line breaks."""
    if isinstance(value, str):
        return path if any(ord(c) < 32 for c in value) and not path.endswith(".reason") else None
    if isinstance(value, dict):
        inner = ((f"{path}.{key}", held) for key, held in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[{index}]", held) for index, held in enumerate(value))
    else:
        return None
    return next((found for place, held in inner if (found := _control_character(held, place)) is not None), None)


def explain_failure(raw: bytes, error: Exception) -> Refusal:
    """Return why bytes could not be decoded.

    Args:
        raw: The bytes.
        error: What the decoder said of them.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        reason = f"byte {fault.start} is not UTF-8"
        return Refusal("not_utf8", None, reason, "encode the event as UTF-8 (JSON is always UTF-8)")
    if not text.strip():
        return Refusal("not_json", None, "the event is empty", _ONE_OBJECT)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as fault:
        return _malformed(text, fault.msg, fault.lineno, fault.colno)
    except (ValueError, RecursionError):
        return _TOO_DEEP
    return _explain_value(raw, value, error)


def _explain_value(raw: bytes, value: Any, error: Exception) -> Refusal:
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    if not isinstance(error, msgspec.ValidationError):
        # Python's reader takes NaN and lone surrogates, which are no JSON.
        return _malformed_at(raw, str(error))
    if not isinstance(value, dict):
        reason = f"an event is a JSON object, this is {_kind(value)}"
        return Refusal("wrong_type", "$", reason, "send one CloudEvents object per event")
    return _explain_object(value, str(error))


_ONE_OBJECT = "send one JSON object per event"
_TOO_DEEP = Refusal(
    "not_json",
    None,
    "not JSON that can be read: nested too deeply or a number too long",
    "send the contract's fields only",
)


def _malformed(text: str, said: str, line: int, column: int) -> Refusal:
    if "control character" in said:
        found = ord(text.split("\n")[line - 1][column - 1 : column] or "\n")
        reason = f"not JSON: control character {found} at line {line} column {column}"
        return Refusal("not_json", None, reason, "identifiers hold no control characters; NUL often comes from padding")
    if text.startswith("\ufeff"):
        return Refusal("not_json", None, "not JSON: it begins with a byte order mark", "send UTF-8 without a BOM")
    reason = f"not JSON: {said.removesuffix(' at')} at line {line} column {column}"
    return Refusal("not_json", None, reason, _ONE_OBJECT)


def _malformed_at(raw: bytes, message: str) -> Refusal:
    found = _BYTE.search(message)
    said = _BYTE.sub("", message).removeprefix("JSON is malformed: ")
    if found is None:
        return Refusal("not_json", None, f"not JSON: {said}", _ONE_OBJECT)
    before = raw[: int(found.group(1))]
    line = before.count(b"\n") + 1
    column = len(before) - (before.rfind(b"\n") + 1) + 1
    return Refusal("not_json", None, f"not JSON: {said} at line {line} column {column}", _ONE_OBJECT)


def _explain_object(value: dict[str, Any], message: str) -> Refusal:
    kind = value.get("type")
    if "type" not in value:
        return Refusal("missing_field", "$.type", "the event has no type", f"send one of {', '.join(TYPE_NAMES)}")
    if isinstance(kind, str) and kind not in TYPE_NAMES:
        return Refusal("unknown_type", "$.type", f"unknown event type {kind[:200]!r}", _nearest(kind, TYPE_NAMES))
    found = _PATH.search(message)
    path = found.group(1) if found else "$"
    said = _PATH.sub("", message)
    if "missing required field" in said:
        name = said.rsplit("`", 2)[1]
        field = f"{path}.{name}"
        return Refusal("missing_field", field, f"{field} is missing", _FIELD_HINTS.get(name, f"send {field}"))
    reason = f"{path}: {said}"
    name = path.rsplit(".", 1)[-1]
    if path == "$.time" or name in _TIMES:
        return Refusal("wrong_time", path, reason, "write times in RFC 3339 with a zone: 2026-11-23T01:10:42Z")
    if "enum value" in said and name in _CHOICES:
        wrong = _at(value, path)
        hint = _nearest(wrong, _CHOICES[name]) if isinstance(wrong, str) else f"one of {', '.join(_CHOICES[name])}"
        return Refusal("wrong_value", path, reason, hint)
    wrong_type = said.startswith("Expected") and ("got" in said or said.count("`") == 2)
    bounded = any(sign in said for sign in (">", "<", "length"))
    code = "wrong_type" if wrong_type and not bounded else "wrong_value"
    return Refusal(code, path, reason, _FIELD_HINTS.get(name, "see contract/README.md for the field"))


_TIMES = ("due_at", "started_at", "created_at", "from", "to")
_CHOICES: dict[str, tuple[str, ...]] = {
    "specversion": ("1.0",),
    "verdict": get_args(Verdict),
    "error_class": get_args(ErrorClass),
    "severity": get_args(Severity),
    "against": get_args(Against),
    "outcome": get_args(Outcome),
}
_FIELD_HINTS = {
    "subject": "send the task_id as subject: facts of one task are ordered by it",
    "id": "give each event an id of its own; id and source together tell duplicates",
    "source": "name the tool that sends, e.g. label-studio/kul-1",
    "time": "send when it happened, in RFC 3339 with a zone: 2026-11-23T01:10:42Z",
    "specversion": 'CloudEvents 1.0: send "specversion": "1.0"',
    "data": "put the event's own fields under data, as a JSON object",
    "label_id": "send the tool's own id of the label as text; the same id again is a new version of it",
    "labeler_id": "send who decided, as text; a pseudonym will do",
    "audit_id": "send the tool's own id of the audit as text",
    "probability": "how likely this label was to be audited, above 0 and at most 1; leave it out for targeted audits",
    "required_labels": "how many labels complete the task, 1 to 1000; leave it out for one",
    "values": "a list of at most 64 texts",
}


def _at(value: Any, path: str) -> Any:
    """Return what stands at a path of objects; None where there is none."""
    for name in path.split(".")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _nearest(wrong: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(wrong[:200], known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"send one of {', '.join(known)}"


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
