"""Reads a task or an annotation that is too large to be decoded at once, member by member: one with brush masks, say."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from gateway.json_stream import JsonStream
from gateway.sources.label_studio.digest import LONG_NUMBERS, LongNumbers, shortened
from gateway.sources.label_studio.read import ANNOTATION_FIELDS, TASK_FIELDS
from gateway.sources.label_studio.settings import LabelStudioSettings

WHOLE_BYTES = 262_144
"""Up to how many bytes a part is decoded at once."""

MOST_ANSWER_BYTES = 2_097_152
"""How much of one answer is compared, lists of numbers not counted. An answer with more has no digest, so a review of it no verdict."""

_MOST_DEPTH = 8
_LEFT_OUT = object()

Item = Generator[None, None, Any]


class LargeItems:
    """Reads large items of one webhook.

    Attributes:
        held_bytes: What is held of the item that is being read.
    """

    def __init__(self, json: JsonStream, settings: LabelStudioSettings) -> None:
        """Take what is read, and what is kept of it."""
        self.held_bytes = 0
        self._json = json
        self._settings = settings

    def read(self, plural: str) -> Item:
        """Read an item of a list of a webhook; return what ``distill`` reads of it."""
        self.held_bytes = 0
        if not (yield from self._json.opens(b"{")):
            yield from self._json.skip(WHOLE_BYTES)
            return []  # no object: ``distill`` says so
        found: dict[str, Any] = {}
        first = True
        while (yield from self._json.another(b"}", first=first)):
            first = False
            name = yield from self._json.key()
            if plural == "annotations" and name == "result":
                yield from self._result(found)
            elif plural == "tasks" and name in ("data", "meta"):
                found[name] = yield from self._members(self._settings.data_fields)
            else:
                yield from self._member(found, name, ANNOTATION_FIELDS if plural == "annotations" else TASK_FIELDS)
        return found

    def _member(self, found: dict[str, Any], name: str, kept: Any) -> Generator[None, None, None]:
        """Read the value of a member; a large one is not kept."""
        raw = yield from self._json.whole(WHOLE_BYTES)
        if raw is None:
            yield from self._json.skip(WHOLE_BYTES)
        elif name in kept:
            found[name] = msgspec.json.decode(raw)

    def _members(self, kept: Any) -> Item:
        if not (yield from self._json.opens(b"{")):
            yield from self._json.skip(WHOLE_BYTES)
            return None
        found: dict[str, Any] = {}
        first = True
        while (yield from self._json.another(b"}", first=first)):
            first = False
            yield from self._member(found, (yield from self._json.key()), kept)
        return found

    def _result(self, found: dict[str, Any]) -> Generator[None, None, None]:
        """Read the parts of an answer, with hashes in place of lists of many numbers; what cannot be read is counted."""
        if not (yield from self._json.opens(b"[")):
            yield from self._json.skip(WHOLE_BYTES)
            return
        parts: list[Any] = []
        left_out = 0
        first = True
        while (yield from self._json.another(b"]", first=first)):
            first = False
            part = yield from self._part()
            size = 0 if part is _LEFT_OUT else len(msgspec.json.encode(part))
            if part is _LEFT_OUT or self.held_bytes + size > MOST_ANSWER_BYTES:
                left_out += 1
            else:
                self.held_bytes += size
                parts.append(part)
        found["result"] = parts
        if left_out:
            found["other_results"] = left_out

    def _part(self) -> Item:
        """Read a part of an answer; ``_LEFT_OUT`` where it cannot be reduced."""
        raw = yield from self._json.whole(WHOLE_BYTES)
        if raw is not None:
            return shortened(msgspec.json.decode(raw))
        if not (yield from self._json.opens(b"{")):
            yield from self._json.skip(WHOLE_BYTES)
            return _LEFT_OUT
        part: dict[str, Any] = {}
        complete, first = True, True
        while (yield from self._json.another(b"}", first=first)):
            first = False
            name = yield from self._json.key()
            complete &= yield from self._value(part, name, depth=0)
        return part if complete else _LEFT_OUT

    def _value(self, part: dict[str, Any], name: str, depth: int) -> Generator[None, None, bool]:
        """Read a member of a part, or of its value. False where nothing is kept of it."""
        raw = yield from self._json.whole(WHOLE_BYTES)
        if raw is not None:
            part[name] = shortened(msgspec.json.decode(raw))
            return True
        if (yield from self._json.opens(b"[")):
            return (yield from self._numbers(part, name))
        if depth > _MOST_DEPTH or not (yield from self._json.opens(b"{")):
            yield from self._json.skip(WHOLE_BYTES)
            return False
        inner: dict[str, Any] = {}
        complete, first = True, True
        while (yield from self._json.another(b"}", first=first)):
            first = False
            key = yield from self._json.key()
            complete &= yield from self._value(inner, key, depth + 1)
        part[name] = inner
        return complete

    def _numbers(self, part: dict[str, Any], name: str) -> Generator[None, None, bool]:
        hashed = LongNumbers()
        if not (yield from self._json.numbers(hashed.add)):
            yield from self._json.skip_rest(WHOLE_BYTES)
            return False
        part[name] = hashed.part()
        return hashed.count >= LONG_NUMBERS
