"""Dead letters: what was refused and why, without the content that it may have had.

A letter keeps what is needed to find the event and to send it again once it is corrected: the fields of the contract
that have a possible value. Everything else is named with its length and removed, because it may be moderated content:
fields the contract does not have, texts that are too long for any field, objects where the contract has none. Of bytes
that are not JSON it keeps the ids that can be recognised.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from streams.core.time_text import rfc3339
from streams.models.events import EVENT_CLASSES, MAX_ID_CHARS, Prediction, Sampling
from streams.models.failures import UNREADABLE, too_deep
from streams.models.lenient import data_class
from streams.models.refusal import Refusal

MAX_READ_BYTES = 2 * 1_048_576
"""Larger bodies are searched for ids only."""

MAX_REMOVED = 20
"""Fields taken out of a letter that are named. The last entry is the sum of all further ones."""

MAX_REASON_CHARS = 500

_MAX_NUMBER_BYTES = 40
_MAX_LIST_BYTES = 16_384
_SEARCHED_BYTES = 65_536
_MAX_ROW_BYTES = 65_536

_IDS = ("label_id", "audit_id", "appeal_id", "shift_id")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_ID_TEXT = re.compile(
    rb'"(specversion|id|source|type|subject|time|label_id|audit_id|appeal_id|shift_id)"[ \t\r\n]*:[ \t\r\n]*'
    rb'"([^"\\\x00-\x1f\x7f]{1,128})"'
)
_members: Any = msgspec.json.Decoder(dict[str, Raw]).decode
_items: Any = msgspec.json.Decoder(list[Raw]).decode
_any: Any = msgspec.json.Decoder().decode


class RemovedPart(NamedTuple):
    """A part of an event that is not kept: its place and its length in bytes."""

    field: str
    size_bytes: int


@dataclass(frozen=True)
class Kept:
    """What a dead letter holds of the bytes refused.

    Attributes:
        value: JSON text: the event without what was removed.
        removed: What was, by its place, with its length in bytes.
        value_bytes: Length of the bytes as received.
        encoding: How ``value`` is written.
    """

    value: str
    removed: tuple[RemovedPart, ...]
    value_bytes: int
    encoding: str = "utf-8"


def _names(cls: type[Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(cls))


_ENVELOPE = frozenset().union(*(_names(cls) for cls in EVENT_CLASSES)) | {"type", "fact", *_IDS}
"""With what the ledger writes of an event that is no longer at hand (``streams.core.records.outline``)."""
_DATA = {str(cls.__struct_config__.tag): _names(data_class(cls)) for cls in EVENT_CLASSES}
_ANY_DATA = frozenset().union(*_DATA.values())
_INNER = {"prediction": _names(Prediction), "sampling": _names(Sampling)}


class _Reduction:
    """Keeps the known part of one event and notes what is removed."""

    def __init__(self) -> None:
        self.removed: list[RemovedPart] = []
        self._more_bytes = 0

    def remove(self, path: str, raw: bytes) -> None:
        """Note what is removed."""
        if len(self.removed) < MAX_REMOVED:
            self.removed.append(RemovedPart(path, len(raw)))
        else:
            self._more_bytes += len(raw)

    def all_removed(self) -> tuple[RemovedPart, ...]:
        """Return what was removed; the last entry is the sum of what is not named."""
        rest = (RemovedPart("…", self._more_bytes),) if self._more_bytes else ()
        return (*self.removed, *rest)

    def members(self, found: dict[str, Raw], names: frozenset[str], path: str) -> dict[str, Any]:
        """Return an object's known members, reduced."""
        kept: dict[str, Any] = {}
        for name, member in found.items():
            held = bytes(member)
            place = f"{path}.{name if _NAME.fullmatch(name) else '?'}"
            if name not in names:
                self.remove(place, held)
            elif (value := self._value(name, held, place)) is not None:
                kept[name] = None if value is _NULL else value
        return kept

    def _value(self, name: str, raw: bytes, path: str) -> Any:
        """Return a known member's value, ``_NULL`` for null; None where it had to be removed."""
        try:
            if name in _INNER and raw.startswith(b"{"):
                return self.members(_members(raw), _INNER[name], path)
            if raw.startswith(b"[") and len(raw) <= _MAX_LIST_BYTES:
                found = [self._scalar(bytes(one), f"{path}[{index}]") for index, one in enumerate(_items(raw))]
                return [None if one is _NULL else one for one in found if one is not None]
        except UNREADABLE:
            self.remove(path, raw)
            return None
        return self._scalar(raw, path)

    def _scalar(self, raw: bytes, path: str) -> Any:
        if raw == b"null":
            return _NULL
        try:
            if raw.startswith(b'"') and len(raw) <= 6 * MAX_ID_CHARS + 2:
                text = _any(raw)
                if len(text) <= MAX_ID_CHARS:
                    return text
            elif not raw.startswith((b"{", b"[", b'"')) and len(raw) <= _MAX_NUMBER_BYTES:
                return _any(raw)
        except UNREADABLE:
            pass
        self.remove(path, raw)
        return None


