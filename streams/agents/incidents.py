"""Incidents stage: folds signals into incidents and requests for audits; what people must be told goes to the outbox."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from alerts.incident import Incident, Notify, Publish, Stamp
from alerts.outbox import Outbox
from alerts.outgoing import notification
from alerts.policy import Policy, inhibited_by, policy_of, step
from alerts.records import decode_incident, decode_signal, encode_incident
from alerts.requests import Request, Standing, decode_standing, encode_request, request_key, standing
from alerts.requests import step as ask_for_audits
from alerts.rules import Rule
from alerts.text import title_of
from streams.adapters.patience import Patience
from streams.adapters.publish import Topics
from streams.core.records import Record
from streams.engine.log import LogReader, LogWriter, Outgoing
from streams.models import topics

log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    """Effects of folded signals, carried out at the next flush: notifications first, then incidents and requests."""

    notify: list[Notify] = field(default_factory=list)
    publish: dict[str, Incident] = field(default_factory=dict)
    ask: list[Request] = field(default_factory=list)


class IncidentsStage:
    """One partition of the signals; its state, the last incident of each rule and scope, is read from incidents.v1."""

    dense = False

    def __init__(
        self,
        partition: int,
        rules: tuple[Rule, ...],
        out: Topics,
        writer: LogWriter,
        reader: LogReader,
        redis: Any,
        redis_prefix: str,
        outbox: Outbox,
        base: Policy | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Own partition ``partition`` of the signals; ``patience`` says how to wait for Redis."""
        self.next: int | None = None
        self._partition = partition
        self._policies = {rule.name: policy_of(rule, base) for rule in rules}
        self._out, self._writer, self._reader = out, writer, reader
        self._redis, self._key = redis, f"{redis_prefix}incidents"
        self._outbox = outbox
        self._patience = patience or Patience()
        self._incidents: dict[tuple[str, str], Incident] = {}
        self._standing: dict[tuple[str, str], Standing] = {}
        self._waiting = _Waiting()
        self._flushed: int | None = None

    async def recover(self) -> None:
        """Read back the incidents of this partition, and which requests for audits stand."""
        async for records in self._reader.read(self._out.name(topics.INCIDENTS), self._partition):
            for _, _, value in records:
                if value is not None:
                    incident = decode_incident(value)
                    self._incidents[incident.rule, incident.scope_key] = incident
                    self._waiting.publish[incident.key] = incident
        async for records in self._reader.read(self._out.name(topics.AUDIT_REQUESTS), self._partition):
            for _, _, value in records:
                if value is not None:
                    rule, scope_key, held = decode_standing(value)
                    self._standing[rule, scope_key] = held

    async def close(self) -> None:
        """Drop the state."""
        self._incidents.clear()
        self._standing.clear()

    def live(self) -> list[Incident]:
        """Return the incidents of this partition that are going on."""
        return [incident for incident in list(self._incidents.values()) if incident.live]

    def fold(self, records: list[Record]) -> None:
        """Step the machine of each signal's incident."""
        for record in records:
            self.next = record.offset + 1
            try:
                signal = decode_signal(record.value or b"")
            except msgspec.DecodeError as error:
                log.warning("signals[%d] offset %d holds no signal: %s", self._partition, record.offset, error)
                continue
            policy = self._policies.get(signal.rule)
            if policy is None:
                continue
            key = (signal.rule, signal.scope_key)
            request = ask_for_audits(self._standing.get(key), signal)
            if request is not None:
                self._standing[key] = standing(request)
                self._waiting.ask.append(request)
            held = self._incidents.get(key)
            inhibited = inhibited_by(signal.scope, signal.kind, self._incidents.values())
            stamp = Stamp(self._partition, record.offset)
            after, effects = step(held, signal, policy, stamp=stamp, inhibited=inhibited)
            if after is not None:
                self._incidents[key] = after
                if after.live and held is not None and after.streak != held.streak:
                    # Counted on by the next owner: only so many quiet signals come, and each counts once (alerts/gate.py).
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
        for effect in waiting.notify:
            note = notification(effect)
            # Put in once whatever happens: the outbox knows the notification by its id.
            await self._patience.until_done("take notifications", partial(self._outbox.enqueue, note))
        if waiting.publish:
            await self._publish(waiting.publish)
        if waiting.ask:
            await self._ask(waiting.ask)
        if upto is None or upto == self._flushed:
            return None
        self._flushed = upto
        return upto

    async def _publish(self, incidents: dict[str, Incident]) -> None:
        encoded = {key: encode_incident(incident, title_of(incident)) for key, incident in incidents.items()}
        records = [Outgoing(key.encode(), value) for key, value in encoded.items()]
        await self._writer.append(self._out.name(topics.INCIDENTS), self._partition, records)
        await self._patience.until_done("take incidents", lambda: self._redis.hset(self._key, mapping=encoded))

    async def _ask(self, requests: list[Request]) -> None:
        """Write requests for audits, before the signals that made them are committed.

        Killed in between, the next owner reads that they stand and folds those signals without making them again.
        """
        records = [
            Outgoing(request_key(made.made_by.rule, made.made_by.scope_key).encode(), encode_request(made))
            for made in requests
        ]
        await self._writer.append(self._out.name(topics.AUDIT_REQUESTS), self._partition, records)
