"""What is known at a moment of the way from an event to a person. Pure; ``streams/health.py`` collects it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from alerts.looks import Look


class HealthLimits(Struct, frozen=True):
    """From when on something is a fault, in ms; ``alerts.health`` of the configuration says it."""

    stalled_ms: int = 600_000
    notifier_dead_ms: int = 60_000
    receiver_failing_ms: int = 600_000


class NotifierTurn(Struct, frozen=True):
    """How one worker's notifier fares. Times are wall ms.

    Attributes:
        worker: Name of the worker.
        at_ms: When it was said. A worker that has ended says nothing more.
        turned_ms: When the part that has been still the longest last finished a turn.
        part: The name of that part: ``routing``, ``channel ops``.
        behind: Records that the worker's intake has still to read.
    """

    worker: str
    at_ms: int
    turned_ms: int
    part: str = ""
    behind: int = 0


class ChannelHealth(Struct, frozen=True):
    """How a channel fares.

    Attributes:
        name: Its name.
        failing_since_ms: Wall time since when each attempt has failed; None while it delivers, or has nothing to deliver.
        reason: Why the last one failed.
        usable: It could be built.
        waiting: Notifications that wait for it.
        dead: Notifications given up for it.
    """

    name: str
    failing_since_ms: int | None = None
    reason: str = ""
    usable: bool = True
    waiting: int = 0
    dead: int = 0


class HealthFacts(Struct, frozen=True):
    """What is known at a moment. Times are wall ms, but for watermarks, which are event time.

    Attributes:
        now_ms: The moment.
        watched_ms: Since when this worker has had the partition of all alerts.
        redis_fault: Why Redis could not be asked; empty: it answered, and what follows is known.
        look: The last evaluation of the rules; None: they never looked, or Redis was emptied since.
        taken_in_ms: Time of the last tick that the incidents have taken in; None before the first.
        watermark_ms: Up to which event time all tables are; None before the first event.
        notifiers: Those that were heard of.
        channels: All that are configured.
        routes: Channels of each route.
    """

    now_ms: int
    watched_ms: int
    redis_fault: str = ""
    look: Look | None = None
    taken_in_ms: int | None = None
    watermark_ms: int | None = None
    notifiers: tuple[NotifierTurn, ...] = ()
    channels: tuple[ChannelHealth, ...] = ()
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class StreamFault(Struct, frozen=True):
    """One thing that is broken.

    Attributes:
        kind: ``source_silent``, ``source_refused``, ``watermark_stalled``, ``notifier_dead`` or ``receiver_failing``.
        scope: What is broken: ``{"channel": "ops"}``, ``{"worker": "floor-1:9464"}``; empty for the whole.
        since_ms: Wall time since when.
        lasting_ms: For how long.
        limit_ms: From how long on it is a fault.
        evidence: What was seen, in a sentence.
        figures: Further numbers for the message.
    """

    kind: str
    scope: dict[str, str]
    since_ms: int
    lasting_ms: int
    limit_ms: int
    evidence: str
    figures: dict[str, float] = field(default_factory=dict)
