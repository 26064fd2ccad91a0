"""Write a message for each kind of receiver."""

from __future__ import annotations

from alerts.escape import PLAIN, Sink
from alerts.message.model import MOST_BEFORE, Message
from alerts.text import Text

MOST_SMS = 160
REPEAT = "(possible repeat)"
_PLAIN_SIGNS = str.maketrans({"…": "..", "–": "-", "×": "x", "φ": "phi", "≤": "<=", "\N{ZERO WIDTH SPACE}": None})
"""Signs that would make a phone's network send half as many characters (GSM 03.38), in others."""


def plain(message: Message) -> str:
    """Return title, lines, links and commands as plain text."""
    written = chat(message, PLAIN)
    return f"{written.title}\n{written.body}"


def html(message: Message) -> str:
    """Return the whole message as an HTML page for mail; the title is its subject too."""
    from alerts.message.mail import page  # Jinja2 is for mail alone

    return page(message, title_of(message))


def sms(message: Message, most: int = MOST_SMS) -> str:
    """Return the title, the short link that takes it, else a link if all of it fits, and whole lines, in ``most`` characters.

    For the short link the title gives up what stands behind its first ``MOST_BEFORE`` characters; they say what, where and the number.
    """
    text = PLAIN.text(title_of(message)).translate(_PLAIN_SIGNS)
    room = most - 1 - len(message.short_link)
    if message.short_link and room >= MOST_BEFORE:
        text = f"{_shortened(text, room)}\n{message.short_link}"
    else:
        text = _shortened(text, most)
        for link in message.links[:1]:
            text = _with(text, link.url, most)
    for line in message.lines[1:]:  # the first says again where
        longer = _with(text, PLAIN.text(line).translate(_PLAIN_SIGNS), most)
        if longer == text:
            break
        text = longer
    return text


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 2)].rstrip() + ".."[:most]


def _with(text: str, line: str, most: int) -> str:
    return f"{text}\n{line}" if len(text) + 1 + len(line) <= most else text


def chat(message: Message, sink: Sink) -> Text:
    """Return title and body as a receiver reads them.

    Args:
        message: What to tell.
        sink: How the receiver reads text; it escapes what is data.
    """
    lines = [sink.text(line) for line in message.lines]
    lines += [sink.labelled(link.label, link.url) for link in message.links]
    lines += [sink.text(f"{command.label}: {command.text}") for command in message.commands]
    return Text(sink.text(title_of(message)), sink.line_break.join(lines) + "\n")


def title_of(message: Message) -> str:
    """Return the title, with the mark of a possible repeat."""
    return f"{REPEAT} {message.title}" if message.repeat else message.title
