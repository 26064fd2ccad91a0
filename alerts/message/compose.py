"""Compose the message of a notification for a reader."""

from __future__ import annotations

from typing import Literal

from alerts.message.model import MOST_LINES, MOST_TITLE, Link, Message, Reader
from alerts.outgoing import Notification, in_zone
from alerts.text import is_link


def compose(note: Notification, reader: Reader) -> Message:
    """Return what a reader is told.

    Args:
        note: What happened, as data.
        reader: Zone, and how links are signed.

    Returns:
        A message that depends on nothing but the arguments.
    """
    shown = in_zone(note, reader.zone)
    lines = tuple(line.strip() for line in shown.body.splitlines() if line.strip())
    links = [
        Link("Board", str(note.incident.get("board_url") or ""), "board"),
        Link("Runbook", str(note.incident.get("runbook_url") or ""), "runbook"),
    ]
    named = note.incident.get("title")
    return Message(
        title=shown.title if len(shown.title) <= MOST_TITLE else shown.title[: MOST_TITLE - 1] + "…",
        lines=lines[:MOST_LINES],
        details=lines[MOST_LINES:],
        links=tuple(link for link in links if is_link(link.url)),
        severity=note.severity,
        state=_state(note),
        members=(str(named),) if named else (),
    )


def _state(note: Notification) -> Literal["open", "acknowledged", "resolved"]:
    if note.step.startswith("resolved"):
        return "resolved"
    return "acknowledged" if note.incident.get("state") == "acknowledged" else "open"
