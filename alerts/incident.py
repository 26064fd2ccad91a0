"""The incident: the life of one alert on one scope, its inputs and its effects."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Literal

from msgspec import Meta, Struct

from alerts.signals import Contributor, Severity

State = Literal["pending", "quiet", "open", "acknowledged", "escalated", "resolved"]
"""``quiet``: it was pending and ended before it opened. It is never shown, and kept so that a replay is recognised."""

HIDDEN: frozenset[str] = frozenset(("pending", "quiet"))
"""States that are written to the log for the next owner and not shown to people."""

PENDING = "incidents-pending"
"""Name of the Redis hash of pending incidents, by key; those that people see are in ``incidents``."""

LIVE: frozenset[str] = frozenset(("open", "acknowledged", "escalated"))


Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Note = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]

ACTIONS_KEPT = 20
"""Operator actions kept in an incident. The log has all of them for as long as it is kept."""


class Stamp(Struct, frozen=True, order=True):
    """Place of an input in its log."""

    partition: int
    offset: int


class OperatorAction(Struct, frozen=True):
    """What somebody did about an incident: who, when (wall time), why; ``until_ms`` of a silence."""

    what: Literal["ack", "silence"]
    by: str
    at_ms: int
    note: str = ""
    until_ms: int | None = None


class Incident(Struct, frozen=True):
    """One alert's life. Times are int ms; ``at`` of signals is event time (watermark), of ticks and acks wall time.

    ``streak`` counts consecutive evaluations that point away from the present state. ``announced`` says that people
    were told of the present firing; it stays False while a wider incident or a silence holds the message back.
    ``timer_ms`` is the wall time from which group wait is counted and, once people were told, escalation; None until
    the next tick. ``told`` are the routes of the tiers that were told; they are told of the end too. ``acts`` are the
    last ``ACTIONS_KEPT``, oldest first. ``board_url`` is empty where no board is configured, ``runbook_url`` then a
    path in the repository.
    """

    key: str
    rule: str
    kind: str
    severity: Severity
    scope: dict[str, str]
    scope_key: str
    episode: int
    state: State
    evidence: str
    value: float | None
    target: float
    window: str
    since_ms: int
    updated_ms: int
    opened_ms: int | None = None
    resolved_ms: int | None = None
    reopened: int = 0
    tier: int = 0
    told: tuple[str, ...] = ()
    streak: int = 0
    announced: bool = False
    timer_ms: int | None = None
    acknowledged_by: str | None = None
    silenced_until_ms: int | None = None
    acts: tuple[OperatorAction, ...] = ()
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    board_url: str = ""
    runbook_url: str = ""
    stamp: Stamp | None = None

    @property
    def live(self) -> bool:
        """Whether people should see it as live."""
        return self.state in LIVE

    @property
    def pending(self) -> bool:
        """Whether its rule has fired in its last evaluation, and not yet as often in a row as it takes to open (again)."""
        return self.state == "pending" or (self.state == "resolved" and self.streak > 0)


class Ack(Struct, frozen=True, tag="ack"):
    """A person takes the incident, or takes it over; it stops escalating."""

    key: str
    by: Name
    at_ms: int
    note: Note = ""


class Silence(Struct, frozen=True, tag="silence"):
    """No messages about the incident until ``until_ms`` (wall time). The last silence counts, so it can be shortened."""

    key: str
    by: Name
    at_ms: int
    until_ms: int
    note: Note = ""


class Tick(Struct, frozen=True, tag="tick"):
    """Time passed: wall time ``at_ms``; ``watermark_ms`` is the watermark of the last known evaluation of the rules.

    Ticks are records of the log like signals and actions, so a replay escalates at the same points.
    """

    at_ms: int
    watermark_ms: int | None = None


class Notify(Struct, frozen=True, tag="notify"):
    """Notify people. ``id`` is incident key + step, so the same notification always has the same id. ``also``: further routes."""

    id: str
    step: str
    route: str
    incident: Incident
    also: tuple[str, ...] = ()


class Publish(Struct, frozen=True, tag="publish"):
    """Write the incident to incidents.v1 and the read model."""

    incident: Incident


Effect = Notify | Publish


def incident_key(rule: str, scope_key: str, episode: int) -> str:
    """Stable key of one episode of a rule on a scope: 32 hex digits (blake2b-128)."""
    # A unit separator keeps ("a", "b=1") apart from ("ab", "=1"); neither part can hold a control character.
    return blake2b(f"{rule}\x1f{scope_key}\x1f{episode}".encode(), digest_size=16).hexdigest()
