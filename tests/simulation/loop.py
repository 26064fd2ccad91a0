"""An event loop a process of its own: no clock, no selector, run by hand, killed by forgetting it.

One worker is one loop. To stall a worker is not to run its loop; to kill it is to drop the loop, and then, as after
kill -9, not a line of its code runs any more.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

_LIMIT = 20_000
"""Callbacks in one go beyond which a worker is taken to be spinning."""


class Clock:
    """Seconds that pass only when the schedule says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        return self.now_s


class SimLoop(asyncio.AbstractEventLoop):
    """The least of a loop that tasks, futures, locks, queues, gather, wait and sleep need."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_number = 0
        self.dead = False

    # -- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        return self._clock.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.dead

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._clock.now_s + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.dead:
            self._timer_number += 1
            heapq.heappush(self._timers, (when, self._timer_number, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, **_: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Threads would end determinism: the work is done here and now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's, as in a thread
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing of tasks that died with their process; a callback's own error must not be hidden."""
        if self.dead or context.get("task") is not None or context.get("future") is not None:
            return
        error = context.get("exception")
        raise RuntimeError(context.get("message")) from error

    # -- what the schedule does with it ---------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is anything to run now."""
        return bool(self._ready) or bool(self._timers and self._timers[0][0] <= self._clock.now_s)

    @property
    def next_timer_s(self) -> float | None:
        """When the next timer rings; None without one."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run(self, limit: int = _LIMIT) -> int:
        """Run callbacks in order until nothing is ready, or ``limit`` of them; return how many ran."""
        asyncio._set_running_loop(self)
        ran = 0
        try:
            while ran < limit:
                self._ring()
                if not self._ready:
                    break
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                    ran += 1
        finally:
            asyncio._set_running_loop(None)
        if ran == _LIMIT:
            raise RuntimeError("a worker spins: it would never wait again")
        return ran

    def _ring(self) -> None:
        timers, now_s = self._timers, self._clock.now_s
        while timers and timers[0][0] <= now_s:
            _, _, handle = heapq.heappop(timers)
            if not handle.cancelled():
                self._ready.append(handle)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task from outside."""
        return asyncio.Task(coroutine, loop=self)

    def kill(self) -> None:
        """End the process: nothing of it runs any more."""
        self.dead = True
        self._ready.clear()
        self._timers.clear()
