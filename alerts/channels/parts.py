"""A notification about several incidents as one of each, for receivers that keep an alert for each incident."""

from __future__ import annotations

from msgspec import structs

from alerts.message.compose import compose
from alerts.message.model import Reader
from alerts.outgoing import Notification
from alerts.text import Links


def one_each(note: Notification) -> list[Notification]:
    """Return a notification for each incident that one names: for receivers where each is an alert of its own."""
    if not note.members:
        return [note]
    found = []
    for member in note.members:
        own = note.links if member.incident.get("key") == note.incident.get("key") else Links()
        severity = str(member.incident.get("severity") or note.severity)
        one = structs.replace(
            note, step=member.step, incident=member.incident, severity=severity, members=(), counts={}, links=own
        )
        found.append(structs.replace(one, title=compose(one, Reader(note.zone)).title))
    return found
