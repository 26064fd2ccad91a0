"""Dead letters as people look at them: read, chosen, and grouped by why they were refused."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from streams.core.time_text import rfc3339
from streams.models.outputs import Removed
from streams.models.timestamps import BadTimestamp, parse_rfc3339_ms

UNREADABLE_LETTER = "unreadable_letter"
"""Code of a record that is no dead letter; it is shown, not passed over."""

_MARK = b"replayed|"
_MOST_SOURCES = 1000
_SHOWN_SOURCES = 3


class _Wire(Struct):
    """A letter as far as it is needed: all with defaults, for versions may leave fields out or add some."""

    at: str = ""
    stage: str = ""
    source_topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    code: str = ""
    field: str | None = None
    reason: str = ""
    hint: str = ""
    value: str = ""
    removed: list[Removed] = []


_wire: Any = msgspec.json.Decoder(_Wire).decode
_value: Any = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True)
class Letter:
    """One dead letter.

    Attributes:
        key: Its key on the topic. A replay writes a letter again under the same key.
        at_ms: When it was refused, Unix milliseconds; -1 where it does not say.
        stage: Who refused it.
        code: Why, for machines.
        field: Place in the event or webhook.
        reason: Why, for people.
        hint: What to do about it.
        source: CloudEvents source of the event or webhook; empty where it is not known.
        place: Topic, partition and offset of the record that was refused; None of a webhook.
        value: What is kept of it, JSON text.
        removed: What is not kept, by place with its length in bytes.
    """

    key: str
    at_ms: int
    stage: str
    code: str
    field: str | None
    reason: str
    hint: str
    source: str
    place: tuple[str, int, int] | None
    value: str
    removed: tuple[tuple[str, int], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for ``--json``."""
        topic, partition, offset = self.place or (None, None, None)
        return {
            "key": self.key,
            "at": rfc3339(self.at_ms) if self.at_ms >= 0 else None,
            "stage": self.stage,
            "code": self.code,
            "field": self.field,
            "reason": self.reason,
            "hint": self.hint,
            "source": self.source or None,
            "source_topic": topic,
            "partition": partition,
            "offset": offset,
            "value": self.value,
            "removed": [{"field": name, "bytes": size} for name, size in self.removed],
        }


