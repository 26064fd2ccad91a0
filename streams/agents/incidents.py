"""Incidents stage: folds signals, operator actions and ticks into incidents, messages and requests for audits.

All three come on one log, so a replay gives the same incidents and the same messages after any crash. While an incident
is not over, the owner of a partition appends a tick every few seconds. Escalation, group wait and the end of a silence
happen at the offset of the tick, after every action sent before it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec import structs

from alerts.audit_requests import AuditRequest, LastRequest, decode_standing, encode_request, request_key, standing
from alerts.audit_requests import step as ask_for_audits
from alerts.codec import Input, decode_incident, decode_input, encode_incident, encode_input
from alerts.incident import HIDDEN, PENDING, Ack, Act, Incident, Notify, Publish, Silence, Stamp, Tick, older_form
from alerts.lifecycle import IncidentPolicy, inhibit, inhibited_by, policy_of, step
from alerts.outbox import Outbox
from alerts.outgoing import Notification, notification
from alerts.rules import Rule
from alerts.signals import Signal
from alerts.text import title_of
from streams.adapters.redis_retry import RedisRetry
from streams.adapters.topic_names import TopicNames
from streams.agents.dead_letters import REPORT, dead_letter
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record, told
from streams.engine.log import LogReader, LogWriter, ProducerRecord
from streams.models import topics
from streams.models.refusal import Refusal

log = logging.getLogger(__name__)

TICK_KEY = b"tick"
TICK_MS = 5_000
TICK_MS_PER_INCIDENT = 5
"""A tick costs about 10 microseconds for each incident that is not over. With thousands of them, ticks come less
often."""

_NO_RULE = IncidentPolicy()
"""For an incident whose rule is no longer configured: only time can end it."""


@dataclass
class _Waiting:
    """Effects of what was folded, carried out at the next flush: notifications first, then incidents and requests.

    ``show`` are incidents that the log holds and Redis may not.
    """

    notify: list[Notify] = field(default_factory=list)
    publish: dict[str, Incident] = field(default_factory=dict)
    show: dict[str, Incident] = field(default_factory=dict)
    ask: list[AuditRequest] = field(default_factory=list)
    aside: list[ProducerRecord] = field(default_factory=list)


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
        redis_retry: RedisRetry | None = None,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
        meter: Any = None,
    ) -> None:
        """Own partition ``partition`` of the signals.

        ``redis_retry`` says how to wait for Redis, ``clock`` the time in ms, ``meter`` takes counts.
        """
        self._meter = meter
        self.next: int | None = None
        self._partition = partition
        self._policies = {rule.name: policy_of(rule, base) for rule in rules}
        self._out, self._writer, self._reader = out, writer, reader
        self._redis, self._key, self._pending_key = redis, f"{redis_prefix}incidents", f"{redis_prefix}{PENDING}"
        self._outbox = outbox
        self._redis_retry = redis_retry or RedisRetry()
        self._incidents: dict[tuple[str, str], Incident] = {}
        self._standing: dict[tuple[str, str], LastRequest] = {}
        self._waiting = _Waiting()
        self._flushed: int | None = None
        self._clock = clock
        self._watermark_ms: int | None = None
        self._ticked_ms, self._pause_ms = clock(), TICK_MS

    async def recover(self) -> None:
        """Read back the incidents of this partition, and which requests for audits stand."""
        async for records in self._reader.read(self._out.name(topics.INCIDENTS), self._partition):
            for offset, key, value in records:
                try:
                    if value is not None:
                        self._take(decode_incident(value))
                except CONTENT_ERRORS as error:
                    self._unreadable(topics.INCIDENTS, offset, key, value, error)
        async for records in self._reader.read(self._out.name(topics.AUDIT_REQUESTS), self._partition):
            for offset, key, value in records:
                try:
                    request = None if value is None else decode_standing(value)
                    if request is not None:
                        rule, scope_key, held = request
                        self._standing[rule, scope_key] = held
                except CONTENT_ERRORS as error:
                    self._unreadable(topics.AUDIT_REQUESTS, offset, key, value, error)

    def _unreadable(self, topic: str, offset: int, key: bytes | None, value: bytes | None, error: Exception) -> None:
        """Set aside a record, so that the others can be processed. The next flush writes a dead letter for it."""
        name = self._out.name(topic)
        log.error("%s[%d] offset %d set aside: %s", name, self._partition, offset, told(error), exc_info=error)
        if self._meter is not None:
            self._meter.set_aside("incidents")
        refusal = Refusal(CANNOT_PROCESS, None, f"the record could not be processed ({told(error)})", REPORT)
        record = Record(offset, 0, key, value)
        self._waiting.aside.append(dead_letter("incidents", name, self._partition, record, refusal))

    def _take(self, incident: Incident) -> None:
        """Keep the newest state of an incident on the log. A worker that stalled may have written an older one after it.

        Then the newest is written again, because compaction keeps the last record.
        """
        newest = self._waiting.show.get(incident.key)
        if newest is None or _age(incident) >= _age(newest):
            self._waiting.show[incident.key] = incident
            self._waiting.publish.pop(incident.key, None)
        else:
            self._waiting.publish[incident.key] = newest
        if _age(incident) >= _age(self._incidents.get((incident.rule, incident.scope_key))):
            self._incidents[incident.rule, incident.scope_key] = incident

    async def close(self) -> None:
        """Drop the state."""
        self._incidents.clear()
        self._standing.clear()

    def live(self) -> list[Incident]:
        """Return the incidents of this partition that are not over."""
        return [incident for incident in list(self._incidents.values()) if incident.live]

    def _timed(self) -> list[Incident]:
        """Return the incidents that time alone can change."""
        return [held for held in self._incidents.values() if held.live or held.silenced_until_ms is not None]

    def fold(self, records: list[Record]) -> None:
        """Step the incidents that each record is about."""
        for record in records:
            self.next = record.offset + 1
            try:
                self._fold_one(decode_input(record.value or b""), Stamp(self._partition, record.offset))
            except CONTENT_ERRORS as error:
                self._unreadable(topics.SIGNALS, record.offset, record.key, record.value, error)

    def _fold_one(self, given: Input, stamp: Stamp) -> None:
        match given:
            case Signal():
                self._on_signal(given, stamp)
            case Tick():
                self._on_tick(given, stamp)
            case Ack() | Silence():
                self._on_action(given, stamp)
            case Act():
                if (action := older_form(given)) is not None:
                    self._on_action(action, stamp)
            case _:
                # Set aside, so that it can be put again once a release acts on it.
                raise ValueError(f"this release does not act on {type(given).__name__.lower()} records")

    def _on_signal(self, signal: Signal, stamp: Stamp) -> None:
        policy = self._policies.get(signal.rule)
        if policy is None:
            return
        key = (signal.rule, signal.scope_key)
        request = ask_for_audits(self._standing.get(key), signal)
        inhibited = inhibited_by(signal.scope, signal.kind, self._incidents.values())
        self._step(self._incidents.get(key), signal, policy, stamp, inhibited=inhibited)
        if request is not None:
            self._standing[key] = standing(request)
            self._waiting.ask.append(request)

    def _on_action(self, act: Ack | Silence, stamp: Stamp) -> None:
        for held in self._incidents.values():
            if held.key == act.key:
                self._step(held, act, self._policies.get(held.rule, _NO_RULE), stamp)
                return
        log.warning("signals[%d] offset %d: no incident %s to act on", self._partition, stamp.offset, act.key)

    def _on_tick(self, tick: Tick, stamp: Stamp) -> None:
        if tick.watermark_ms is not None:
            self._watermark_ms = max(tick.watermark_ms, self._watermark_ms or 0)
        spoken_for = inhibit(self._incidents.values())
        for held in self._timed():
            policy = self._policies.get(held.rule, _NO_RULE)
            try:
                self._step(held, tick, policy, stamp, inhibited=held.key in spoken_for)
            except CONTENT_ERRORS as error:  # ticks still apply to all other incidents
                self._unreadable(topics.SIGNALS, stamp.offset, held.key.encode(), None, error)

    def _step(
        self,
        held: Incident | None,
        given: Signal | Ack | Silence | Tick,
        policy: IncidentPolicy,
        stamp: Stamp,
        *,
        inhibited: bool = False,
    ) -> None:
        after, effects = step(held, given, policy, stamp=stamp, inhibited=inhibited)
        if after is None:
            return
        self._incidents[after.rule, after.scope_key] = after
        if held is None or structs.replace(after, stamp=held.stamp) != held:
            # Every change is written, also one that nobody sees, because the next owner goes on from it: the firings
            # until it opens, the quiet signals until it resolves (alerts/signal_filter.py sends only as many as
            # needed), the time until it escalates.
            self._waiting.publish[after.key] = after
        for effect in effects:
            if isinstance(effect, Publish):
                self._waiting.publish[effect.incident.key] = effect.incident
            else:
                self._waiting.notify.append(effect)

    async def flush(self) -> int | None:
        """Enqueue notifications, then write incidents and requests for audits; the offset to commit."""
        waiting, self._waiting = self._waiting, _Waiting()
        upto = self.next
        notes = [note for effect in waiting.notify if (note := self._made(effect)) is not None]
        for note in notes:
            # The outbox knows a notification by its id, so it is enqueued only once.
            await self._redis_retry.until_done("take notifications", partial(self._outbox.enqueue, note))
        changed = waiting.show | waiting.publish
        encoded = self._encoded(changed)
        await self._publish({key: encoded[key] for key in waiting.publish if key in encoded})
        await self._show({key: value for key, value in encoded.items() if changed[key].state not in HIDDEN})
        await self._show_pending({key: encoded[key] for key in encoded if self._is_pending(changed[key])}, changed)
        if waiting.ask:
            await self._ask(waiting.ask)
        if aside := waiting.aside + self._waiting.aside:
            self._waiting.aside = []
            await self._writer.append(self._out.name(topics.DEAD_LETTERS), self._partition, aside)
        await self._tick_when_due()
        if upto is None or upto == self._flushed:
            return None
        self._flushed = upto
        return upto

    def _made(self, effect: Notify) -> Notification | None:
        """Return the notification of an effect. If its text cannot be made, log that and return None."""
        try:
            return notification(effect)
        except CONTENT_ERRORS as error:
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
        """Append a tick where an incident waits for one."""
        now_ms = self._clock()
        if 0 <= now_ms - self._ticked_ms < self._pause_ms:
            return
        timed = len(self._timed())
        self._ticked_ms, self._pause_ms = now_ms, max(TICK_MS, TICK_MS_PER_INCIDENT * timed)
        if timed:
            tick = ProducerRecord(TICK_KEY, encode_input(Tick(now_ms, self._watermark_ms)))
            await self._writer.append(self._out.name(topics.SIGNALS), self._partition, [tick])

    async def _publish(self, incidents: dict[str, bytes]) -> None:
        if records := [ProducerRecord(key.encode(), value) for key, value in incidents.items()]:
            await self._writer.append(self._out.name(topics.INCIDENTS), self._partition, records)

    async def _show(self, incidents: dict[str, bytes]) -> None:
        """Write to Redis the incidents that people may see."""
        if incidents:
            await self._redis_retry.until_done("take incidents", lambda: self._redis.hset(self._key, mapping=incidents))

    def _is_pending(self, incident: Incident) -> bool:
        return incident.pending and incident.rule in self._policies

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


def _age(incident: Incident | None) -> tuple[int, int]:
    """Order the states of one rule and scope: by episode, then by stamp."""
    if incident is None:
        return (-1, -1)
    return (incident.episode, -1 if incident.stamp is None else incident.stamp.offset)
