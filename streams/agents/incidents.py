"""Incidents stage: folds signals, operator actions and ticks into incidents, messages and requests for audits.

All come on one log, so a replay gives the same incidents and the same messages after any crash. One partition of it has all
alerts, because incidents are told together and one may speak for another; the other partitions only hand on what earlier
versions, or a command of one, have written to them. The owner appends a tick every few seconds while an incident is not over.
Whom something is told, when, and the end of a silence are decided at the offset of a tick, after every action sent before it.

A flush writes what was decided (notices.v1), then the incidents, and only then fills the outbox. A crash between two of these is
mended by the replay: the decisions are read back and carried out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from alerts.append import ALERTS_KEY
from alerts.audit_requests import AuditRequest, encode_request, request_key
from alerts.codec import (
    Input,
    decode_incident,
    decode_input,
    encode_group,
    encode_incident,
    encode_input,
)
from alerts.incident import (
    HIDDEN,
    PENDING,
    Incident,
    Notify,
    Stamp,
    Tick,
)
from alerts.lifecycle import IncidentPolicy
from alerts.oncall.kept import PLANS, SHOWN
from alerts.outbox import Outbox
from alerts.outgoing import Notification, notification
from alerts.receipts import ReceiptBook
from alerts.routing.policy import RoutingPolicy
from alerts.rules import Rule
from alerts.text import title_of
from streams.adapters.redis_retry import RedisRetry
from streams.adapters.topic_names import TopicNames
from streams.agents.dead_letters import REPORT, dead_letter
from streams.agents.incident_state import DONE, PLAN, IncidentState, PendingWrites
from streams.agents.notice_delivery import NoticeDelivery, take
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record, told
from streams.engine.log import LogReader, LogWriter, ProducerRecord
from streams.models import topics
from streams.models.refusal import Refusal

log = logging.getLogger(__name__)

TICK_KEY = b"tick"

Keep = Callable[[int | None, int | None], Awaitable[None]]
"""Keeps what a flush has written somewhere else too, before anybody is told. Takes the next offset of the log of signals, and the
watermark of the last evaluation of the rules that was folded before it."""
_SHOWN_AT_ONCE = 500
TICK_MS = 5_000
PLANS_MS = 10_000
"""How often Redis is asked whether it still has what people plan."""
TICK_MS_PER_INCIDENT = 5
"""A tick costs about 10 microseconds for each incident that is not over. With thousands of them, ticks come less
often."""


class IncidentsStage:
    """One partition of the signals; its state, the last incident of each rule and scope, is read from incidents.v1."""

    dense = False

    def __init__(
        self,
        partition: int,
        rules: tuple[Rule, ...],
        out: TopicNames,
        writer: LogWriter,
        reader: LogReader,
        redis: Any,
        redis_prefix: str,
        outbox: Outbox,
        base: IncidentPolicy | None = None,
        routing: RoutingPolicy | None = None,
        others: Mapping[str, IncidentPolicy] | None = None,
        redis_retry: RedisRetry | None = None,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
        meter: Any = None,
        keep: Keep | None = None,
    ) -> None:
        """Own partition ``partition`` of the signals.

        ``routing`` says who is told, ``others`` how incidents about the stream live;
        ``redis_retry`` says how to wait for Redis, ``clock`` the time in ms, ``meter`` takes counts, ``keep`` is called in each flush.
        """
        self._keep = keep
        self._meter = meter
        self.next: int | None = None
        self._partition = partition
        self._alerts = out.partition_of(ALERTS_KEY)
        self._out, self._writer, self._reader = out, writer, reader
        self._redis, self._key, self._pending_key = redis, f"{redis_prefix}incidents", f"{redis_prefix}{PENDING}"
        self._plans_key, self._plans_shown, self._plans_ms = f"{redis_prefix}{PLANS}", False, -PLANS_MS
        self._outbox = outbox
        self._redis_retry = redis_retry or RedisRetry()
        self._begin = partial(IncidentState, partition, rules, base, routing, self._refused, others)
        self._state = self._begin()
        self._flushed: int | None = None
        self._clock = clock
        self._ticked_ms, self._pause_ms = clock(), TICK_MS
        self._delivery = NoticeDelivery(self._alerts, out, writer, reader, outbox, self._redis_retry)

    async def recover(self) -> None:
        """Read back incidents, what was told, and which requests for audits stand.

        The partition of all alerts also takes over what another partition holds, which earlier versions, or another number
        of partitions, have left there.
        """
        if self._partition != self._alerts:
            return
        others = [number for number in range(self._out.partitions) if number != self._partition]
        for number in (self._partition, *others):
            async for key, value, offset in self._read(topics.INCIDENTS, number):
                with self._setting_aside(topics.INCIDENTS, offset, key, value):
                    self._state.take(decode_incident(value), number)
            async for key, held, offset in self._read_all(topics.NOTICES, number):
                with self._setting_aside(topics.NOTICES, offset, key, held):
                    self._take_notice(key, held, number)
            async for key, value, offset in self._read(topics.AUDIT_REQUESTS, number):
                with self._setting_aside(topics.AUDIT_REQUESTS, offset, key, value):
                    self._state.take_request(value)
        self._state.adopt(self._clock())

    def _take_notice(self, key: bytes, value: bytes | None, partition: int) -> None:
        """Take a record of notices.v1. Of other partitions, messages and receipts were of another number of partitions."""
        book = self._state.receipts if partition == self._partition else ReceiptBook()
        if not take(book, key, value) and value is not None:
            self._state.take_told(key, value, partition)

    async def _read(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes, int]]:
        async for key, value, offset in self._read_all(topic, partition):
            if value is not None:
                yield key, value, offset

    async def _read_all(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes | None, int]]:
        """Yield key, value (None: it was removed) and offset of each record."""
        async for records in self._reader.read(self._out.name(topic), partition):
            for offset, key, value in records:
                yield key, value, offset

    @contextmanager
    def _setting_aside(self, topic: str, offset: int, key: bytes | None, value: bytes | None) -> Iterator[None]:
        try:
            yield
        except CONTENT_ERRORS as error:
            self._unreadable(topic, offset, key, value, error)

    def _unreadable(self, topic: str, offset: int, key: bytes | None, value: bytes | None, error: Exception) -> None:
        """Set aside a record, so that the others can be processed. The next flush writes a dead letter for it."""
        name = self._out.name(topic)
        log.error("%s[%d] offset %d set aside: %s", name, self._partition, offset, told(error), exc_info=error)
        if self._meter is not None:
            self._meter.set_aside("incidents")
        refusal = Refusal(CANNOT_PROCESS, None, f"the record could not be processed ({told(error)})", REPORT)
        record = Record(offset, 0, key, value)
        self._state.waiting.aside.append(dead_letter("incidents", name, self._partition, record, refusal))

    def _refused(self, offset: int, key: bytes, error: Exception) -> None:
        self._unreadable(topics.SIGNALS, offset, key, None, error)

    async def close(self) -> None:
        """Drop the state."""
        self._state = self._begin()

    def live(self) -> list[Incident]:
        """Return the incidents of this partition that are not over."""
        return self._state.live()

    def known_since(self, at_ms: int) -> list[Incident]:
        """Return the incidents that are not over, and those of which somebody was told since a wall time."""
        return self._state.known_since(at_ms)

    @property
    def taken_in_ms(self) -> int | None:
        """Wall time of the last tick that was folded, None before the first."""
        return self._state.ticked_ms

    @property
    def has_alerts(self) -> bool:
        """Whether this is the partition of all alerts."""
        return self._partition == self._alerts

    def fold(self, records: list[Record]) -> None:
        """Step the incidents that each record is about."""
        for record in records:
            self.next = record.offset + 1
            try:
                given = decode_input(record.value or b"")
                if self._partition != self._alerts:
                    self._hand_on(given, record)
                else:
                    self._state.fold(given, Stamp(self._partition, record.offset))
            except CONTENT_ERRORS as error:
                self._unreadable(topics.SIGNALS, record.offset, record.key, record.value, error)

    def _hand_on(self, given: Input, record: Record) -> None:
        """Keep an input for the partition of all alerts. Ticks of a partition that has no incidents mean nothing."""
        if not isinstance(given, Tick):
            self._state.waiting.forward.append(ProducerRecord(ALERTS_KEY, record.value))

    async def flush(self) -> int | None:
        """Write what was decided, then incidents and requests for audits, then fill the outbox; the offset to commit."""
        waiting, self._state.waiting = self._state.waiting, PendingWrites()
        receipts, upto, watermark_ms = self._state.receipts.changes(), self.next, self._state.watermark_ms
        await self._write_down(waiting)
        notes = await self._delivery.write(
            self._state.receipts, filter(None, map(self._made, waiting.notify)), receipts
        )
        changed = waiting.show | waiting.publish
        encoded = self._encoded(changed)
        await self._publish({key: encoded[key] for key in waiting.publish if key in encoded})
        for key, partition in waiting.gone.values():
            await self._writer.append(self._out.name(topics.INCIDENTS), partition, [ProducerRecord(key.encode(), None)])
        if waiting.ask:
            await self._ask(waiting.ask)
        if self._keep is not None and self._partition == self._alerts:
            await self._keep(upto, watermark_ms)
        await self._delivery.enqueue(notes, receipts.sent)
        if self._partition == self._alerts:
            await self._delivery.fill(self._state.receipts)
        await self._show_plans(waiting.show_plans)
        await self._show({key: value for key, value in encoded.items() if changed[key].state not in HIDDEN})
        await self._show_pending({key: encoded[key] for key in encoded if self._is_pending(changed[key])}, changed)
        if waiting.rebuild:
            await self._rebuild()
        if aside := waiting.aside + self._state.waiting.aside:
            self._state.waiting.aside = []
            await self._writer.append(self._out.name(topics.DEAD_LETTERS), self._partition, aside)
        await self._tick_when_due()
        if upto is None or upto == self._flushed:
            return None
        self._flushed = upto
        return upto

    async def _rebuild(self) -> None:
        """Fill a Redis that was lost: the outbox, and the incidents that people see. A tick of the log has asked for it."""
        if not await self._delivery.lost():
            return
        await self._show_again()
        await self._delivery.rebuild(self._state.receipts, self._state.known_since(0))

    async def _show_again(self) -> None:
        """Write to Redis all incidents of the log; those that are held come with the next flush, as they are now."""
        shown: dict[str, bytes] = {}
        async for key, value, offset in self._read(topics.INCIDENTS, self._partition):
            with self._setting_aside(topics.INCIDENTS, offset, key, value):
                if decode_incident(value).state not in HIDDEN:
                    shown[key.decode()] = value
            if len(shown) >= _SHOWN_AT_ONCE:
                await self._show(shown)
                shown = {}
        await self._show(shown)
        self._state.show_again()

    async def _write_down(self, waiting: PendingWrites) -> None:
        """Write what was decided and planned, and hand on what belongs elsewhere.

        Groups in the order in which a tick tells them, so that a replay after a death amid them notes who was told in that order too.
        """
        records = [ProducerRecord(key.encode(), encode_group(group)) for key, group in sorted(waiting.groups.items())]
        records += [ProducerRecord(f"{PLAN}{key}".encode(), value) for key, value in waiting.plans.items()]
        records += [ProducerRecord(f"{DONE}{name}".encode(), value) for name, value in waiting.done.items()]
        if records:
            await self._writer.append(self._out.name(topics.NOTICES), self._partition, records)
        if waiting.forward:
            await self._writer.append(self._out.name(topics.SIGNALS), self._alerts, waiting.forward)

    def _made(self, effect: Notify) -> Notification | None:
        """Return the notification of an effect. If its text cannot be made, log that and return None."""
        try:
            return notification(effect)
        except CONTENT_ERRORS as error:
            self._state.receipts.drop(effect.id)
            self._unreadable(topics.INCIDENTS, -1, effect.incident.key.encode(), None, error)
            return None

    def _encoded(self, incidents: dict[str, Incident]) -> dict[str, bytes]:
        """Return incidents as JSON. One that cannot be encoded is logged and left out."""
        encoded = {}
        for key, incident in incidents.items():
            try:
                encoded[key] = encode_incident(incident, title_of(incident))
            except CONTENT_ERRORS as error:
                self._unreadable(topics.INCIDENTS, -1, key.encode(), None, error)
        return encoded

    async def _tick_when_due(self) -> None:
        """Append a tick where an incident waits for one, or where the outbox is to be filled from the log."""
        now_ms = self._clock()
        if 0 <= now_ms - self._ticked_ms < self._pause_ms:
            return
        timed = len(self._state.timed())
        self._ticked_ms, self._pause_ms = now_ms, max(TICK_MS, TICK_MS_PER_INCIDENT * timed)
        lost = self._partition == self._alerts and await self._delivery.lost()
        if timed or lost:
            tick = ProducerRecord(TICK_KEY, encode_input(Tick(now_ms, self._state.watermark_ms, lost)))
            await self._writer.append(self._out.name(topics.SIGNALS), self._partition, [tick])

    async def _publish(self, incidents: dict[str, bytes]) -> None:
        if records := [ProducerRecord(key.encode(), value) for key, value in incidents.items()]:
            await self._writer.append(self._out.name(topics.INCIDENTS), self._partition, records)

    async def _show(self, incidents: dict[str, bytes]) -> None:
        """Write to Redis the incidents that people may see."""
        if incidents:
            await self._redis_retry.until_done("take incidents", lambda: self._redis.hset(self._key, mapping=incidents))

    async def _show_plans(self, changed: dict[str, bytes | None]) -> None:
        """Write to Redis what people plan: what changed; all of it with the first flush, and where Redis was emptied."""
        now_ms = self._clock()
        if self._partition != self._alerts or (not changed and 0 <= now_ms - self._plans_ms < PLANS_MS):
            return
        await self._redis_retry.until_done("take plans", partial(self._write_plans, changed))
        self._plans_ms = now_ms

    async def _write_plans(self, changed: dict[str, bytes | None]) -> None:
        if await self._redis.hset(self._plans_key, SHOWN, b"") or not self._plans_shown:
            await self._redis.delete(self._plans_key)
            await self._redis.hset(self._plans_key, mapping={SHOWN: b"", **self._state.plans()})
            self._plans_shown = True
            return
        if shown := {key: value for key, value in changed.items() if value is not None}:
            await self._redis.hset(self._plans_key, mapping=shown)
        if gone := [key for key, value in changed.items() if value is None]:
            await self._redis.hdel(self._plans_key, *gone)

    def _is_pending(self, incident: Incident) -> bool:
        return incident.pending and self._state.has_rule(incident.rule)

    async def _show_pending(self, pending: dict[str, bytes], changed: dict[str, Incident]) -> None:
        """Write to Redis the incidents that may open with the next evaluation, and remove those that are that no more.

        After a restart all of this partition are among those that changed, so what the worker before has left there is corrected.
        """
        over = [key for key in changed if key not in pending]
        if pending:
            await self._redis_retry.until_done(
                "take pending incidents", lambda: self._redis.hset(self._pending_key, mapping=pending)
            )
        if over:
            await self._redis_retry.until_done(
                "take pending incidents", lambda: self._redis.hdel(self._pending_key, *over)
            )

    async def _ask(self, requests: list[AuditRequest]) -> None:
        """Write requests for audits, before the signals that made them are committed.

        If the worker is killed in between, the next owner reads these requests and does not make them again.
        """
        records = [
            ProducerRecord(request_key(made.made_by.rule, made.made_by.scope_key).encode(), encode_request(made))
            for made in requests
        ]
        await self._writer.append(self._out.name(topics.AUDIT_REQUESTS), self._partition, records)
