"""Notices: what a group of incidents tells to whom. Pure; the machine that makes them is alerts/telling.py, once it is there."""

from __future__ import annotations

from msgspec import Struct, field

from alerts.incident import Stamp

MEMBERS_SHOWN = 20
"""Members that a notice names. It counts them all; incidents know their groups, so the others are found."""


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
        id: ``<group>:<seq>``.
        group: Id of the group.
        seq: Number within the group, from 1.
        step: What the message is: ``open``, ``changed``, ``escalated-2``, ``resolved`` ….
        members: (incident key, step of its transition), ``MEMBERS_SHOWN`` at most.
        total: How many transitions it tells of.
        targets: Who is told.
        at_ms: Wall time of the tick that decided it.
        tier: Tier of escalation, from 0.
        open: Channels without a receipt that ends them.
    """

    id: str
    group: str
    seq: int
    step: str
    members: tuple[tuple[str, str], ...]
    total: int
    targets: tuple[Target, ...]
    at_ms: int
    tier: int = 0
    open: tuple[str, ...] = ()


class IncidentGroup(Struct, frozen=True):
    """Incidents that one route tells of together, and how far it has told. Times are wall time.

    Attributes:
        id: ``alerts.routing.routes.group_id`` of route and labels.
        route: Name of the route.
        labels: Values that all members share.
        round: Counts from 1 how often the group began anew after all members were over.
        seq: Number of the last notice.
        waiting_since_ms: Since when a transition waits to be told; None: none waits.
        told_ms: When the group was last told.
        urgent_ms: When it was last told ahead of its interval.
        tier: Tier of escalation reached.
        tier_ms: Since when that tier waits for an acknowledgement.
        repeats: Repetitions of the escalation.
        notices: Those with open channels, and the last.
        refs: By channel, what its receiver calls the message.
        stamp: Place of the last input.
    """

    id: str
    route: str
    labels: dict[str, str]
    round: int = 1
    seq: int = 0
    waiting_since_ms: int | None = None
    told_ms: int | None = None
    urgent_ms: int | None = None
    tier: int = 0
    tier_ms: int | None = None
    repeats: int = 0
    notices: tuple[Notice, ...] = ()
    refs: dict[str, str] = field(default_factory=dict)
    stamp: Stamp | None = None