_NULL = object()


def kept_of(raw: bytes) -> Kept:
    """Return what a dead letter keeps of bytes that were refused. Never raises. About 20 microseconds.

    Args:
        raw: What may be a JSON event, as received.
    """
    if len(raw) <= MAX_READ_BYTES and not too_deep(raw):
        try:
            return _of_event(raw)
        except UNREADABLE:
            pass
    found: dict[str, str] = {}
    for name, text in _ID_TEXT.findall(raw[:_SEARCHED_BYTES]):
        found.setdefault(name.decode(), text.decode(errors="replace"))
    return Kept(_text(found), (RemovedPart("$", len(raw)),), len(raw))


def kept_row(raw: bytes) -> Kept:
    """Return what is kept of a record that Floorwatch itself wrote, for a bug report: all of it, up to 64 KiB."""
    kept = raw[:_MAX_ROW_BYTES]
    removed = (RemovedPart(f"bytes from {_MAX_ROW_BYTES}", len(raw) - len(kept)),) if len(raw) > len(kept) else ()
    try:
        return Kept(kept.decode(), removed, len(raw))
    except UnicodeDecodeError:
        return Kept(base64.b64encode(kept).decode(), removed, len(raw), "base64")


def kept_ids(value: Mapping[str, Any]) -> Kept:
    """Return plain data of ids and short words, without texts that are too long to be one.

    Args:
        value: Plain data by name.
    """
    removed = tuple(
        RemovedPart(f"$.{name}", len(held.encode("utf-8", "replace")))
        for name, held in value.items()
        if isinstance(held, str) and len(held) > MAX_ID_CHARS
    )
    gone = {one.field.removeprefix("$.") for one in removed}
    text = _text({name: held for name, held in value.items() if name not in gone})
    return Kept(text, removed, len(_text(value).encode()))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _of_event(raw: bytes) -> Kept:
    reduction = _Reduction()
    outer = _members(raw)
    data = outer.pop("data", None)
    kept = reduction.members(outer, _ENVELOPE, "$")
    if data is not None:
        held = bytes(data)
        kind = kept.get("type")
        names = _DATA.get(kind, _ANY_DATA) if isinstance(kind, str) else _ANY_DATA
        if held.startswith(b"{"):
            kept["data"] = reduction.members(_members(held), names, "$.data")
        else:
            reduction.remove("$.data", held)
    return Kept(_text(kept), reduction.all_removed(), len(raw))


def dead_letter(
    stage: str,
    refusal: Refusal,
    kept: Kept,
    at_ms: int,
    *,
    source_topic: str | None = None,
    partition: int | None = None,
    offset: int | None = None,
) -> bytes:
    """Return a dead letter as JSON: ``streams.models.outputs.DeadLetter``. It can always be written.

    Args:
        stage: Who refuses: intake, ledger, scopes, incidents or gateway.
        refusal: Why.
        kept: What it keeps of the event.
        at_ms: When, Unix milliseconds; a record may be stamped with anything, see ``streams.core.time_text``.
        source_topic: Topic it was read from.
        partition: Partition it was read from.
        offset: Offset it was read from.
    """
    letter = {
        "at": rfc3339(at_ms),
        "stage": stage,
        "source_topic": source_topic,
        "partition": partition,
        "offset": offset,
        "code": refusal.code,
        "field": refusal.field,
        "reason": _cut(refusal.reason),
        "hint": _cut(refusal.hint),
        "value": kept.value,
        "value_encoding": kept.encoding,
        "value_bytes": kept.value_bytes,
        "removed": [{"field": one.field, "bytes": one.size_bytes} for one in kept.removed],
    }
    return _encode(letter)


_encode: Callable[[dict[str, Any]], bytes] = msgspec.json.encode


def _cut(text: str) -> str:
    # A lone surrogate cannot be encoded. No reason has one today, but a letter must always be written.
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= MAX_REASON_CHARS else f"{clean[: MAX_REASON_CHARS - 1]}…"
