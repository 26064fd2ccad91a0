"""The emitter for programs with asyncio: the same spool, thread and promises, and nothing that blocks the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from floorwatch.sdk.emitter import Emitter
from floorwatch.sdk.emitter_settings import EmitterSettings, EmitterStatus
from floorwatch.sdk.events import Given, NotEmitted, checked
from floorwatch.sdk.refused_events import RefusedEvent

_SLICE_S = 0.25
"""A thread waits so long at most on behalf of a coroutine, so that one that is cancelled holds up nothing."""

_Call = tuple[list[bytes], "asyncio.Future[int]"]


class AsyncEmitter:
    """Takes events and delivers them to a gateway, in order; for one event loop.

        async with AsyncEmitter("http://gateway:8090", spool="/var/spool/my-tool") as fw:
            await fw.send(event(label, task_id="t-1", source="my-tool"))

    Calls of ``send`` that come while the disk is busy are written and synced together, in the order of the calls.
    """

    def __init__(
        self,
        url: str,
        *,
        spool: str | Path,
        token: str | None = None,
        settings: EmitterSettings | None = None,
        on_refused: Callable[[RefusedEvent], None] | None = None,
    ) -> None:
        """Name gateway and spool, as for ``Emitter``; ``async with`` opens the spool."""
        self._make = lambda: Emitter(url, spool=spool, token=token, settings=settings, on_refused=on_refused)
        self._emitter: Emitter | None = None
        self._calls: deque[_Call] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._emitter = await asyncio.to_thread(self._make)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, *events: Given) -> int:
        """Keep events for delivery and return their number. When it returns, no crash of this process loses them.

        Args:
            events: As for ``Emitter.send``.

        Raises:
            BadEvents: Some would be refused; none was kept.
            SpoolFull: There is no room; none was kept.
            NotEmitted: They could not be written to the spool, or the emitter is not open. Send the same events again.
        """
        emitter = self._opened()
        values = [value for _, value in checked(events, emitter.limits)]
        kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._calls.append((values, kept))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(emitter), name="floorwatch events to disk")
        return await kept

    async def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was sent before is delivered or refused.

        Args:
            timeout_s: How long to wait, in seconds; None: as long as it takes.

        Raises:
            NotEmitted: Time is up, or the emitter was closed. What waits stays in the spool and is still delivered.
        """
        emitter = self._opened()
        last = emitter.hurry()
        try:
            async with asyncio.timeout(timeout_s):
                while not await asyncio.to_thread(emitter.arrived, last, _SLICE_S):
                    if emitter.stopped:
                        break
                else:
                    return
        except TimeoutError:
            pass
        raise NotEmitted(emitter.left())

    async def refused(self) -> list[RefusedEvent]:
        """Return the events that the gateway refused; see ``Emitter.refused``."""
        return await asyncio.to_thread(self._opened().refused)

    def status(self) -> EmitterStatus:
        """Return how the emitter fares."""
        return self._opened().status()

    async def close(self, timeout_s: float | None = None) -> None:
        """Deliver what can be delivered in time, and end; see ``Emitter.close``."""
        if self._writing is not None:
            await self._writing
        if self._emitter is not None:
            await asyncio.to_thread(self._emitter.close, timeout_s)

    def _opened(self) -> Emitter:
        if self._emitter is None:
            raise NotEmitted("the emitter is not open: use 'async with AsyncEmitter(…)'")
        return self._emitter

    async def _write(self, emitter: Emitter) -> None:
        """Write what is called for until nothing is."""
        while self._calls:
            calls = list(self._calls)
            self._calls.clear()
            try:
                await asyncio.to_thread(emitter.keep, [value for values, _ in calls for value in values])
            except NotEmitted:
                await self._write_singly(emitter, calls)
            except BaseException as error:
                for _, kept in calls:
                    _answer(kept, error)
                raise
            else:
                for values, kept in calls:
                    _answer(kept, len(values))

    async def _write_singly(self, emitter: Emitter, calls: Sequence[_Call]) -> None:
        """Write each call by itself, where there is no room for all of them: each has an answer of its own."""
        for values, kept in calls:
            try:
                _answer(kept, await asyncio.to_thread(emitter.keep, values))
            except NotEmitted as error:
                _answer(kept, error)


def _answer(kept: asyncio.Future[int], what: int | BaseException) -> None:
    """Answer a call, unless it was cancelled."""
    if kept.done():
        return
    if isinstance(what, int):
        kept.set_result(what)
    else:
        kept.set_exception(what)
