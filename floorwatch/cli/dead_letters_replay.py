"""``floorwatch dead-letters replay``: the records of chosen letters go to their raw topic again, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.analysis.dead_letters import Letter, LetterBox
    from floorwatch.settings.schema import FloorwatchConfig

MOST_LETTERS = 10_000
"""Replayed by one call: they are held in memory, a few kilobytes each."""

INTAKE = "intake"

_SEND_S = 60.0
_SHOWN = 20


class NotSent(Exception):
    """A record could not be sent again. Operator: the message says why; run the command again, nothing counts twice."""


@dataclass
class ReplayReport:
    """What came of the letters that were chosen.

    Attributes:
        sent: Keys of letters whose record was sent again.
        done: Letters that were sent again before.
        gone: Keys of letters whose record the broker no longer has.
        refused: Keys of letters whose record would be refused again, with the reason of now.
        others: Letters of other stages: there is no record that could be sent again.
    """

    sent: list[str] = field(default_factory=list)
    done: int = 0
    gone: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0


@dataclass(frozen=True)
class RawRecords:
    """What is sent of a letter: the record that was refused, or events that a mapping now makes of it.

    Attributes:
        letter: The letter.
        records: Key and value of each.
        place: Topic and partition of the record that was refused; None: the raw topic, by key.
    """

    letter: Letter
    records: tuple[tuple[bytes, bytes], ...]
    place: tuple[str, int] | None


async def replay(settings: FloorwatchConfig, box: LetterBox, journal: Path | None, *, dry_run: bool) -> ReplayReport:
    """Send the records of letters again that intake would accept now, and mark each letter once its record is durable.

    The mark comes after the record. Whoever is killed between the two leaves a record without a mark, and the next call sends it a
    second time: an event counts once by its source and id, so that changes nothing.

    Args:
        settings: Whose broker and limits.
        box: The letters chosen, and the marks.
        journal: Of an embedded stack, whose broker begins anew from there; None: straight to the broker.
        dry_run: Only look.

    Raises:
        NotSent: The broker or the journal did not take a record.
        aiokafka.errors.KafkaError: The broker cannot be read.
    """
    from floorwatch.cli.dead_letters_hooks import is_of_mapping

    report = ReplayReport()
    wanted: list[Letter] = []
    hooks: list[Letter] = []
    for one in box.newest():
        if one.key in box.replayed:
            report.done += 1
        elif is_of_mapping(one):
            hooks.append(one)
        elif one.stage != INTAKE or one.place is None:
            report.others += 1
        else:
            wanted.append(one)
    records = await _fetched(settings, wanted, report)
    records += _translated(settings, hooks, report)
    ready = [one for one in records if _acceptable(settings, one, report)]
    if dry_run:
        report.sent = [one.letter.key for one in ready]
        return report
    await _send(settings, ready, journal, report)
    return report


def _translated(settings: FloorwatchConfig, letters: Sequence[Letter], report: ReplayReport) -> list[RawRecords]:
    """Return what mappings now make of letters of hooks, oldest first."""
    from floorwatch.cli.dead_letters_hooks import records_again
    from gateway.sources.mapped.again import NotUnderstood

    found: list[RawRecords] = []
    for one in reversed(letters):
        try:
            found.append(RawRecords(one, tuple(records_again(settings, one)), None))
        except NotUnderstood as fault:
            report.refused.append((one.key, str(fault)))
    return found


async def _fetched(settings: FloorwatchConfig, letters: Sequence[Letter], report: ReplayReport) -> list[RawRecords]:
    """Return the records of letters, oldest first, as far as the broker still has them."""
    from floorwatch.replay.reader import NoLog, open_log
    from streams.adapters.clients import kafka_settings

    found: list[RawRecords] = []
    by_topic: dict[str, list[Letter]] = {}
    for one in reversed(letters):
        assert one.place is not None
        by_topic.setdefault(one.place[0], []).append(one)
    for topic, some in by_topic.items():
        try:
            async with open_log(kafka_settings(settings), topic) as log:
                for one in some:
                    assert one.place is not None
                    record = await log.record_at(one.place[1], one.place[2])
                    if record is None or record.value is None:
                        report.gone.append(one.key)
                    else:
                        found.append(RawRecords(one, ((record.key or b"", record.value),), one.place[:2]))
        except NoLog:
            report.gone += [one.key for one in some]
    return found


def _acceptable(settings: FloorwatchConfig, one: RawRecords, report: ReplayReport) -> bool:
    """Tell whether all events of a letter are acceptable; if not, the report says why."""
    for _, value in one.records:
        reason = _refusal(settings, value)
        if reason is not None:
            report.refused.append((one.letter.key, reason))
            return False
    return True


def _refusal(settings: FloorwatchConfig, value: bytes) -> str | None:
    """Return why an event would be refused; None where it meets the contract and today's limits.

    What else intake asks, it asks when it comes.
    """
    from config.events import event_limits
    from floorwatch.settings.policies import sla_classes_ms
    from streams.agents.arrival import wall_ms
    from streams.models.acceptance import Refusal, accept
    from streams.models.events import TaskCreated
    from streams.models.grants import has_proof

    if has_proof(value):
        return None
    engine = settings.engine
    future_ms = round(engine.future_tolerance_s * 1000)
    found = accept(value, wall_ms(), engine.max_event_bytes, future_ms, event_limits(settings.events))
    if isinstance(found, Refusal):
        return found.reason
    event = found[0]
    classes = sla_classes_ms(settings)
    if type(event) is TaskCreated and event.data.due_at is None and event.data.sla_class not in (None, *classes):
        return f"sla_class {event.data.sla_class} is none of targets.sla_classes"
    return None


async def _send(
    settings: FloorwatchConfig, ready: Sequence[RawRecords], journal: Path | None, report: ReplayReport
) -> None:
    """Send records, each with its mark after it; the report names those that were sent."""
    from aiokafka.errors import KafkaError

    from floorwatch.analysis.dead_letters import replay_mark
    from floorwatch.embedded.journal import JournalError, open_free_writer
    from streams.adapters.clients import started_producer
    from streams.adapters.topic_names import TopicNames
    from streams.engine.errors import Misconfigured
    from streams.models.kafka_error import said_by
    from streams.models.topics import DEAD_LETTERS, RAW

    if not ready:
        return
    names = TopicNames(settings.kafka.topic_prefix, settings.kafka.partitions)
    try:
        async with AsyncExitStack() as stack:
            producer = await started_producer(settings)
            stack.push_async_callback(producer.stop)
            writer = None if journal is None else await open_free_writer(journal, "dead-letters")
            if writer is not None:
                stack.push_async_callback(writer.stop)
            for one in ready:
                async with asyncio.timeout(_SEND_S):
                    if writer is not None:
                        await writer.publish(list(one.records))
                    for raw_key, value in one.records if writer is None else ():
                        topic, partition = one.place or (names.name(RAW), names.partition_of(raw_key))
                        await producer.send_and_wait(topic, value, key=raw_key or None, partition=partition)
                    key = replay_mark(one.letter.key)
                    place = names.partition_of(key)
                    await producer.send_and_wait(names.name(DEAD_LETTERS), None, key=key, partition=place)
                report.sent.append(one.letter.key)
    except (KafkaError, Misconfigured, OSError, TimeoutError, JournalError) as error:
        sent = plural(len(report.sent), "record")
        raise NotSent(f"{said_by(error)}; {sent} sent again before that") from None


def report_lines(report: ReplayReport, *, dry_run: bool) -> list[str]:
    """Return what came of a replay, in plain sentences."""
    lines = ["Nothing was sent again."]
    if report.sent:
        lines = [f"{len(report.sent):,} {'would be sent again' if dry_run else 'sent again'}."]
    if report.done:
        lines.append(f"{_were(report.done)} sent again before.")
    if report.refused:
        lines.append(f"{len(report.refused):,} would be refused again:")
        lines += [f"    {key}: {reason}" for key, reason in report.refused[:_SHOWN]]
    if report.gone:
        lines.append(f"{_is(len(report.gone))} no longer on the broker.")
    if report.others:
        lines.append(
            f"{_is(report.others)} of another stage than intake: of a webhook its tool must send it again (a mapped tool's item "
            "stands in its first letter); what the ledger refused is on the log already."
        )
    return lines


def _is(count: int) -> str:
    return f"{count:,} {'is' if count == 1 else 'are'}"


def _were(count: int) -> str:
    return f"{count:,} {'was' if count == 1 else 'were'}"
