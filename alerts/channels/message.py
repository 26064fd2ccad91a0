"""The text of a notification as a sink reads it."""

from __future__ import annotations

from msgspec import structs

from alerts.escape import CHAT, Sink
from alerts.message.compose import compose
from alerts.message.model import Message, Reader
from alerts.message.texts import REPEAT, chat, sms
from alerts.outgoing import Notification
from alerts.text import Text

MOST_REASON = 120
"""Characters of a reason that are told in a title."""


def message_of(note: Notification) -> Message:
    """Return the message of a notification for the readers of its zone, with its own title: that carries the marks of delivery."""
    return structs.replace(compose(note, Reader(note.zone)), title=note.title)


def message_for(note: Notification, sink: Sink, *, title_in_body: bool = False) -> Text:
    """Return title and body for a sink, composed of the incident, so that data is escaped and Floorwatch's links are not.

    Args:
        note: What to tell.
        sink: How the receiver reads the body.
        title_in_body: The title is shown as part of the body; else as a line of plain text, such as a mail's subject.
    """
    message = message_of(note)
    title = chat(message, sink if title_in_body else CHAT).title
    return Text(title, chat(message, sink).body)


def short_message(note: Notification, most: int) -> Text:
    """Return the text for a short message of ``most`` characters: what, where and the number, a link if all of it fits, whole lines."""
    said = sms(message_of(note), most)
    return Text("", CHAT.text(said)[:most] if "\n" not in said else "\n".join(map(_shown, said.split("\n")))[:most])


def _shown(line: str) -> str:
    return line if line.startswith(("https://", "http://")) else CHAT.text(line)


def marked_repeat(note: Notification) -> Notification:
    """Return the notification marked as a possible repeat."""
    return structs.replace(note, title=f"{REPEAT} {note.title}")


def marked_instead(note: Notification, instead_of: str) -> Notification:
    """Return the notification as its fallback channel tells it: the title says which channel never got it and why.

    Args:
        note: What to tell.
        instead_of: The channel that was given up, and the reason: ``ops: the receiver answered 404``.
    """
    said = instead_of if len(instead_of) <= MOST_REASON else instead_of[: MOST_REASON - 1] + "…"
    return structs.replace(note, title=f"{note.title} (never reached {said})")
