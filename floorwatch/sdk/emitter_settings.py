"""How an emitter sends, and how it fares; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

from dataclasses import dataclass

from floorwatch.sdk.events import NotEmitted
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

MOST_BATCH_EVENTS = 1000
"""A gateway tells of a thousand refusals one by one; of more, nobody knew which they are."""


class SpoolFull(NotEmitted):
    """The spool has no room for the events, and none of them was kept. Nothing that was taken before is dropped for them."""


@dataclass(frozen=True)
class EmitterSettings:
    """How an emitter sends. The defaults suit a labelling tool; all times are in seconds.

    Attributes:
        batch_events: Most events of one request, up to 1000.
        batch_bytes: Most bytes of one request; a single event may be larger. Many proxies refuse more than 1 MiB.
        linger_s: How long the first event of a batch waits for others.
        max_spool_bytes: Bound of what waits, on disk and in memory.
        full_wait_s: How long ``send`` waits for room in a full spool before it raises ``SpoolFull``.
        timeout_s: Of one request, from the connection to the last byte of the answer.
        retry_first_s: Bound of the wait after the first failure; it doubles with each.
        retry_most_s: Bound of any wait that the gateway did not ask for.
        close_wait_s: How long the end of a ``with`` block, or of the program, waits for what is not delivered yet.
        limits: How far an event's times may be from its own, where the floor's configuration (``events``) differs from the
            defaults.
    """

    batch_events: int = 500
    batch_bytes: int = 1_000_000
    linger_s: float = 0.1
    max_spool_bytes: int = 64 * 1024 * 1024
    full_wait_s: float = 0.0
    timeout_s: float = 30.0
    retry_first_s: float = 0.5
    retry_most_s: float = 60.0
    close_wait_s: float = 5.0
    limits: EventLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: Naming the setting, its value and its bounds.
        """
        if not 1 <= self.batch_events <= MOST_BATCH_EVENTS:
            raise ValueError(f"batch_events is {self.batch_events}: give 1 to {MOST_BATCH_EVENTS}")
        for name in ("batch_bytes", "max_spool_bytes", "timeout_s", "retry_first_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give more than 0")
        for name in ("linger_s", "full_wait_s", "close_wait_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")
        if not self.retry_most_s >= self.retry_first_s:
            raise ValueError(f"retry_most_s is {self.retry_most_s}: give at least retry_first_s ({self.retry_first_s})")


@dataclass(frozen=True)
class EmitterStatus:
    """How an emitter fares.

    Attributes:
        waiting: Events in the spool that are not delivered yet.
        waiting_bytes: Their size.
        delivered: Events that the gateway has taken since the emitter was made.
        refused: Events that it has refused since then; ``Emitter.refused`` tells them.
        trouble: What keeps events from the gateway now, and what to do; empty where nothing does.
        damage: What could not be read in the spool when the emitter was made.
    """

    waiting: int
    waiting_bytes: int
    delivered: int
    refused: int
    trouble: str
    damage: tuple[str, ...]
