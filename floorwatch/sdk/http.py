"""Emitting events to a gateway; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Self

from floorwatch.sdk.answers import NotNow, Settled, TooMuch, meaning
from floorwatch.sdk.backoff import told_wait_s, wait_s
from floorwatch.sdk.events import BadEvents, Given, NotEmitted, checked
from floorwatch.sdk.gateway_connection import AGENT, GatewayConnection, NoReply
from streams.models.refusal import Refusal
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

log = logging.getLogger("floorwatch.sdk")

CHUNK_EVENTS = 1000
CHUNK_BYTES = 4 * 1024 * 1024
_FIRST_WAIT_S, _MOST_WAIT_S = 0.1, 5.0


class HttpClient:
    """Emits to a gateway, again and again while it is busy or away. One request at a time; others wait their turn."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        attempts: int | None = 10,
        retry_s: float | None = 60.0,
        timeout_s: float = 30.0,
        limits: EventLimits = DEFAULT_LIMITS,
    ) -> None:
        """Name the gateway; nothing is reached yet.

        Args:
            url: Of the gateway, e.g. ``http://127.0.0.1:8090``.
            token: Bearer token, where the gateway wants one.
            attempts: Tries of each request; None: as many as ``retry_s`` allows.
            retry_s: Seconds after which a request is given up; None: only ``attempts`` counts.
            timeout_s: Of one try.
            limits: As of ``Client``.
        """
        self._url, self._token = url, token
        self._attempts = attempts
        self._limits = limits
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._told = False
        self._chance = random.SystemRandom().random
        self._turn = asyncio.Lock()
        self._started = False
        self._gateway: GatewayConnection | None = None

    async def __aenter__(self) -> Self:
        self._started = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._started = False
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.abort()
            gateway.close()

    async def emit(self, events: Iterable[Given]) -> int:
        """Emit events in order; returns their number once the gateway has them all.

        Args:
            events: As for ``Client.emit``.

        Raises:
            BadEvents: Some would be refused and nothing was sent; or (``others_sent``) the gateway, whose limits may be
                stricter, refused some and has the others.
            NotEmitted: Not all are known to have arrived.
        """
        records = checked(events, self._limits)
        sent = 0
        refused: list[tuple[int, Refusal]] = []
        async with self._turn:
            for chunk in _chunks(records):
                refused += [(sent + place, refusal) for place, refusal in await self._post(chunk)]
                sent += len(chunk)
        if refused:
            raise BadEvents(refused, others_sent=True)
        return sent

    async def _post(self, values: Sequence[bytes]) -> Sequence[tuple[int, Refusal]]:
        """Send a chunk until it is answered; return what was refused of it by place."""
        began_s, failures = time.monotonic(), 0
        while True:
            answer = await self._try(values)
            if isinstance(answer, Settled):
                return answer.refused
            if isinstance(answer, TooMuch):
                raise NotEmitted(f"{self._url}: {answer.refusal.reason} ({answer.refusal.hint})")
            failures += 1
            pause_s = wait_s(failures, self._chance(), answer.asked_s, _FIRST_WAIT_S, _MOST_WAIT_S)
            late = self._retry_s is not None and time.monotonic() + pause_s - began_s > self._retry_s
            if answer.lasting or late or failures == self._attempts:
                raise NotEmitted(answer.said)
            if not self._told:  # nobody likes to wait unknowing
                self._told = True
                log.warning("%s; trying again", answer.said)
            await asyncio.sleep(pause_s)

    async def _try(self, values: Sequence[bytes]) -> Settled | TooMuch | NotNow:
        if not self._started:
            raise NotEmitted("the client is not started: use 'async with HttpClient(…)'")
        try:
            if self._gateway is None:
                self._gateway = GatewayConnection(self._url, token=self._token, timeout_s=self._timeout_s, agent=AGENT)
        except ValueError as error:
            raise NotEmitted(str(error)) from None
        gateway = self._gateway
        try:
            reply = await asyncio.to_thread(gateway.post, b"[%s]" % b",".join(values))
        except asyncio.CancelledError:
            self._gateway = None
            gateway.abort()  # its thread ends, and nobody waits for it
            raise
        except NoReply as error:
            return NotNow(f"{self._url} cannot be reached: {error.trouble}", lasting=error.trouble.lasting)
        asked_s = told_wait_s(reply.retry_after, datetime.now(UTC))
        answer = meaning(reply.status, reply.body, len(values), asked_s)
        if isinstance(answer, NotNow):
            return NotNow(f"{self._url} {answer.said}", answer.asked_s, answer.lasting)
        return answer


def _chunks(records: list[tuple[bytes, bytes]]) -> Iterable[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for _, value in records:
        if chunk and (len(chunk) == CHUNK_EVENTS or size + len(value) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(value)
        size += len(value)
    if chunk:
        yield chunk
