"""Digests of what an annotation holds beside choices: a rating, a text, a box. They tell equal from changed, and nothing else.

A digest is an HMAC with a key of the installation, so that nobody who reads it can try out contents. Digests are compared only
where version and key are the same, which their first characters tell.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from typing import Any

VERSION = "1"
LONG_VERSION = "2"
"""Of an answer with a list of many numbers, such as a brush mask: it holds a hash in place of the list, so that a mask of 20 MB need
not be in memory."""

LONG_NUMBERS = 1000
"""How many numbers a list has that is kept as a hash, or more."""

MOST_NAMED = 4_194_304
"""Characters of content that parts are taken with because they name it. Where there are more, a hash stands for the content of each
region, in version 2: 20,000 parts of one region would else be taken with 20,000 parts each."""

LONG = "long numbers"
_DIGITS = 4
"""Decimal digits kept of a number: coordinates are percents of an image, and a form that is saved anew may round them otherwise."""

_NOT_CONTENT = frozenset(
    (
        "id",
        "parentID",
        "from_id",
        "to_id",
        "origin",
        "score",
        "readonly",
        "hidden",
        "locked",
        "meta",
        "original_width",
        "original_height",
    )
)
"""What the tool adds to a part of an answer: names of its own, where it came from, notes, and the size of what was shown."""

_NAMES = ("id", "parentID", "from_id", "to_id")
Part = dict[str, Any]


def digest_of(parts: list[Any], key: bytes) -> str:
    """Return ``VERSION.KEY:DIGEST`` of the parts of an annotation's result, whatever their order and ids; empty without parts.

    Parts that share an id are one region. A relation and a part of a region (``parentID``) are taken with the content of what
    they name.

    Args:
        parts: Decoded parts of ``annotation.result``.
        key: The installation's key.
    """
    if not parts:
        return ""
    parts = [shortened(part) for part in parts]
    version = LONG_VERSION if any(map(_has_long, parts)) else VERSION
    regions: dict[str, list[str]] = defaultdict(list)
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("id"), str):
            regions[part["id"]].append(_canonical(_content(part)))
    content = {name: sorted(some) for name, some in regions.items()}
    if _named_size(parts, content) > MOST_NAMED:
        version = LONG_VERSION
        content = {name: [hashlib.sha256(_bytes(_canonical(some))).hexdigest()] for name, some in content.items()}
    text = _canonical(sorted(_canonical(_whole(part, content)) for part in parts))
    return f"{prefix_of(key, version)}:{_hmac(key, b'answer ' + _bytes(text))[:32]}"


def prefix_of(key: bytes, version: str = VERSION) -> str:
    """Return version and key id, with which all digests of a key begin."""
    return f"{version}.{_hmac(key, b'key id')[:8]}"


class LongNumbers:
    """The hash of a list of many numbers, some of them at a time.

    Attributes:
        count: How many there were.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, some: list[Any]) -> None:
        """Take the next numbers."""
        rounded = map(_rounded, some) if float in set(map(type, some)) else some
        self._hash.update((",".join(map(str, rounded)) + ",").encode())
        self.count += len(some)

    def part(self) -> Part:
        """Return what stands for the list."""
        return {LONG: [self.count, self._hash.hexdigest()]}


def shortened(value: Any) -> Any:
    """Return a part of an answer with a hash in place of each list of many numbers; a part that has it already stays as it is."""
    if isinstance(value, dict):
        return {name: shortened(held) for name, held in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) < LONG_NUMBERS or not all(type(one) in (int, float) for one in value):
        return [shortened(one) for one in value]
    hashed = LongNumbers()
    hashed.add(value)
    return hashed.part()


def same(one: str | None, other: str | None) -> bool | None:
    """Tell whether two digests are of the same content; None where they cannot be compared.

    Args:
        one: A digest, empty where there was no content; None where none was made.
        other: Another.
    """
    if one is None or other is None:
        return None
    if one and other and one.partition(":")[0] != other.partition(":")[0]:
        return None
    return one == other


def _hmac(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, "sha256").hexdigest()


def _has_long(value: Any) -> bool:
    if isinstance(value, dict):
        return value.keys() == {LONG} or any(map(_has_long, value.values()))
    return isinstance(value, list) and any(map(_has_long, value))


def _content(part: Part) -> Part:
    return {name: _rounded(value) for name, value in part.items() if name not in _NOT_CONTENT}


def _whole(part: Any, regions: dict[str, list[str]]) -> Any:
    """Return a part with the content of its region and of what it names, in place of their ids."""
    if not isinstance(part, dict):
        return _rounded(part)
    names = {name: regions.get(part[name], []) for name in _NAMES if _is_name(part, name)}
    return {"content": _content(part), "named": names}


def _named_size(parts: list[Any], regions: dict[str, list[str]]) -> int:
    """Return with how many characters of regions the parts would be taken."""
    sizes = {name: sum(map(len, some)) for name, some in regions.items()}
    held = [part for part in parts if isinstance(part, dict)]
    return sum(sizes.get(part[name], 0) for part in held for name in _NAMES if _is_name(part, name))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_name(part: Part, name: str) -> bool:
    return isinstance(part.get(name), str)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        found = round(value, _DIGITS)
        return int(found) if found.is_integer() else found
    if isinstance(value, dict):
        return {name: _rounded(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_rounded(held) for held in value]
    return value


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
