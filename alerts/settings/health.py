"""Settings of what Floorwatch says of its own stream: the heartbeat to somebody outside, and the thresholds of its own faults."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, SecretStr

from config.base import StrictNumbers
from config.durations import Seconds


class HeartbeatSettings(StrictNumbers):
    """A sign of life to a receiver outside, which rings when it stays away.

    Attributes:
        url: Asked for every ``every`` while all of the way from an event to a person works.
        method: How it is asked for.
        on_fault: ``fail`` asks for the url with ``/fail`` behind its path, and says why; ``stop`` asks for nothing then.
        every: The pause between two signs of life.
        timeout_s: Most seconds for one of them.
        alertmanager: Channels on which the alert ``FloorwatchWatchdog`` fires as long as all is well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = None
    method: Literal["post", "get"] = "post"
    on_fault: Literal["fail", "stop"] = "fail"
    every: Seconds = Field(default=60, ge=1, le=3600)
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    alertmanager: tuple[str, ...] = Field(default=(), max_length=20)


class HealthSettings(StrictNumbers):
    """From when on something about the stream itself is a fault.

    Attributes:
        stalled_after: Rules have not looked for so long, or what they saw has not been taken in.
        notifier_dead_after: A part of a worker's notifier has done nothing for so long.
        receiver_failing_after: A channel has delivered nothing for so long, although it tries.
        source_silent_after: A source that usually sends has sent nothing for so long.
        sources: By source, or its beginning with ``*``, the silence that is told whatever is usual.
        quiet_sources: Sources, or beginnings with ``*``, of which silence is never told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stalled_after: Seconds = Field(
        default=600,
        ge=1,
        le=86_400,
        description="Rules look once a minute, also on a quiet floor; a catch-up takes longer.",
    )
    notifier_dead_after: Seconds = Field(
        default=60, ge=1, le=3600, description="Each part of a notifier does something twice a second."
    )
    receiver_failing_after: Seconds = Field(
        default=600,
        ge=1,
        le=86_400,
        description="Longer than a receiver's restart; each channel is tried some ten times by then.",
    )
    source_silent_after: Seconds = Field(
        default=600,
        ge=60,
        le=86_400,
        description="The least silence of a source that is told; of one that usually sends less, until 20 events are missing.",
    )
    sources: dict[str, Seconds] = Field(
        default={},
        max_length=1000,
        description="By CloudEvents source, or its beginning with *, the silence that is told whatever is usual, e.g. "
        "{label-studio/*: 15m}; none: what is usual is learnt.",
    )
    quiet_sources: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        description="Sources, or beginnings with *, of which silence is never told, e.g. [backfill/*].",
    )
