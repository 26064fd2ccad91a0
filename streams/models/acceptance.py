"""Reads the raw bytes of an event. Only this module decides what is accepted.

``accept`` is what gateway, intake and SDK call: it answers with the event and with the bytes to write to the log.
``parse_event`` does the same for code that only reads (``check-events``, the commands that read files). Both return a
``Refusal`` that a sender can act on, and never raise.

What is accepted is what the JSON Schema (``contract/``) and the table of rules (``streams.models.time_rules``) allow, and
``tests/contract/test_agreement.py`` holds that with generated events. A good event costs one decode and a few byte
searches. An event with unknown fields, whole numbers written as ``1000.0`` or times finer than a microsecond is written
again. Explanations are made only after a failure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from streams.models.events import (
    EVENT_CLASSES,
    AppealDecided,
    AppealOpened,
    AuditWithdrawn,
    LabelWithdrawn,
    TaskCancelled,
    decode_event,
    encode_event,
)
from streams.models.failures import MAX_NESTING, UNREADABLE, explain_failure, too_deep
from streams.models.lenient import TIMES, WHOLE, decode_loose
from streams.models.refusal import Refusal
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits, broken_rule, keeps_rules
from streams.models.timestamps import to_ms

__all__ = ["MAX_NESTING", "UNREADABLE", "Refusal", "accept", "explain_failure", "parse_event", "task_of", "too_deep"]

MAX_REASON_CHARS = 256
"""``reason`` is for people and is not counted, so longer texts are cut on the log and not refused."""

MAX_CONTENT_TYPE_CHARS = 256

UNTOLD = Refusal(
    "not_told", None, "the event does not meet the contract", "correct the faults that are listed, and send it again"
)
"""Replaces any refusal that is only counted and not shown."""

_JSON_SPACE = b" \t\r\n"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
"""The range of a datetime: the years 1 to 9999. The clock of a foreign producer may have any value."""

CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069"
"""Characters refused in every text but ``reason``, as a class of a regular expression (Python and ECMA): C0, DEL and C1;
line and paragraph separators; bidirectional embeddings, overrides and isolates, which make one name look like another.
Joiners and the marks U+200E and U+200F are parts of correct spelling and are accepted."""
_CONTROL = re.compile(f"[{CONTROLS}]")
_MAY_BE_CONTROL = re.compile(
    rb"\\(?:u00[01]|u007[fF]|u00[89]|u202|u206|[bfnrt])|\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)
_long_fraction = re.compile(rb"\.[0-9]{7}").search
"""A time finer than a microsecond, which the decoder would round. Matches in texts and numbers do no harm. The digits
may be escaped as ``\\u0039``, so events with such escapes are written again too."""
_BACKSLASH, _DELETE = 0x5C, 0x7F
"""These are numbers, because Python finds a number in bytes ten times as fast as bytes of length one."""
_TIME_TEXT = re.compile(r"(.{19}\.[0-9]{3})[0-9]+(.*)", re.DOTALL)


def accept(
    raw: bytes,
    now_ms: int | None,
    max_bytes: int = 1_048_576,
    future_ms: int = 300_000,
    limits: EventLimits = DEFAULT_LIMITS,
    *,
    explained: bool = True,
) -> tuple[Any, bytes] | Refusal:
    """Return an event and the bytes to write to the log, or say what is wrong with it.

    Args:
        raw: JSON bytes of one CloudEvent.
        now_ms: When it arrived, Unix milliseconds; None skips the check of times in the future.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of its arrival an event may be dated.
        limits: How far its other times may be from its own.
        explained: Explain why bytes are not an event of the contract, which is slow; otherwise return ``UNTOLD``.

    Returns:
        The event and its bytes: ``raw`` itself where it has none but the contract's fields in a form that the decoder
        reads right, else the event written anew. Or a ``Refusal``. Never raises. About 4 microseconds for a good event,
        twice that for one that is written anew.
    """
    if len(raw) > max_bytes:
        reason = f"the event has {len(raw)} bytes, the limit is {max_bytes}"
        return Refusal("too_large", None, reason, "send ids and labels, not content")
    odd = _is_odd(raw)
    if odd and _not_utf8(raw):
        return explain_failure(raw) if explained else UNTOLD
    if not explained and not raw.lstrip(_JSON_SPACE).startswith(b"{"):
        return UNTOLD
    try:
        value = _anew(raw) if _long_fraction(raw) is not None or (odd and b"\\u00" in raw) else raw
        event = decode_event(value)
    except UNREADABLE:
        found = _read_anew(raw, explained=explained)
        if isinstance(found, Refusal):
            return found
        event, value = found
    refusal = _odd_text(event, raw) if odd else None
    if now_ms is not None and event.time > latest_time(now_ms + future_ms) and to_ms(event.time) > now_ms + future_ms:
        refusal = refusal or _from_the_future(event, future_ms)
    if event.datacontenttype is not None and len(event.datacontenttype) > MAX_CONTENT_TYPE_CHARS:
        refusal = refusal or _LONG_CONTENT_TYPE
    if type(event) in _APPEALS:
        refusal = refusal or _appeal_target(event)
    elif type(event) in _WITH_REASON and len(event.data.reason or "") > MAX_REASON_CHARS:
        data = msgspec.structs.replace(event.data, reason=event.data.reason[:MAX_REASON_CHARS])
        event = msgspec.structs.replace(event, data=data)
        value = encode_event(event)
    refusal = refusal or broken_rule(event, limits)
    return (event, value) if refusal is None else refusal


def surely_plain(raw: bytes) -> bool:
    """Tell whether these bytes need no full check of texts: all ASCII, no escapes, no DEL, no time that is too fine.

    Args:
        raw: One event, or several with a line break between them: one search through many costs half as much.
    """
    return not _is_odd(raw) and _long_fraction(raw) is None


def accept_plain(raw: bytes, latest: datetime, max_bytes: int, limits: EventLimits) -> Any:
    """Return an event that is certainly good as it is, in half the time of ``accept``. None if ``accept`` must be called.

    Whatever this returns, ``accept`` answers with the same event and with ``raw``, by test.

    Args:
        raw: JSON bytes for which ``surely_plain`` holds.
        latest: A time that is surely not too far in the future, see ``latest_time``.
        max_bytes: As in ``accept``.
        limits: The same.
    """
    try:
        event = decode_event(raw)
    except UNREADABLE:
        return None
    if (
        event.time <= latest
        and len(raw) <= max_bytes
        and type(event) in _PLAIN
        and (event.datacontenttype is None or len(event.datacontenttype) <= MAX_CONTENT_TYPE_CHARS)
        and keeps_rules(event, limits)
    ):
        return event
    return None


def parse_event(
    raw: bytes,
    now_ms: int | None,
    max_bytes: int = 1_048_576,
    future_ms: int = 300_000,
    limits: EventLimits = DEFAULT_LIMITS,
) -> Any:
    """Return an event or what is wrong with it: ``accept`` for code that does not write."""
    found = accept(raw, now_ms, max_bytes, future_ms, limits)
    return found if isinstance(found, Refusal) else found[0]


class _Subject(msgspec.Struct):
    subject: str = ""


_decode_subject = msgspec.json.Decoder(_Subject).decode


def task_of(raw: bytes) -> str | None:
    """Return the task (``subject``) of what may be an event, None where it cannot be read. Never raises."""
    try:
        return _decode_subject(raw).subject or None
    except UNREADABLE:
        return None


_WITH_REASON = frozenset((TaskCancelled, LabelWithdrawn, AuditWithdrawn))
_APPEALS = frozenset((AppealOpened, AppealDecided))
_PLAIN = frozenset(EVENT_CLASSES) - _WITH_REASON - _APPEALS
"""Events that have nothing but times and texts to be checked."""


def _anew(raw: bytes) -> bytes:
    """Return an event with none but the contract's fields, whole numbers as such, and times cut to milliseconds.

    Raises:
        RecursionError: It is nested too deeply.
        msgspec.DecodeError: It is not an event.
    """
    if too_deep(raw):
        raise RecursionError
    event = decode_loose(raw)
    kind, data = event.__struct_config__.tag, event.data
    event.time = _cut(event.time)
    for name in TIMES[kind]:
        said = getattr(data, name)
        if said is not None:
            setattr(data, name, _cut(said))
    for name in WHOLE[kind]:
        number = getattr(data, name)
        if type(number) is float and number.is_integer():
            setattr(data, name, int(number))
    value: bytes = encode_event(event)
    return value


def _is_odd(raw: bytes) -> bool:
    return _BACKSLASH in raw or not raw.isascii() or _DELETE in raw


def _not_utf8(raw: bytes) -> bool:
    """Tell whether bytes are not UTF-8, because the decoder does not check fields it does not know."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def _read_anew(raw: bytes, *, explained: bool) -> tuple[Any, bytes] | Refusal:
    """Return the event and its bytes, written again, or why that is not possible."""
    try:
        value = _anew(raw)
    except UNREADABLE:
        return explain_failure(raw) if explained else UNTOLD
    try:
        return decode_event(value), value
    except UNREADABLE:
        return explain_failure(value) if explained else UNTOLD


