"""Keeps secrets out of diagnostics: the source line that is shown never holds one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from config import introspect
from config.nodes import Document, SourceSpan

STARS = "****"
_NAMED = re.compile(
    r"""(?ix) [\w-]* (?:pass|pwd|secret|token|credential|api_?key|auth) [\w-]* ["']? \s* [:=] \s* (?P<value>\S.*)$"""
)
_IN_URL = (
    # user:password@, also with an @ in the password
    re.compile(r"""://(?P<value>[^/?#\s"']+)@"""),
    # the same with a slash, question mark or hash in the password, which should have been escaped
    re.compile(r"""://(?P<value>[^/?#\s"'@:\[\]]*:(?!\d{1,5}(?:[/?#\s,"']|$))[^\s"']+)@"""),
    # ?password=, &token= and the like
    re.compile(r"""(?ix) [?&;] [\w.-]*? (?:pass|pwd|secret|token|credential|api_?-?key|auth|sasl|signature|sig\b) [\w.-]* =
    (?P<value>[^&;\s"'#,}\]]+)"""),
)
_SECRET_WORDS = ("password", "passwd", "pwd", "secret", "token", "credential", "apikey", "api_key", "auth")
_LIKE_A_SECRET = 0.6
_MAX_NAME_CHARS = 100
_FILE_KEY = re.compile(r"(?i)[\w-]+_file[\"']?\s*[:=]")


@dataclass(frozen=True)
class Mask:
    """Columns of a line, from 0, that must not be shown."""

    line: int
    start: int
    end: int


def masks_of(document: Document, model: type[BaseModel]) -> list[Mask]:
    """Return the places of secrets, and of values whose name is unknown (a misspelt ``pasword`` holds one too)."""
    masks: list[Mask] = []
    for path, value, kinds in introspect.walk(document.data, [model]):
        span = document.values.get(path)
        if span is None or not path or isinstance(value, dict):
            continue
        unknown = not kinds and isinstance(value, str | int | float)
        if introspect.is_secret(kinds) or (unknown and _may_be_secret(path, value, document, model)):
            masks.append(Mask(span.line, span.column, span.column + span.width))
    return masks


def _may_be_secret(path: tuple[str | int, ...], value: object, document: Document, model: type[BaseModel]) -> bool:
    """Tell whether a setting whose name is not known may be a misspelt secret.

    A number is none unless its name is like a secret's. Text is one unless its name is like that of a setting that is
    known beside it and no secret.
    """
    name = str(next((part for part in reversed(path) if isinstance(part, str)), "")).lower()
    if _named_like_a_secret(name):
        return True
    if not isinstance(value, str):
        return False
    data: object = document.data
    kinds: list[Any] = [model]
    for part in path[:-1]:
        kinds = introspect.inside(kinds, part, data)
        data = data[part] if isinstance(data, dict | list) else None  # type: ignore[index]
    close = _closest(name, tuple(introspect.known_keys(kinds, data)))
    return not close or introspect.is_secret(introspect.inside(kinds, close, data))


@lru_cache(maxsize=4096)
def _named_like_a_secret(name: str) -> bool:
    start = name[:_MAX_NAME_CHARS]  # the comparison takes the product of both lengths
    return any(word in name or SequenceMatcher(None, word, start).ratio() >= _LIKE_A_SECRET for word in _SECRET_WORDS)


@lru_cache(maxsize=4096)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(name[:_MAX_NAME_CHARS], known, 1, _LIKE_A_SECRET)), None)


def secrets_in(text: str) -> list[tuple[int, int]]:
    """Return the places of secrets in the URLs of a text: user information, and parameters such as ``?password=``."""
    return [found.span("value") for pattern in _IN_URL for found in pattern.finditer(text)]


def without_secrets(text: str) -> str:
    """Return a text, which may hold URLs or be one, with their secrets masked."""
    shown, at = "", 0
    for start, end in _merged(secrets_in(text)):
        shown += text[at:start] + STARS
        at = end
    return shown + text[at:]


def display(line: str, span: SourceSpan, masks: list[Mask] | None) -> tuple[str, int, int]:
    """Return a source line fit to print, with the caret's column (from 0) and width in it.

    Args:
        line: The raw line.
        span: What to underline in the raw line.
        masks: Secrets of the document; None if it could not be parsed, so that only names can tell.
    """
    ranges = [(m.start, min(m.end, len(line))) for m in masks or () if m.line == span.line]
    ranges += secrets_in(line)
    if masks is None and not _FILE_KEY.search(line):
        ranges += [found.span("value") for found in _NAMED.finditer(line)]
    text, caret, width, at = "", span.column, span.width, 0
    for start, end in _merged(ranges):
        text += line[at:start] + STARS
        at = end
        shift = len(STARS) - (end - start)
        if end <= span.column:
            caret += shift
        elif start <= span.column:
            caret += start - span.column
            width = len(STARS) + max(0, span.column + span.width - end)
        elif start < span.column + span.width:
            width += shift
    text += line[at:]
    return text.replace("\t", " ").rstrip(), max(0, caret), max(1, width)


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def redacted(data: Any) -> Any:
    """Return data with the secrets of every URL masked."""
    if isinstance(data, dict):
        return {key: redacted(value) for key, value in data.items()}
    if isinstance(data, list):
        return [redacted(value) for value in data]
    return without_secrets(data) if isinstance(data, str) else data
