"""Splits a request's body into events: one CloudEvent, a JSON array of them, or one a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from streams.models.failures import UNREADABLE, explain_failure
from streams.models.refusal import Refusal

SINGLE = frozenset({"application/cloudevents+json"})
BATCH = frozenset({"application/cloudevents-batch+json"})
LINES = frozenset({
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "application/jsonlines",
})  # fmt: skip
GUESSED = frozenset({
    "",
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",  # what curl -d says unless told otherwise
    "text/json",
    "text/plain",
})  # fmt: skip
KNOWN = SINGLE | BATCH | LINES | GUESSED

_array = msgspec.json.Decoder(list[msgspec.Raw])
_document = msgspec.json.Decoder(msgspec.Raw)


class Item(NamedTuple):
    """One event of a body: its place in order from 0, the line it begins on from 1, its bytes."""

    number: int
    line: int
    raw: bytes


def split(body: bytes, content_type: str) -> list[Item] | Refusal:
    """Return the events of a body, unchecked, or why it cannot be taken apart.

    Args:
        body: The whole body.
        content_type: Media type without parameters, in lower case; one of ``KNOWN``.
    """
    if not body.strip():
        return Refusal("empty", None, "the body is empty", "send one CloudEvent, a JSON array of them, or one a line")
    if content_type in LINES:
        return list(_lines(body))
    if content_type in BATCH or (content_type in GUESSED and body.lstrip().startswith(b"[")):
        return _items(body)
    if content_type in GUESSED and not is_json(body) and body.strip().count(b"\n"):
        lines = list(_lines(body))
        if any(is_object(item.raw) for item in lines):
            return lines
    return [Item(0, 1, body)]


def _items(body: bytes) -> list[Item] | Refusal:
    try:
        found = _array.decode(body)
    except msgspec.ValidationError:
        return Refusal("wrong_type", "$", "a batch is a JSON array of events", "send [event, event, …]")
    except UNREADABLE as error:
        return explain_failure(body, error)
    return list(_placed(body, found))


def _placed(body: bytes, found: list[msgspec.Raw]) -> Iterator[Item]:
    line, upto = 1, 0
    for index, one in enumerate(found):
        raw = bytes(one)
        begin = body.index(raw, upto)
        line += body.count(b"\n", upto, begin)
        yield Item(index, line, raw)
        upto = begin + len(raw)
        line += raw.count(b"\n")


def _lines(body: bytes) -> Iterator[Item]:
    index = 0
    for line, raw in enumerate(body.split(b"\n"), 1):
        if raw.strip():
            yield Item(index, line, raw.rstrip(b"\r"))
            index += 1


def is_json(raw: bytes) -> bool:
    """Return whether bytes are one JSON document."""
    try:
        _document.decode(raw)
    except UNREADABLE:
        return False
    return True


def is_object(raw: bytes) -> bool:
    """Return whether bytes are one JSON object."""
    return raw.lstrip().startswith(b"{") and is_json(raw)
