"""Topic names and how each must be created. Every topic has the same number of partitions."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from streams.models.timestamps import DAY_MS

RAW = "raw.v1"
EVENTS = "events.v1"
PARTIALS = "partials.v1"
LEDGER = "ledger-changelog.v1"
ACCURACY = "accuracy.v1"
THROUGHPUT = "throughput.v1"
SLA = "sla.v1"
SIGNALS = "signals.v1"
INCIDENTS = "incidents.v1"
NOTICES = "notices.v1"
AUDIT_REQUESTS = "audit-requests.v1"
DEAD_LETTERS = "deadletters.v1"
LATE = "late.v1"

TABLE_TOPICS = {"accuracy": ACCURACY, "throughput": THROUGHPUT, "sla": SLA}

MAX_MESSAGE_BYTES = 8 * 1_048_576
"""Largest record batch of a topic unless configured. Kafka's own 1 MiB is less than a row of 70,000 labelers takes."""

_LAG_MS = 15 * 60_000


@dataclass(frozen=True)
class TopicSpec:
    """One topic to create: its full name, its partitions and its broker-side configuration."""

    name: str
    partitions: int
    config: dict[str, str]


ARRIVAL = {"message.timestamp.type": "LogAppendTime"}
ACCEPTED_MARK = ("floorwatch.time", b"accepted")
"""Header of a raw record whose own time is when Floorwatch accepted the event. The shipper of the embedded stack writes it."""
"""The broker stamps each record when it appends it. So retention counts from arrival and not from what a sender's clock, a
backfill or a mirror says, and an event's arrival is known without trusting anybody."""


def _log(retention_days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_days * DAY_MS)}


def _compacted() -> dict[str, str]:
    """Compacted state; the lag keeps a zombie's late write from hiding a newer row before it can be fenced."""
    return {"cleanup.policy": "compact", "min.compaction.lag.ms": str(_LAG_MS)}


def topic_specs(
    prefix: str,
    partitions: int,
    horizon_days: int = 14,
    *,
    events_kept_days: int | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> list[TopicSpec]:
    """List every topic Floorwatch uses.

    Args:
        prefix: Put before each name, usually ``floorwatch.``.
        partitions: Partitions of each topic.
        horizon_days: Correction horizon in days; logs are kept a day longer.
        events_kept_days: Days the log of events is kept; None keeps it as long as the other logs.
        max_message_bytes: Largest record batch of each topic.

    Returns:
        One spec a topic, in the order an event meets them.
    """
    kinds = {
        RAW: _log(horizon_days + 1),
        EVENTS: _log(events_kept_days or horizon_days + 1),
        LEDGER: _compacted(),
        PARTIALS: _compacted(),
        ACCURACY: _compacted(),
        THROUGHPUT: _compacted(),
        SLA: _compacted(),
        SIGNALS: _log(horizon_days + 1),
        INCIDENTS: _compacted(),
        NOTICES: _compacted(),
        AUDIT_REQUESTS: _compacted(),
        DEAD_LETTERS: _log(30),
        LATE: _log(30),
    }
    common = {"max.message.bytes": str(max_message_bytes), **ARRIVAL}
    return [TopicSpec(prefix + name, partitions, {**config, **common}) for name, config in kinds.items()]


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: CRC-32 modulo the count, librdkafka's ``consistent`` partitioner.

    Murmur2 in Python costs 5 microseconds a key; CRC-32 is in C and every language has it.
    """
    return crc32(key) % partitions
