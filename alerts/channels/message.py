"""The text of a notification as a sink reads it."""

from __future__ import annotations

import msgspec
from msgspec import structs

from alerts.codec import incident_of
from alerts.escape import CHAT, Sink
from alerts.outgoing import Notification
from alerts.text import Text, is_link, render
from alerts.view import instant_ms
from streams.core.formatting import times_in

REPEAT = "(possible repeat)"
MOST_REASON = 120
"""Characters of a reason that are told in a title."""


def message_for(note: Notification, sink: Sink, *, title_in_body: bool = False) -> Text:
    """Return title and body for a sink, rendered from the incident, so that data is escaped and Floorwatch's links are not.

    A notification whose incident cannot be read (another version wrote it, or it was cut) is escaped as a whole.

    Args:
        note: What to tell.
        sink: How the receiver reads the body.
        title_in_body: The title is shown as part of the body; else as a line of plain text, such as a mail's subject.
    """
    title = (sink if title_in_body else CHAT).text(note.title)
    try:
        return Text(title, render(incident_of(note.incident), note.step, note.links, sink, note.zone).body)
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return Text(title, sink.line_break.join(sink.text(line) for line in note.body.splitlines()))


def short_message(note: Notification, most: int) -> Text:
    """Return the text for a short message: what and where, the number, and the board's address if there is room for all of it."""
    evidence, board = (str(note.incident.get(name) or "") for name in ("evidence", "board_url"))
    if note.incident.get("updated_at"):
        evidence = times_in(evidence, note.zone, instant_ms(str(note.incident["updated_at"])))
    lines = [note.title, evidence]
    said = CHAT.text("\n".join(line for line in lines if line)[:most].rstrip()).replace(
        "\N{REPLACEMENT CHARACTER}", " "
    )
    whole = f"{said}\n{board}" if is_link(board) else said
    return Text("", (whole if len(whole) <= most else said)[:most])


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
