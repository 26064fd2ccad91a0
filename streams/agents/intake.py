"""Intake: reads raw topics and writes the log of events. What is not an event goes to the dead letters with its reason."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zlib import crc32

import msgspec
from msgspec import UNSET

from streams.adapters.source_counts import SourceTally
from streams.adapters.topic_names import TopicNames
from streams.agents.arrival import arrival_ms, refused_before, wall_ms
from streams.agents.dead_letters import REPORT, dead_letter
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record, told
from streams.engine.log import Entry, LogReader, LogWriter, ProducerRecord
from streams.models import topics
from streams.models.acceptance import accept, accept_plain, latest_time, surely_plain
from streams.models.events import AuditCompleted, TaskCreated, encode_event
from streams.models.grants import UNPROVEN, SenderGrant, has_proof, opened, stamped
from streams.models.refusal import Refusal
from streams.models.sampling_plan import NO_PLAN, SamplingPlan, with_sampling
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

log = logging.getLogger(__name__)


_LOOKED_THROUGH = 64
"""Records that are scanned together for unusual characters. If one has any, all of them take half a microsecond
longer."""


@dataclass(frozen=True)
class IntakePolicy:
    """What intake refuses and resolves.

    Attributes:
        max_event_bytes: Larger events are refused.
        future_ms: An event dated further than this after its arrival is refused.
        trust_record_time: Where the broker has not stamped a record that has the shipper's mark, take its own time as its
            arrival.
        sla_classes_ms: Time from creation to due by SLA class.
        limits: How far an event's times may be from its own.
        grants: By topic, what may come from it without a proof of the gateway. A topic that is not named allows
            everything.
        grant_keys: Keys with which the gateway signs a sender's grant.
        sampling: What is said of audits that name no probability.
    """

    max_event_bytes: int = 1_048_576
    future_ms: int = 300_000
    trust_record_time: bool = False
    sla_classes_ms: dict[str, int] | None = None
    limits: EventLimits = DEFAULT_LIMITS
    grants: Mapping[str, SenderGrant] = field(default_factory=dict)
    grant_keys: tuple[bytes, ...] = ()
    sampling: SamplingPlan = NO_PLAN


class Intake:
    """One partition of one raw topic. It keeps no state: a replay repeats events, which the ledger ignores.

    Events on the log carry the time of their arrival as record time, also where the broker does not stamp them.
    """

    dense = False

    def __init__(
        self,
        source: str,
        partition: int,
        out: TopicNames,
        writer: LogWriter,
        reader: LogReader,
        policy: IntakePolicy,
        meter: Any,
        *,
        now_ms: Callable[[], int] = wall_ms,
        tally: SourceTally | None = None,
    ) -> None:
        """Read one partition of a raw topic.

        Args:
            source: Full name of the raw topic.
            partition: The partition.
            out: Topic names.
            writer: Appends events and dead letters.
            reader: Reads earlier dead letters.
            policy: What is refused.
            meter: Where counts go.
            now_ms: The clock, Unix milliseconds, for records whose time is what their sender says.
            tally: Where accepted events are counted by source; None: they are not.
        """
        self.next: int | None = None
        self._reader, self._now_ms, self._tally = reader, now_ms, tally
        self._refused: frozenset[int] | None = None
        self._held: list[tuple[int, int, Entry]] = []
        self._source, self._partition = source, partition
        self._out, self._writer, self._policy, self._meter = out, writer, policy, meter
        self._events: dict[int, list[Entry]] = defaultdict(list)
        self._dead: list[ProducerRecord] = []
        # A raw topic that Floorwatch did not create may have more partitions.
        self._dead_partition = partition % out.partitions
        self._flushed: int | None = None
        self._grant = policy.grants.get(source)
        # Audits also where the configuration says nothing: a mark that no gateway writes is taken off.
        self._filled_in: set[type] = {AuditCompleted, TaskCreated} if policy.sla_classes_ms else {AuditCompleted}

    async def recover(self) -> None:
        """Nothing to recover."""

    async def close(self) -> None:
        """Nothing to drop."""

    def fold(self, records: list[Record]) -> None:
        """Sort records into events and dead letters."""
        self.next = records[-1].offset + 1
        if self._refused:
            records = [record for record in records if record.offset not in self._refused]
        now_ms = self._now_ms()
        for record in records:
            if record.sender_time:
                trusted = record.marked and self._policy.trust_record_time
                record.timestamp_ms = arrival_ms(record.timestamp_ms, now_ms, trusted=trusted)
        for begin in range(0, len(records), _LOOKED_THROUGH):
            self._fold_some(records[begin : begin + _LOOKED_THROUGH])

    def _fold_some(self, records: list[Record]) -> None:
        """Sort a few records after one scan of all of them for those that need a full check."""
        policy, events, partitions = self._policy, self._events, self._out.partitions
        most, limits, keys = policy.max_event_bytes, policy.limits, policy.grant_keys
        values = [record.value or b"" for record in records]
        plain = self._grant is None and surely_plain(b"\n".join(values))
        sources: list[str] = []
        latest = latest_time(min([record.timestamp_ms for record in records]) + policy.future_ms)
        for record, raw in zip(records, values, strict=True):
            value, event = raw, None
            try:
                if plain and not (keys and has_proof(raw)):
                    event = accept_plain(raw, latest, most, limits)
                if event is None or event.floorwatchgrant is not UNSET:
                    found = self._accepted(raw, record.timestamp_ms)
                    if isinstance(found, Refusal):
                        self._refuse(record, found)
                        continue
                    event, value = found
                if type(event) in self._filled_in:
                    full = self._filled(event)
                    if isinstance(full, Refusal):
                        self._refuse(record, full)
                        continue
                    value = value if full is event else encode_event(full)
                key = event.subject.encode()
                sources.append(event.source)
            except CONTENT_ERRORS as error:
                self._set_aside(record, error)
                continue
            # The same as streams.models.topics.partition_of, written out because the calls would double the cost of
            # this loop.
            partition, entry = crc32(key) % partitions, (key, value, record.timestamp_ms)
            if self._held or (record.sender_time and self._refused is None):
                self._held.append((record.offset, partition, entry))
            else:
                events[partition].append(entry)
        if sources and self._tally is not None:
            self._tally.add(sources, records[-1].timestamp_ms)

    def _accepted(self, raw: bytes, arrived_ms: int) -> tuple[Any, bytes] | Refusal:
        """Return an event and its bytes for the log, with the grant it has, or why it is refused."""
        policy = self._policy
        proven = has_proof(raw)
        unsealed = opened(raw, policy.grant_keys) if proven else raw
        if unsealed is None:
            return _UNPROVEN
        found = accept(unsealed, arrived_ms, policy.max_event_bytes, policy.future_ms, policy.limits)
        return found if proven or isinstance(found, Refusal) else _bound(*found, self._grant)

    def _filled(self, event: Any) -> Any:
        """Return an event with what the configuration says of it, which stays on the log; or a refusal."""
        if type(event) is AuditCompleted:
            return with_sampling(event, self._policy.sampling, first=False)
        data, classes = event.data, self._policy.sla_classes_ms or {}
        if data.due_at is not None or not data.sla_class:
            return event
        allowed_ms = classes.get(data.sla_class)
        if allowed_ms is None:
            return _unknown_class(data.sla_class, classes)
        due_at = event.time + timedelta(milliseconds=allowed_ms)
        return msgspec.structs.replace(event, data=msgspec.structs.replace(data, due_at=due_at))

    def _refuse(self, record: Record, refusal: Refusal) -> None:
        self._meter.dead_letter("intake", refusal.code)
        self._dead.append(dead_letter("intake", self._source, self._partition, record, refusal))

    def _set_aside(self, record: Record, error: Exception) -> None:
        """Refuse a record that could not be checked, so that the records after it can be."""
        source = f"{self._source}[{self._partition}]"
        log.error("%s offset %d set aside: %s", source, record.offset, told(error), exc_info=error)
        self._meter.set_aside("intake")
        self._refuse(record, Refusal(CANNOT_PROCESS, None, f"the record could not be checked ({told(error)})", REPORT))

    async def flush(self) -> int | None:
        """Write what was folded; the offset to commit."""
        if self.next is None or self.next == self._flushed:
            return None
        upto, events, dead, held = self.next, self._events, self._dead, self._held
        self._events, self._dead, self._held = defaultdict(list), [], []
        if held:
            for partition, entry in await self._not_refused(held):
                events[partition].append(entry)
        log = self._out.name(topics.EVENTS)
        await asyncio.gather(*(self._writer.append(log, partition, sent) for partition, sent in events.items()))
        if dead:
            await self._writer.append(self._out.name(topics.DEAD_LETTERS), self._dead_partition, dead)
        self._flushed = upto
        return upto

    async def _not_refused(self, held: list[tuple[int, int, Entry]]) -> list[tuple[int, Entry]]:
        """Return the events that no earlier run has refused by the clock. Earlier dead letters are read once."""
        if self._refused is None:
            letters = (self._out.name(topics.DEAD_LETTERS), self._dead_partition)
            self._refused = await refused_before(self._reader, letters, (self._source, self._partition), held[0][0])
        return [(partition, entry) for offset, partition, entry in held if offset not in self._refused]


_UNPROVEN = Refusal(
    code=UNPROVEN,
    field="$.floorwatchproof",
    reason="the proof of the sender's grant was not made with gateway.grant_key, so its rights are unknown",
    hint="give gateway and workers the same gateway.grant_key (the former one as old_grant_key); senders write no proof",
)


def _bound(event: Any, value: bytes, grant: SenderGrant | None) -> Refusal | tuple[Any, bytes]:
    """Return an accepted event with the grant of its topic, or why the topic does not allow it. A grant in the event is ignored."""
    refusal = None if grant is None else grant.refusal(event)
    if refusal is not None:
        return refusal
    bound = stamped(event, "") if grant is None else grant.marked(event)
    return (event, value) if bound is event else (bound, encode_event(bound))


def _unknown_class(name: str, classes: dict[str, int]) -> Refusal:
    return Refusal(
        code="unknown_sla_class",
        field="$.data.sla_class",
        reason=f"sla_class {name!r} is not configured",
        hint=f"send due_at, or one of {', '.join(sorted(classes))}, or add the class under targets.sla_classes",
    )
