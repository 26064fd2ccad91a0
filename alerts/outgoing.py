"""One notification on its way: what the outbox holds and the channels get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct, field, structs

from alerts.codec import incident_record
from alerts.escape import PLAIN
from alerts.incident import Incident, Notify
from alerts.message.compose import compose, compose_members
from alerts.message.model import Reader
from alerts.message.texts import chat
from alerts.message.titles import Member
from alerts.text import Links, title_of
from streams.core.formatting import UTC_ZONE
from streams.models import formats

_CUT_TITLE, _CUT_BODY = 300, 8_000

MOST_SHOWN = 10
"""Incidents that a message names; it counts the others."""


class NotedIncident(Struct, frozen=True):
    """An incident of a notification: its step and its JSON record as of that."""

    step: str
    incident: dict[str, Any]


class Notification(Struct, frozen=True):
    """A rendered notification.

    Attributes:
        id: Incident key + step.
        step: ``open``, ``reopened-1``, ``escalated-0-2``, ``reminder-0-1``, ``resolved-0``, or ``test``.
        route: Route in the configuration whose channels get it.
        severity: Of the incident.
        title: One line of plain text.
        body: Plain text. Channels whose receivers read markup render it anew from ``incident`` (``alerts/escape.py``).
        incident: The incident's JSON record as of the step.
        links: What a reader can do with one click.
        also: Further routes; a channel that is in several gets it once.
        channels: Channels that get it, as they were decided; empty: those of the routes, as in version 2.
        members: Where it tells of several incidents, the first ``MOST_SHOWN`` of them with the step of each; else empty.
        counts: By kind, ``KIND/again`` of reminders, ``KIND/over`` of those that are over, how many incidents it tells of; empty: one.
        zone: IANA name of the zone in which title and body show times; the record's are UTC.
    """

    id: str
    step: str
    route: str
    severity: str
    title: str
    body: str
    incident: dict[str, Any]
    links: Links = Links()
    also: tuple[str, ...] = ()
    zone: str = UTC_ZONE
    channels: tuple[str, ...] = ()
    members: tuple[NotedIncident, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


_decoder = msgspec.json.Decoder(Notification)


def notification(effect: Notify, links: Links | None = None) -> Notification:
    """The notification of an effect, rendered now, so that a later delivery shows the state of now."""
    told = [Member(effect.incident, effect.first_step or effect.step), *(Member(*one) for one in effect.members)]
    message = compose_members(told, Reader(), counts=effect.counts, notice=effect.id, links=links)
    text = chat(message, PLAIN)
    return Notification(
        id=effect.id,
        step=effect.step,
        route=effect.route,
        severity=effect.incident.severity,
        title=text.title,
        body=text.body,
        incident=_record(effect.incident),
        links=links or Links(),
        also=effect.also,
        channels=effect.channels,
        members=tuple(NotedIncident(one.step, _record(one.incident)) for one in told) if effect.counts else (),
        counts=effect.counts,
    )


def _record(incident: Incident) -> dict[str, Any]:
    return incident_record(incident, title_of(incident))


def in_zone(note: Notification, zone: str) -> Notification:
    """Return a notification that shows times in a zone; as it is where its incident cannot be read."""
    if zone == note.zone and note.links == Links():
        return note
    message = compose(note, Reader(zone))
    if not message.members:
        return note
    text = chat(message, PLAIN)
    return structs.replace(note, title=text.title, body=text.body, zone=zone)


def linked(note: Notification, link: Callable[[str, str, str], str]) -> Notification:
    """Return a notification whose links act. Its body shows them once it is put into its reader's zone.

    Args:
        note: What to tell; one without an incident stays as it is.
        link: From (purpose, incident key, notice id) to a URL.
    """
    key = note.incident.get("key")
    if not isinstance(key, str):
        return note
    names = [name for name in Links.__struct_fields__ if name != "tasks" or note.incident.get("examples")]
    urls = {name: link(name, key, note.id) for name in names}
    return structs.replace(note, links=Links(**urls))


def within(note: Notification, most_bytes: int) -> Notification:
    """Return a notification that fits into a Redis item: one that is too large loses examples, contributors and acts of its record.

    Args:
        note: Any notification.
        most_bytes: Size of its JSON from which it is cut.
    """
    if len(encode_notification(note)) <= most_bytes:
        return note
    cut = structs.replace(
        note,
        title=note.title[:_CUT_TITLE],
        body=note.body[:_CUT_BODY] + "\n… cut\n",
        incident=_cut(note.incident),
        members=tuple(structs.replace(one, incident=_cut(one.incident)) for one in note.members),
    )
    return cut if len(encode_notification(cut)) <= most_bytes else structs.replace(cut, incident={}, members=())


def _cut(record: dict[str, Any]) -> dict[str, Any]:
    left_out = ("examples", "contributors", "acts", "told", "held")
    return {name: value for name, value in record.items() if name not in left_out}


def encode_notification(note: Notification) -> bytes:
    """JSON bytes."""
    return formats.stamped_json(formats.NOTIFICATION, msgspec.json.encode(note))


def decode_notification(value: bytes | str) -> Notification:
    """The notification of JSON bytes.

    Raises:
        msgspec.DecodeError: No JSON, or not a notification.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    formats.check_json(formats.NOTIFICATION, value)
    return _decoder.decode(value)
