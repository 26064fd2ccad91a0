"""Emitting events to a gateway; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import msgspec

from floorwatch.sdk.events import BadEvents, Given, NotEmitted, checked
from streams.models.acceptance import Refusal
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

if TYPE_CHECKING:
    import aiohttp

    from floorwatch.sdk.trouble import Trouble

log = logging.getLogger("floorwatch.sdk")

CHUNK_EVENTS = 1000
CHUNK_BYTES = 4 * 1024 * 1024


class HttpClient:
    """Emits to a gateway, again and again while it is busy or away."""

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
        self._url = url.rstrip("/") + "/v1/events"
        self._headers = {"Content-Type": "application/cloudevents-batch+json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._attempts = attempts
        self._limits = limits
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._told = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

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
        for chunk in _chunks(records):
            refused += [(sent + place, refusal) for place, refusal in await self._post(chunk)]
            sent += len(chunk)
        if refused:
            raise BadEvents(refused, others_sent=True)
        return sent

    async def _post(self, values: list[bytes]) -> list[tuple[int, Refusal]]:
        """Send a chunk until it is answered; return what was refused of it by place."""
        import stamina

        # The library's own lines name neither the gateway nor the reason; a program that logs still gets them.
        logging.getLogger("stamina").addHandler(logging.NullHandler())
        try:
            async for attempt in stamina.retry_context(on=self._again, attempts=self._attempts, timeout=self._retry_s):
                with attempt:
                    return await self._try(b"[%s]" % b",".join(values))
        except _Busy as error:
            raise NotEmitted(f"{self._url} does not take events: {error}") from None
        except _NoAnswer as error:
            raise NotEmitted(f"{self._url} cannot be reached: {error.trouble}") from None
        raise NotEmitted(f"{self._url} was not tried")  # stamina tries at least once

    def _again(self, error: Exception) -> bool | float:
        """Tell stamina whether to try again, or when; the first failure is said, for nobody likes to wait unknowing."""
        if isinstance(error, _Busy):
            again: bool | float = True if error.retry_after_s is None else error.retry_after_s
        elif isinstance(error, _NoAnswer):
            again = not error.trouble.lasting
        else:
            return False
        if again is not False and self._attempts != 1 and not self._told:
            self._told = True
            log.warning("%s: %s; trying again", self._url, error)
        return again

    async def _try(self, body: bytes) -> list[tuple[int, Refusal]]:
        import aiohttp

        from floorwatch.sdk.faults import trouble_of
        from floorwatch.sdk.trouble import refused

        if self._session is None:
            raise NotEmitted("the client is not started: use 'async with HttpClient(…)'")
        try:
            async with self._session.post(self._url, data=body) as response:
                status, text = response.status, await response.read()
                wait = response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _NoAnswer(trouble_of(error, self._timeout_s)) from None
        if status == 202:
            return []
        if status in (429, 500, 502, 503, 504):
            raise _Busy(status, text, float(wait) if wait.isdigit() else None)
        if status == 422:
            rejected = msgspec.json.decode(text)["rejected"]
            return [(one["index"] or 0, _refusal(one)) for one in rejected]
        raise NotEmitted(f"{self._url} {refused(status, text[:500].decode(errors='replace'))}")


class _Busy(Exception):
    """The gateway asks for patience."""

    def __init__(self, status: int, text: bytes, retry_after_s: float | None) -> None:
        super().__init__(f"{status}: {text[:300].decode(errors='replace')}")
        self.retry_after_s = retry_after_s


class _NoAnswer(Exception):
    """The gateway gave no answer."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def _refusal(told: dict[str, Any]) -> Refusal:
    return Refusal(told["code"], told["field"], told["reason"], told["hint"])


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
