"""Times as a person at a phone reads them: as short as can be told without doubt."""

from __future__ import annotations

from alerts.incident import Incident
from streams.core.formatting import duration, instant
from streams.models.timestamps import DAY_MS


def clock(at_ms: int, near_ms: int, zone: str, place: str = "") -> str:
    """Return a time: ``10:40 KUL`` on the day of ``near_ms``, ``Sun 10:40 KUL`` within six days of it, else ``Sun 22 Nov 10:40 KUL``.

    Args:
        at_ms: Unix ms.
        near_ms: The time at which it is told.
        zone: IANA name of the reader's zone.
        place: What the reader calls the zone; empty: its offset, ``UTC+8``.
    """
    day, date, month, hour, offset = instant(at_ms, zone=zone).split(" ")
    today = instant(near_ms, zone=zone).split(" ")[:3]
    named = place or offset
    if today == [day, date, month] and abs(near_ms - at_ms) < DAY_MS:
        return f"{hour} {named}"
    if abs(near_ms - at_ms) < 6 * DAY_MS:
        return f"{day} {hour} {named}"
    return f"{day} {date} {month} {hour} {named}"


def since(incident: Incident, zone: str, place: str) -> str:
    """Return ``since 10:40 KUL``."""
    return f"since {clock(incident.since_ms, incident.updated_ms, zone, place)}"


def lasting(incident: Incident) -> str:
    """Return ``after 1 h 30 min``: how long a resolved incident lasted."""
    until_ms = incident.updated_ms if incident.resolved_ms is None else incident.resolved_ms
    return f"after {duration(max(0, until_ms - incident.since_ms) / 1000)}"


def open_for_s(incident: Incident, step: str) -> float:
    """Return for how many seconds an incident was open when a reminder of it was told.

    Event time stands still while nothing is heard of an incident, and wall time counts from when people were told: the longer of the
    two is taken. After a reopening it is the time since people were told of that.
    """
    told_ms = max((one.at_ms for one in incident.told_people if one.step == step), default=0)
    by_wall_ms = 0 if incident.timer_ms is None else told_ms - incident.timer_ms
    by_event_ms = 0 if incident.opened_ms is None or incident.reopened else incident.updated_ms - incident.opened_ms
    return max(0, by_wall_ms, by_event_ms) / 1000
