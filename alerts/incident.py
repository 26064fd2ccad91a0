"""The incident: the life of one alert on one scope, what can happen to it and what that makes happen."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from alerts.signals import Contributor, Kind, Severity, Window

State = Literal["pending", "quiet", "open", "acknowledged", "escalated", "resolved"]
"""``quiet``: was pending and went away before it opened; never shown, kept so that a replay is known as one."""

LIVE: frozenset[str] = frozenset(("open", "acknowledged", "escalated"))


class Stamp(Struct, frozen=True, order=True):
    """Place of an input in its log."""

    partition: int
    offset: int


class Incident(Struct, frozen=True):
    """One alert's life. Times are int ms; ``at`` of signals is event time (watermark), of ticks and acks wall time.

    ``streak`` counts consecutive evaluations that point away from the present state. ``announced`` says that people
    were told of the present firing; it stays False while a parent or a silence holds the message back.
    ``timer_ms`` is the wall time from which escalation and group wait are counted, None until the first tick.
    """

    key: str
    rule: str
    kind: Kind
    severity: Severity
    scope: dict[str, str]
    scope_key: str
    episode: int
    state: State
    evidence: str
    value: float | None
    target: float
    window: Window
    since_ms: int
    updated_ms: int
    opened_ms: int | None = None
    resolved_ms: int | None = None
    reopened: int = 0
    tier: int = 0
    streak: int = 0
    announced: bool = False
    timer_ms: int | None = None
    acknowledged_by: str | None = None
    silenced_until_ms: int | None = None
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    board_url: str = ""
    runbook_url: str = ""
    stamp: Stamp | None = None

    @property
    def live(self) -> bool:
        """Whether people should see it as going on."""
        return self.state in LIVE


class Ack(Struct, frozen=True, tag="ack"):
    """A person takes the incident; it stops escalating."""

    key: str
    by: str
    at_ms: int


class Silence(Struct, frozen=True, tag="silence"):
    """No messages about the incident until ``until_ms`` (wall time)."""

    key: str
    by: str
    at_ms: int
    until_ms: int


class Tick(Struct, frozen=True, tag="tick"):
    """Time passed: wall time ``at_ms``; ``watermark_ms`` where known."""

    at_ms: int
    watermark_ms: int | None = None


class Notify(Struct, frozen=True, tag="notify"):
    """Tell people. ``id`` is incident key + step: the same telling always has the same id."""

    id: str
    step: str
    route: str
    incident: Incident


class Publish(Struct, frozen=True, tag="publish"):
    """Write the incident to incidents.v1 and the read model."""

    incident: Incident


Effect = Notify | Publish


def incident_key(rule: str, scope_key: str, episode: int) -> str:
    """Stable key of one episode of a rule on a scope: 32 hex digits (blake2b-128)."""
    # A unit separator keeps ("a", "b=1") apart from ("ab", "=1"); neither part can hold a control character.
    return blake2b(f"{rule}\x1f{scope_key}\x1f{episode}".encode(), digest_size=16).hexdigest()
