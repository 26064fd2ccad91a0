"""Write a message for each kind of receiver."""

from __future__ import annotations

from alerts.escape import HTML, PLAIN, Sink
from alerts.message.model import Message
from alerts.text import Text

MOST_SMS = 160
_REPEAT = "(possible repeat) "


def plain(message: Message) -> str:
    """Return title, lines and links as plain text."""
    written = chat(message, PLAIN)
    return f"{written.title}\n{written.body}"


def html(message: Message) -> str:
    """Return lines and links as HTML; the title is the mail's subject."""
    return chat(message, HTML).body


def sms(message: Message, most: int = MOST_SMS) -> str:
    """Return the title and as many whole lines behind it as fit into ``most`` characters."""
    text = PLAIN.text(_title(message))[:most]
    for line in map(PLAIN.text, message.lines):
        if len(text) + 1 + len(line) > most:
            break
        text = f"{text}\n{line}"
    return text


def chat(message: Message, sink: Sink) -> Text:
    """Return title and body as a receiver reads them.

    Args:
        message: What to tell.
        sink: How the receiver reads text; it escapes what is data.
    """
    lines = [sink.text(line) for line in message.lines]
    lines += [f"{sink.text(link.label)}: {sink.link(link.url)}" for link in message.links]
    return Text(sink.text(_title(message)), sink.line_break.join(lines) + "\n")


def _title(message: Message) -> str:
    return f"{_REPEAT if message.repeat else ''}{message.title}"
