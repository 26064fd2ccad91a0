"""Settings of the engine: batches, intervals and limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from config.base import Section
from config.durations import Seconds


class EngineSettings(Section):
    """How often work is folded, flushed and published, and the limits on what is accepted."""

    flush_interval_s: Seconds = Field(
        default=0.5,
        ge=0.05,
        le=60,
        description="State to the changelog, then commit; what a crash makes a worker fold again.",
    )
    publish_interval_s: Seconds = Field(
        default=0.5,
        ge=0.05,
        le=300,
        description="Tables to topics and Redis; faster than people read only costs bandwidth.",
    )
    max_batch_records: int = Field(
        default=5000,
        ge=1,
        le=100_000,
        description="Records of one micro-batch: about 25 ms of work, so heartbeats keep time.",
    )
    max_unflushed_records: int = Field(
        default=200_000,
        ge=1000,
        le=10_000_000,
        description="Of a stage and partition, folded and not flushed; beyond it folding waits. 2 s of full speed.",
    )
    max_unflushed_bytes: int = Field(
        default=134_217_728,
        ge=1_048_576,
        le=17_179_869_184,
        description="The same in bytes: 200,000 events of usual size come to half of it.",
    )
    max_in_flight_bytes: int = Field(
        default=33_554_432,
        ge=1_048_576,
        le=94_371_840,
        description="Unacknowledged by the broker; beyond it writing waits. Kafka refuses requests above 100 MiB.",
    )
    idle_timeout_s: Seconds = Field(
        default=30,
        ge=1,
        le=86_400,
        description="A partition without events for this long no longer holds the watermark of the tables back.",
    )
    future_tolerance_s: Seconds = Field(
        default=300,
        ge=0,
        le=86_400,
        description="Events dated further ahead are refused; 5 min covers clocks without NTP.",
    )
    max_event_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=16_777_216,
        description="Larger events are refused; 1 MiB is Kafka's own message limit.",
    )
    hot_tasks: int = Field(
        default=1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Tasks a partition keeps in memory, 0.3 kB each; more go to disk. 0 keeps all in memory.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="Where such tasks go, emptied at every start; none means the system's temporary directory.",
    )
