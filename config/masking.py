"""Keeps secrets out of diagnostics: the source line that is shown never holds one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from config import introspect
from config.nodes import Document, Span

STARS = "****"
_NAMED = re.compile(
    r"""(?ix) [\w-]* (?:pass|pwd|secret|token|credential|api_?key|auth) [\w-]* ["']? \s* [:=] \s* (?P<value>\S.*)$"""
)
_USERINFO = re.compile(r"://(?P<value>[^/@\s]+)@")
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
        if introspect.is_secret(kinds) or (not kinds and isinstance(value, str | int | float)):
            masks.append(Mask(span.line, span.column, span.column + span.width))
    return masks


def display(line: str, span: Span, masks: list[Mask] | None) -> tuple[str, int, int]:
    """Return a source line fit to print, with the caret's column (from 0) and width in it.

    Args:
        line: The raw line.
        span: What to underline in the raw line.
        masks: Secrets of the document; None if it could not be parsed, so that only names can tell.
    """
    ranges = [(m.start, min(m.end, len(line))) for m in masks or () if m.line == span.line]
    ranges += [found.span("value") for found in _USERINFO.finditer(line)]
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
    """Return data with the user information of every URL masked."""
    if isinstance(data, dict):
        return {key: redacted(value) for key, value in data.items()}
    if isinstance(data, list):
        return [redacted(value) for value in data]
    return _USERINFO.sub(f"://{STARS}@", data) if isinstance(data, str) else data