def letter_of(key: bytes, value: bytes) -> Letter:
    """Return a record of the topic as a letter. Never raises: what cannot be read is a letter that says so."""
    name = key.decode("utf-8", "replace")
    try:
        found: _Wire = _wire(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = f"the record has {len(value)} bytes and is no dead letter that this version can read"
        return Letter(name, -1, "", UNREADABLE_LETTER, None, reason, "look at it with a Kafka client", "", None, "")
    place = None
    if found.source_topic is not None and found.partition is not None and found.offset is not None:
        place = (found.source_topic, found.partition, found.offset)
    return Letter(
        name,
        _at_ms(found.at),
        found.stage,
        found.code,
        found.field,
        found.reason,
        found.hint,
        _source(name, found.value),
        place,
        found.value,
        tuple((one.field, one.bytes) for one in found.removed),
    )


def _at_ms(text: str) -> int:
    try:
        return parse_rfc3339_ms(text)
    except BadTimestamp:
        return -1


def _source(key: str, value: str) -> str:
    """Return the CloudEvents source: of the event that was refused, or of a webhook, whose key names it."""
    parts = key.split("|")
    if parts[0] == "gateway" and len(parts) > 2:
        return parts[1]
    try:
        said = _value(value).get("source")
    except (msgspec.DecodeError, RecursionError):
        return ""
    return said if isinstance(said, str) else ""


def replay_mark(key: str) -> bytes:
    """Return the key of the mark, a record without a value, that says: what this letter is of was sent again."""
    return _MARK + key.encode()


@dataclass(frozen=True)
class LetterFilter:
    """Which letters are meant; None asks nothing.

    Attributes:
        stage: Who refused them.
        code: Why.
        source: CloudEvents source; ``cvat/*`` for all of a tool.
        since_ms: Refused at or after this time, Unix milliseconds.
        key: Its key, or the start of it.
    """

    stage: str | None = None
    code: str | None = None
    source: str | None = None
    since_ms: int | None = None
    key: str | None = None

    def takes(self, one: Letter) -> bool:
        """Tell whether a letter is meant."""
        return (
            self.stage in (None, one.stage)
            and self.code in (None, one.code)
            and (self.key is None or one.key.startswith(self.key))
            and (self.since_ms is None or one.at_ms >= self.since_ms)
            and (self.source is None or self._is_of(one.source))
        )

    def _is_of(self, source: str) -> bool:
        wanted = str(self.source)
        return source.startswith(wanted[:-1]) if wanted.endswith("/*") else source == wanted


@dataclass
class LetterGroup:
    """Letters of one reason.

    Attributes:
        latest: The newest of them.
        letters: How many.
        first_ms: When the oldest was refused, Unix milliseconds.
        sources: How many of each source.
    """

    latest: Letter
    letters: int = 0
    first_ms: int = -1
    sources: Counter[str] = field(default_factory=Counter)

    def take(self, one: Letter) -> None:
        """Count one of its letters."""
        self.letters += 1
        self.first_ms = one.at_ms if self.letters == 1 else min(self.first_ms, one.at_ms)
        if one.at_ms >= self.latest.at_ms:
            self.latest = one
        name = one.source if one.source in self.sources or len(self.sources) < _MOST_SOURCES else "…"
        self.sources[name] += 1

    def named_sources(self) -> str:
        """Return the sources with most letters, for a line of text."""
        most = self.sources.most_common(_SHOWN_SOURCES)
        more = len(self.sources) - len(most)
        return ", ".join(name or "no source" for name, _ in most) + (f" and {more} more" if more else "")

    def as_json(self, replayed: int = 0) -> dict[str, Any]:
        """Return it as an object for ``--json``.

        Args:
            replayed: How many of them were sent again.
        """
        one = self.latest
        return {
            "stage": one.stage,
            "code": one.code,
            "field": one.field,
            "letters": self.letters,
            "replayed": replayed,
            "first": rfc3339(self.first_ms) if self.first_ms >= 0 else None,
            "last": rfc3339(one.at_ms) if one.at_ms >= 0 else None,
            "sources": dict(self.sources.most_common()),
            "reason": one.reason,
            "hint": one.hint,
            "key": one.key,
        }


@dataclass
class LetterBox:
    """Letters that were looked at: each key once, counted by reason, the newest kept whole.

    Memory grows with the number of keys (about 60 bytes each), not with the letters' size.

    Attributes:
        wanted: Which letters are meant.
        most: How many are kept whole.
        groups: By stage, code and field.
        replayed: Keys of letters whose record was sent again, whether they are meant or not.
    """

    wanted: LetterFilter
    most: int = 0
    groups: dict[tuple[str, str, str | None], LetterGroup] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)
    _seen: dict[int, tuple[str, str, str | None]] = field(default_factory=dict)
    _newest: list[tuple[int, int, Letter]] = field(default_factory=list)

    def take(self, key: bytes, value: bytes) -> None:
        """Take the next record of the topic."""
        if key.startswith(_MARK) and not value:
            self.replayed.add(key[len(_MARK) :].decode("utf-8", "replace"))
            return
        digest = hash(key)
        if digest in self._seen:
            return
        one = letter_of(key, value)
        if not self.wanted.takes(one):
            return
        reason = self._seen[digest] = (one.stage, one.code, one.field)
        self.groups.setdefault(reason, LetterGroup(one)).take(one)
        heapq.heappush(self._newest, (one.at_ms, len(self._seen), one))
        if len(self._newest) > self.most:
            heapq.heappop(self._newest)

    @property
    def letters(self) -> int:
        """How many there are."""
        return sum(one.letters for one in self.groups.values())

    def replayed_of(self, group: LetterGroup) -> int:
        """Return how many letters of a group were sent again."""
        one = group.latest
        wanted = (one.stage, one.code, one.field)
        return sum(self._seen.get(hash(key.encode())) == wanted for key in self.replayed)

    def by_number(self) -> list[LetterGroup]:
        """Return the groups, those with most letters first."""
        return sorted(self.groups.values(), key=lambda one: (-one.letters, one.latest.stage, one.latest.code))

    def newest(self) -> list[Letter]:
        """Return the letters kept whole, the newest first."""
        return [one for _, _, one in sorted(self._newest, key=lambda held: held[:2], reverse=True)]
