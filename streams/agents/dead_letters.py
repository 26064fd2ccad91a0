"""The dead letters of the stages: one builder of the record on the topic, and its key."""

from __future__ import annotations

from streams.core.dead_letters import dead_letter as letter
from streams.core.dead_letters import kept_of, kept_row
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from streams.models.refusal import Refusal

REPORT = "this is a fault of the program: please report it with the record"
"""The hint where an operator can do nothing else."""

_OF_EVENTS = ("intake", "ledger")
"""Stages that read events. What they refuse may hold content; records of the others are Floorwatch's own."""


def letter_key(topic: str, partition: int, offset: int) -> bytes:
    """Return the key of the dead letter of a record. It names the record, so that a repeated letter can be recognised."""
    return f"{topic}|{partition}|{offset}".encode()


def dead_letter(stage: str, topic: str, partition: int, record: Record, refusal: Refusal) -> ProducerRecord:
    """Return the dead letter of a record, as the topic holds it.

    Args:
        stage: Who refuses it.
        topic: Full name of the topic it was read from.
        partition: Its partition there.
        record: What was refused.
        refusal: Why.
    """
    value = letter(
        stage,
        refusal,
        (kept_of if stage in _OF_EVENTS else kept_row)(record.value or b""),
        record.timestamp_ms,
        source_topic=topic,
        partition=partition,
        offset=record.offset,
    )
    return ProducerRecord(letter_key(topic, partition, record.offset), value)
