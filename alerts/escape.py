"""Escapes names for each kind of sink that reads markup, so that data is never markup.

The sender of events chooses names, so a queue may be called ``<script>``, ``*urgent*`` or ``@everyone``. Each sink
turns such text into text that looks the same and has no effect: no tags, no emphasis, no mentions, and no links but
Floorwatch's own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from streams.core.formatting import printable

_BREAK = "\N{ZERO WIDTH SPACE}"
_MENTION = re.compile(r"@(?=\S)|(?<=<)(?=[!@#])")
"""Where a zero-width space stops a mention: after @, and after the < of Slack's ``<!channel>``, ``<@U123>``,
``<#C1>``."""
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?i:(?<=\bwww)(?=\.))|(?i:(?<=mailto)(?=:))")
"""Where a chat or mail program would make a link."""
_ENCODED = re.compile(r"=(?=\?)")
"""Where an encoded word of RFC 2047 would begin. The mail library decodes it in a subject, line ends and all: a name could write
headers."""
_MARKDOWN = re.compile(r"([\\`*_~\[\]<>#|!{}&])")
"""Parentheses are no part of it: they make a link only behind a bracket, which is. Some receivers show the backslash."""


def chat_text(text: str) -> str:
    """Return text for a receiver that shows plain text, and looks for mentions, addresses and encoded words in it.

    Example:
        >>> chat_text("@everyone").replace(chr(0x200B), "·")
        '@·everyone'
    """
    text = _MENTION.sub(lambda found: found.group() + _BREAK, printable(text))
    return _ADDRESS.sub(_BREAK, _ENCODED.sub(f"={_BREAK}", text))


def markdown_text(text: str) -> str:
    """Return text for a receiver that reads Markdown (Discord, Mattermost, Teams …)."""
    return _MARKDOWN.sub(r"\\\1", chat_text(text))


def html_text(text: str) -> str:
    """Return text for a receiver that reads HTML (mail).

    Example:
        >>> html_text("<script>")
        '&lt;script&gt;'
    """
    return html.escape(_ADDRESS.sub(_BREAK, _MENTION.sub(lambda found: found.group() + _BREAK, printable(text))))


def _html_link(url: str, label: str = "") -> str:
    return f'<a href="{html.escape(url)}">{html.escape(label or url)}</a>'


@dataclass(frozen=True)
class Sink:
    """How a receiver reads text.

    Attributes:
        name: For the outcome of tests and for people.
        text: Escapes data.
        link: Writes one of Floorwatch's links.
        named: Writes one under a name of Floorwatch's own; None: the name, a colon, and the link.
        line_break: Between two lines.
        indent: In front of a line that belongs to the one above.
    """

    name: str
    text: Callable[[str], str]
    link: Callable[[str], str]
    line_break: str = "\n"
    indent: str = "  "
    named: Callable[[str, str], str] | None = None

    def labelled(self, label: str, url: str) -> str:
        """Return a link with what it is for."""
        return f"{self.text(label)}: {self.link(url)}" if self.named is None else self.named(label, url)


PLAIN = Sink("plain", printable, str)
"""For receivers that show text as it is and for programs: console, webhook."""
CHAT = Sink("chat", chat_text, str)
MARKDOWN = Sink("markdown", markdown_text, lambda url: f"<{url}>")
HTML = Sink("html", html_text, _html_link, "<br/>\n", "&nbsp;&nbsp;", lambda label, url: _html_link(url, label))

SINKS = (PLAIN, CHAT, MARKDOWN, HTML)
