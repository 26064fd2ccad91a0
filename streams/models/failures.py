"""Why bytes are not an event of the contract, in words that a sender can act on. Called only after a failure."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, get_args

import msgspec

from streams.models.events import TYPE_NAMES, Against, ErrorClass, Outcome, Severity, Verdict, decode_known
from streams.models.refusal import Refusal

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""Errors that decoding foreign bytes may raise: not JSON, not UTF-8 (a ValueError), nested too deeply."""

MAX_NESTING = 64
"""Levels of arrays and objects in one event. Unlike the decoder's own limit, this one does not depend on the caller's
stack."""

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_BYTE = re.compile(r" \(byte (\d+)\)")
_QUOTED = re.compile(r"'(.*)'", re.DOTALL)
_MAX_QUOTED_CHARS = 64
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def too_deep(raw: bytes) -> bool:
    """Tell whether JSON is nested deeper than ``MAX_NESTING``. Exact; only brackets outside of texts count."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_NESTING:
        return False
    depth = 0
    for found in re.finditer(rb"[\[\]{}]", _TEXTS.sub(b"", raw)):
        depth += 1 if found.group() in b"[{" else -1
        if depth > MAX_NESTING:
            return True
    return False


def explain_failure(raw: bytes, error: Exception | None = None) -> Refusal:
    """Return why bytes are not an event of the contract. Never raises.

    Args:
        raw: Bytes that could not be decoded.
        error: What another decoder than that of one event said of them; they are no JSON then.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        reason = f"byte {fault.start} is not UTF-8"
        return Refusal("not_utf8", None, reason, "encode the event as UTF-8 (JSON is always UTF-8)")
    if not text.strip():
        return Refusal("not_json", None, "the event is empty", _ONE_OBJECT)
    if too_deep(raw):
        return _TOO_DEEP
    if error is not None:
        return _explain_malformed(raw, text, str(error))
    try:
        decode_known(raw)
    except msgspec.ValidationError as found:
        return _explain_value(text, str(found))
    except UNREADABLE as found:
        return _explain_malformed(raw, text, str(found))
    return Refusal("wrong_value", None, "the event does not meet the contract", "see contract/README.md")


def _explain_malformed(raw: bytes, text: str, said: str) -> Refusal:
    try:
        json.loads(text)
    except json.JSONDecodeError as fault:
        return _malformed(text, fault.msg, fault.lineno, fault.colno)
    except (ValueError, RecursionError):
        return _TOO_DEEP
    # Python's reader accepts NaN and lone surrogates, which are not JSON.
    lone = next((found for found in _ESCAPE.finditer(text) if found["lone"]), None)
    if lone is not None and any(word in said for word in ("truncated", "surrogate", "escape")):
        line = text.count("\n", 0, lone.start()) + 1
        column = lone.start() - text.rfind("\n", 0, lone.start())
        reason = f"not JSON: {lone[0]} at line {line} column {column} is half of a character (a lone surrogate)"
        return Refusal("not_json", None, reason, _WHOLE_CHARACTERS)
    return _malformed_at(raw, said)


def _explain_value(text: str, said: str) -> Refusal:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as fault:
        return _malformed(text, fault.msg, fault.lineno, fault.colno)
    except (ValueError, RecursionError):
        return _TOO_DEEP
    if not isinstance(value, dict):
        reason = f"an event is a JSON object, this is {_kind(value)}"
        return Refusal("wrong_type", "$", reason, "send one CloudEvents object per event")
    return _explain_object(value, said)


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in JSON text, a pair of surrogates as one."""

_WHOLE_CHARACTERS = (
    "text was cut within a character, e.g. an emoji: cut by characters, or send UTF-8 without \\u escapes"
)
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
        return Refusal("unknown_type", "$.type", f"unknown event type {_quoted(kind)}", _nearest(kind, TYPE_NAMES))
    found = _PATH.search(message)
    path = found.group(1) if found else "$"
    said = _shortened(_PATH.sub("", message))
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


def _shortened(said: str) -> str:
    """Return the decoder's message without most of what it quotes, because a wrong value may be moderated content."""
    return _QUOTED.sub(lambda found: _quoted(found[1]), said)


def _quoted(text: str) -> str:
    """Return a text in quotes, or its length if it is too long to be a misspelt name."""
    return repr(text) if len(text) <= _MAX_QUOTED_CHARS else f"(a text of {len(text)} characters)"


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
    "id": "give each event its own id; id and source together identify duplicates",
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
    near = difflib.get_close_matches(wrong[:64], known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"send one of {', '.join(known)}"


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
