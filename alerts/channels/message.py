"""The text of a notification as a sink reads it."""

from __future__ import annotations

from msgspec import structs

from alerts.escape import CHAT, Sink
from alerts.message.compose import compose
from alerts.message.model import LinkKind, Message, Reader
from alerts.message.texts import REPEAT, chat, sms
from alerts.outgoing import Notification
from alerts.text import Text

_LINE_RANKS = (0, 1, 4, 5, 6, 7)
_LINK_RANKS: dict[LinkKind, int] = {
    "ack": 2,
    "board": 3,
    "details": 8,
    "silence": 9,
    "tasks": 10,
    "not_useful": 11,
    "useful": 12,
    "runbook": 13,
}
_LAST = 14
"""Which lines and links a message keeps longest that must be short, from 0."""
_TITLE_ROOM = 16
"""Characters that are put around a title in a body."""

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


def message_within(note: Notification, sink: Sink, most_title: int, most_body: int, *, title_in_body: bool) -> Text:
    """Return title and body as ``message_for`` does, of whole lines and whole links that fit into one message of a receiver.

    What is left out first: commands, then runbook and marks, then what the first lines do not say. The link that takes the incident
    and the board stay longest.

    Args:
        note: What to tell.
        sink: How the receiver reads the body.
        most_title: Characters of a title; 0: it has none, so the title stands in the body.
        most_body: Characters of a body.
        title_in_body: The title is shown as part of the body.
    """
    message = message_of(note)
    title = _cut_to(chat(message, sink if title_in_body else CHAT).title, most_title)
    room = most_body - (len(title) + _TITLE_ROOM if title_in_body or not most_title else 0)
    parts = [(_LINE_RANKS[min(at, len(_LINE_RANKS) - 1)], sink.text(line)) for at, line in enumerate(message.lines)]
    parts += [(_LINK_RANKS.get(one.does, _LAST), sink.labelled(one.label, one.url)) for one in message.links]
    parts += [(_LAST + 1, sink.text(f"{one.label}: {one.text}")) for one in message.commands]
    kept, used = set[int](), 1
    for at in sorted(range(len(parts)), key=lambda at: (parts[at][0], at)):
        size = len(parts[at][1]) + len(sink.line_break)
        if used + size <= room:
            kept.add(at)
            used += size
    return Text(title, sink.line_break.join(parts[at][1] for at in sorted(kept)) + "\n")


def _cut_to(title: str, most: int) -> str:
    return title if not most or len(title) <= most else title[: most - 1] + "…"


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