def _cut(text: str) -> str:
    """Return a time without what is finer than a millisecond: times are cut, never rounded up."""
    found = _TIME_TEXT.fullmatch(text)
    return text if found is None else found[1] + found[2]


_LONG_CONTENT_TYPE = Refusal(
    "wrong_value",
    "$.datacontenttype",
    f"$.datacontenttype has more than {MAX_CONTENT_TYPE_CHARS} characters",
    "send application/json, or leave it out",
)


def _odd_text(event: Any, raw: bytes) -> Refusal | None:
    """Return where a text has a character that is refused, for an event that has escapes or is not ASCII."""
    if _MAY_BE_CONTROL.search(raw) is None:
        return None
    path = _control_character(msgspec.to_builtins(event), "$")
    if path is None:
        return None
    reason = f"{path} holds a control character or one that changes the direction of text"
    return Refusal("control_character", path, reason, "send printable identifiers")


def latest_time(time_ms: int) -> datetime:
    """Return a Unix time in ms, cut to seconds, as what a decoded event holds.

    Two of the same zone are compared in a tenth of ``timestamp()``.
    """
    return _instant(time_ms // 1000)


@lru_cache(1024)
def _instant(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=min(max(second, _FIRST_S), _LAST_S))


def _from_the_future(event: Any, future_ms: int) -> Refusal:
    reason = f"the event is dated {event.time.isoformat()}, more than {future_ms // 1000} s after it arrived"
    hint = "correct the sender's clock or its time zone; a time in the future would close windows too early"
    return Refusal("future_time", "$.time", reason, hint)


def _appeal_target(event: Any) -> Refusal | None:
    name = "audit_id" if event.data.against == "audit" else "label_id"
    if getattr(event.data, name) is not None:
        return None
    reason = f"an appeal against a {event.data.against} names no {name}"
    return Refusal("missing_field", f"$.data.{name}", reason, f"send data.{name}")


def _control_character(value: Any, path: str) -> str | None:
    """Return the place of a control character in an identifier; free text (reason) may hold line breaks."""
    if isinstance(value, str):
        return path if _CONTROL.search(value) is not None and not path.endswith(".reason") else None
    if isinstance(value, dict):
        inner = ((f"{path}.{key}", held) for key, held in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[{index}]", held) for index, held in enumerate(value))
    else:
        return None
    return next((found for place, held in inner if (found := _control_character(held, place)) is not None), None)
