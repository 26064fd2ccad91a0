"""Notices: what a group of incidents tells to whom, and how far a group has told. Pure; alerts/telling.py makes them."""

from __future__ import annotations

from msgspec import Struct

from alerts.incident import Stamp

DIGEST = ".digest"
"""Behind the id of a group: what it tells together once a day."""


def is_digest(name: str) -> bool:
    """Tell whether a group, or a notice, is of a digest; by its id."""
    return name.partition(":")[0].endswith(DIGEST)


class Target(Struct, frozen=True):
    """A receiver of a notice, with its channels as they were chosen.

    Attributes:
        receiver: ``person:mei``, ``channel:ops``, or ``schedule:kul-lead`` where nobody was on duty.
        channels: Names of channels, each once.
        why: In words: ``schedule kul-lead, layer 1``.
    """

    receiver: str
    channels: tuple[str, ...]
    why: str


class Notice(Struct, frozen=True):
    """One message of a group, as it is decided on the log: its receivers do not change afterwards.

    Attributes:
        id: Id of the group and a digest of members and receivers: the same message has the same id, so it is sent once.
        group: Id of the group.
        route: Name of the route.
        step: What the message is: ``open``, ``escalated-0-1``, ``reminder-0-2``, ``resolved-0`` …, or ``changed`` where its members
            differ.
        members: (incident key, step), all that it tells of, the most urgent first.
        targets: Who is told.
        at_ms: Wall time of the tick that decided it.
        stamp: Place of that tick.
    """

    id: str
    group: str
    route: str
    step: str
    members: tuple[tuple[str, str], ...]
    targets: tuple[Target, ...]
    at_ms: int
    stamp: Stamp


class IncidentGroup(Struct, frozen=True):
    """Incidents that one route tells of together, and how far it has told. Times are wall time.

    Attributes:
        id: ``alerts.routing.routes.group_id`` of route and labels; of a tier of escalation with its number behind a point,
            of a digest with ``.digest``.
        route: Name of the route.
        labels: Values that all members share.
        waiting_since_ms: Since when something waits to be told; None: nothing waits.
        told_ms: When the group last told.
        urgent_ms: When it last told ahead of its interval.
        notices: Those of the last flush that changed the group: what a crash may have left undone is done from them.
        stamp: Place of the last tick that changed the group.
    """

    id: str
    route: str
    labels: dict[str, str]
    waiting_since_ms: int | None = None
    told_ms: int | None = None
    urgent_ms: int | None = None
    notices: tuple[Notice, ...] = ()
    stamp: Stamp | None = None
