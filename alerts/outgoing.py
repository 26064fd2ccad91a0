"""One notification on its way: what the outbox holds and the channels get."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from alerts.incident import Notify
from alerts.records import incident_record
from alerts.text import Links, render, title_of


class Notification(Struct, frozen=True):
    """A rendered notification. ``id`` is incident key + step; ``incident`` the incident's JSON record."""

    id: str
    step: str
    route: str
    severity: str
    title: str
    body: str
    incident: dict[str, Any]
    links: Links = Links()


_decoder = msgspec.json.Decoder(Notification)


def notification(effect: Notify, links: Links | None = None) -> Notification:
    """The notification of an effect, rendered now: what is sent later is what was true then."""
    text = render(effect.incident, effect.step, links)
    return Notification(
        id=effect.id,
        step=effect.step,
        route=effect.route,
        severity=effect.incident.severity,
        title=text.title,
        body=text.body,
        incident=incident_record(effect.incident, title_of(effect.incident)),
        links=links or Links(),
    )


def encode_notification(note: Notification) -> bytes:
    """JSON bytes."""
    return msgspec.json.encode(note)


def decode_notification(value: bytes | str) -> Notification:
    """The notification of JSON bytes.

    Raises:
        msgspec.DecodeError: No JSON, or not a notification.
    """
    return _decoder.decode(value)
