"""What people may write as ids, names, notes, comments and matchers: one check for commands, links, Slack, the API and settings. Pure.

As in events (``streams/models/acceptance.py``) what steers a terminal, or makes one text look like another, is refused. Marks and
joiners that spelling and emoji need are good text.
"""

from __future__ import annotations

import re
import unicodedata

from streams.core.formatting import plural, printable
from streams.models.acceptance import CONTROLS

MOST_COMMENT = 1_000
"""Characters of a comment."""

_REFUSED = re.compile(f"[{CONTROLS}\\ud800-\\udfff]")
_NAMES = {"\n": "the end of a line", "\r": "the end of a line", "\t": "a tab"}


class TextFault(ValueError):
    """A text that may not be written. ``reason`` says what is wrong, ``hint`` how to mend it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}, {hint}")
        self.reason, self.hint = reason, hint


def odd_character(text: str, *, lines: bool = False) -> str | None:
    r"""Return the first character that is refused, in words with its place; None: there is none.

    Args:
        text: Any text.
        lines: It may have several lines.

    Example:
        >>> odd_character("a\u202eb")
        'U+202E (right-to-left override) at character 2'
    """
    for found in _REFUSED.finditer(text):
        if not (lines and found[0] == "\n"):
            return _words(found[0], found.start())
    return None


def hidden_character(text: str) -> str | None:
    """Return the first character of an id that a person could not see or type, in words with its place; None: there is none."""
    return next((_words(char, place) for place, char in enumerate(text) if printable(char) != char), None)


def _words(char: str, place: int) -> str:
    name = _NAMES.get(char) or unicodedata.name(char, "").lower()
    if not name:
        name = "no character of UTF-8" if "\ud800" <= char <= "\udfff" else "a control character"
    return f"U+{ord(char):04X} ({name}) at character {place + 1}"


def one_line(text: str, most: int) -> str:
    """Return a text of one line without the space around it; it may be empty.

    Raises:
        TextFault: It is longer than ``most`` characters, or holds what is refused.
    """
    return _checked(text.strip(), most, lines=False)


def comment_text(text: str) -> str:
    """Return a comment without the space around it, its lines ended by line feeds; a tab is a space there.

    Raises:
        TextFault: It is empty, longer than ``MOST_COMMENT`` characters, or holds what is refused.
    """
    found = text.replace("\r\n", "\n").replace("\t", " ").strip()
    if not found:
        raise TextFault("it is empty", "write some words")
    return _checked(found, MOST_COMMENT, lines=True)


def _checked(text: str, most: int, *, lines: bool) -> str:
    if len(text) > most:
        raise TextFault(f"{plural(len(text), 'character')} are too many", f"write at most {most:,}")
    odd = odd_character(text, lines=lines)
    if odd is not None:
        raise TextFault(f"it holds {odd}", "leave that out" if lines else "leave that out, and write one line")
    return text


def without_odd_characters(text: str) -> str:
    """Return a text of a person who cannot be asked again, with U+FFFD for what is refused."""
    return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", text)
