"""Reads a request's body, within its sender's share of memory and at a minimum rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from gateway.answers import refused
from gateway.fair_share import FairShare
from gateway.settings import GatewaySettings
from gateway.time_slices import SliceScheduler, TimeSlices
from gateway.unpack import ACCEPTED, Damaged, UnknownEncoding, Unpacker

GRACE_S = 5.0
"""How long a body may take before its rate is checked."""


@dataclass(frozen=True)
class Pool:
    """What all requests of one kind may hold together. Events have one pool, webhooks another.

    Attributes:
        requests: Requests under way.
        body_bytes: Bytes of their bodies that have arrived, unpacked.
        time_slices: Who may work next.
    """

    requests: FairShare
    body_bytes: FairShare
    time_slices: SliceScheduler


class BodyRead:
    """What one request holds of a pool, until it is answered.

    Attributes:
        time_slices: Its turns at work that takes long.
    """

    def __init__(self, pool: Pool, sender: str, settings: GatewaySettings) -> None:
        """Name who pays."""
        self.time_slices = TimeSlices(pool.time_slices, sender)
        self._pool = pool
        self._sender = sender
        self._settings = settings
        self._held = 0

    async def body(self, request: web.Request) -> bytes:
        """Return the body, unpacked.

        Raises:
            HTTPRequestEntityTooLarge: It is larger than ``max_body_bytes``. Others as ``feed``.
        """
        parts: list[bytes] = []

        def take(part: bytes) -> int:
            parts.append(part)
            return self._held + len(part)

        await self.feed(request, take, self._settings.max_body_bytes)
        return b"".join(parts)

    async def feed(self, request: web.Request, take: Callable[[bytes], int], most: int) -> None:
        """Hand on the body, unpacked, in pieces as it arrives.

        Args:
            request: Its head has been read.
            take: Takes a piece and returns how many bytes are then held for the request.
            most: Bytes of the largest body.

        Raises:
            HTTPRequestEntityTooLarge: It is larger than that.
            HTTPRequestTimeout: It did not come in time, or too slowly.
            HTTPBadRequest: It is cut or damaged.
            HTTPUnsupportedMediaType: Its Content-Encoding is not understood.
            HTTPTooManyRequests: The sender's bodies under way have its share of memory already.
        """
        unpacker = self._unpacker(request)
        if not unpacker.packed and (request.content_length or 0) > most:
            raise _too_large(most)
        await _go_on(request)
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                await self._read(request, unpacker, take, most)
        except TimeoutError:
            raise self._slow(f"the body did not come within {self._settings.body_timeout_s:g} s") from None
        except Damaged as fault:
            hint = "nothing was accepted; pack and send it again, whole"
            raise refused(web.HTTPBadRequest, "bad_body", str(fault), hint) from None
        except (web.RequestPayloadError, web.HTTPException, ConnectionError) as error:
            if isinstance(error, web.HTTPException):
                raise
            reason = "the body ended before its announced length, or its chunks are damaged"
            hint = "nothing was accepted; check Content-Length or Transfer-Encoding and send it again"
            raise refused(web.HTTPBadRequest, "bad_body", reason, hint) from None

    def close(self) -> None:
        """Give back what is held."""
        if self._held:
            self._pool.body_bytes.give(self._sender, self._held)
            self._held = 0

    def _unpacker(self, request: web.Request) -> Unpacker:
        try:
            return Unpacker(",".join(request.headers.getall("Content-Encoding", [])))
        except UnknownEncoding as fault:
            reason = f"the Content-Encoding is {fault}"
            hint = f"send the body plain, or with one of: {ACCEPTED}"
            headers = {"Accept-Encoding": ACCEPTED}
            raise refused(web.HTTPUnsupportedMediaType, "unsupported_encoding", reason, hint, headers) from None

    async def _read(self, request: web.Request, unpacker: Unpacker, take: Callable[[bytes], int], most: int) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        arrived = unpacked = 0
        while True:
            chunk = await self._chunk(request, began_s, arrived, loop.time)
            if not chunk:
                break
            arrived += len(chunk)
            for part in unpacker.feed(chunk):
                unpacked += len(part)
                if unpacked > most:
                    raise _too_large(most)
                self._hold(take(part))
                await self.time_slices.give_way()
        unpacker.end()

    async def _chunk(self, request: web.Request, began_s: float, arrived: int, now: Callable[[], float]) -> bytes:
        """Return the next bytes. Refuses a body whose average rate after the grace time is below the minimum."""
        rate = self._settings.min_body_bytes_per_s
        until_s = began_s + GRACE_S + (arrived / rate if rate else self._settings.body_timeout_s)
        try:
            async with asyncio.timeout(max(0.0, until_s - now())):
                return await request.content.readany()
        except TimeoutError:
            raise self._slow(f"the body comes at less than {rate} bytes/s") from None

    def _hold(self, size: int) -> None:
        """Hold so many bytes of the pool from now on."""
        more = size - self._held
        if more < 0:
            self._pool.body_bytes.give(self._sender, -more)
        elif more and not self._pool.body_bytes.take(self._sender, more):
            reason = "the bodies under way have all memory that this sender may hold"
            hint = "send fewer or smaller requests at the same time; send this one again in a second"
            raise refused(web.HTTPTooManyRequests, "sender_share", reason, hint, {"Retry-After": "1"})
        self._held = size

    def _slow(self, reason: str) -> web.HTTPException:
        return refused(web.HTTPRequestTimeout, "slow_body", reason, "send fewer events at once, or faster")


@contextmanager
def reading(pool: Pool, sender: str, settings: GatewaySettings) -> Iterator[BodyRead]:
    """Hold a place for a request while it is read and answered.

    Raises:
        HTTPTooManyRequests: The sender has its share of requests under way.
        HTTPServiceUnavailable: No more requests are taken from anybody.
    """
    if not pool.requests.take(sender, 1):
        if pool.requests.of(sender):
            reason = f"{pool.requests.of(sender)} requests of this sender are under way"
            hint = "wait for answers before sending more; send this one again in a second"
            raise refused(web.HTTPTooManyRequests, "sender_share", reason, hint, {"Retry-After": "1"})
        reason = f"{pool.requests.held} requests are under way"
        hint = "send the same request again in a second"
        raise refused(web.HTTPServiceUnavailable, "unavailable", reason, hint, {"Retry-After": "1"})
    held = BodyRead(pool, sender, settings)
    try:
        yield held
    finally:
        held.close()
        pool.requests.give(sender, 1)


def _too_large(most: int) -> web.HTTPException:
    reason = f"the body is larger than {most} bytes"
    return refused(web.HTTPRequestEntityTooLarge, "too_large", reason, "send less at once")


async def _go_on(request: web.Request) -> None:
    """Ask for the body of a request that was sent with ``Expect: 100-continue``."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
