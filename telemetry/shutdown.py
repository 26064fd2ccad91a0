"""Ends a process that was asked to stop, or has failed, and does not end by itself.

A stop can hang in code that is not ours: mode swallows cancellations while it stops its children, and a thread that is not a daemon
keeps an interpreter from ending. So no wait for such a stop is bounded by a cancellation, and a thread of its own has the last word.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

log = logging.getLogger(__name__)

LIMIT_S = 20.0
"""Longest time from the request to stop, or the failure, to the end of the process."""

_BACKSTOP_S = 5.0
"""How much later the interpreter itself ends the process, where the thread cannot run because C code holds its lock."""


class ShutdownWatchdog:
    """Watches over the end of a process. Make it in the main thread; :meth:`begin` may be called in a signal handler.

    Attributes:
        exit_code: What the process ends with if it must be ended; 1 until it is known that nothing is left to do.
        overran: Names of the steps that did not end within their limit.
    """

    def __init__(self, process: str, limit_s: float = LIMIT_S, *, end: Callable[[int], Any] = os._exit) -> None:
        """Start the thread, which waits for :meth:`begin`.

        Args:
            process: Its name in the log line.
            limit_s: Seconds from ``begin`` to the end of the process.
            end: Ends the process.
        """
        self.exit_code = 1
        self.overran: list[str] = []
        self._process, self._limit_s, self._exit = process, limit_s, end
        self._begun_s: float | None = None
        self._steps: dict[str, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        # Its put may be called while the same thread is in a put, which is what a signal handler needs.
        self._told: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="shutdown watchdog", daemon=True).start()

    @property
    def begun(self) -> bool:
        """Whether the process is to end."""
        return self._begun_s is not None

    def begin(self, exit_code: int | None = None) -> None:
        """Say that the process is to end from now on; only the first call counts for the time.

        Args:
            exit_code: What it should end with if it must be ended; None leaves it as it is.
        """
        if exit_code is not None:
            self.exit_code = exit_code
        if self._begun_s is None:
            self._begun_s = time.monotonic()
            with suppress(Exception):  # standard error is not a file (a test)
                faulthandler.dump_traceback_later(self._limit_s + _BACKSTOP_S, exit=True, file=sys.stderr)
            self._told.put(True)

    def disarm(self) -> None:
        """Say that the end is somebody else's care."""
        faulthandler.cancel_dump_traceback_later()
        self._told.put(False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Name what is being done meanwhile, for the log."""
        self._steps[name] = time.monotonic()
        try:
            yield
        finally:
            del self._steps[name]

    async def within(self, name: str, work: Coroutine[Any, Any, Any], limit_s: float) -> bool:
        """Do a step of the shutdown; go on without it where it takes too long, whatever it does with a cancellation.

        Args:
            name: Of the step: what is done.
            work: Does it. What it raises is logged.
            limit_s: Longest time it may take.

        Returns:
            Whether it ended well.
        """
        with self.step(name):
            task = asyncio.ensure_future(work)
            await asyncio.wait({task}, timeout=limit_s)
        if not task.done():
            task.cancel()
            self.overran.append(name)
            log.error("%s: %s did not end within %g s; the shutdown goes on without it", self._process, name, limit_s)
            return False
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.warning("%s: %s failed: %s: %s", self._process, name, type(error).__name__, error)
        return error is None and not task.cancelled()

    def _watch(self) -> None:
        if not self._told.get():
            return
        try:
            self._told.get(timeout=self._limit_s)
        except queue.Empty:
            with suppress(Exception):
                self._say()
            self._exit(self.exit_code)

    def _say(self) -> None:
        """Log what has not ended, with a stack of each thread and task: names and lines of code, no values."""
        now_s = time.monotonic()
        under_way = [f"{name} (for {now_s - since_s:.0f} s)" for name, since_s in self._steps.items()]
        what = (
            ", ".join([*under_way, *(f"{name} (given up)" for name in self.overran)]) or "threads or tasks, see below"
        )
        log.critical(
            "%s did not end within %g s; it is ended now with exit code %d. What did not stop: %s",
            self._process,
            self._limit_s,
            self.exit_code,
            what,
        )
        for line in stacks(self._loop):
            log.critical("%s", line)
        for handler in logging.getLogger().handlers:
            handler.flush()


def stacks(loop: asyncio.AbstractEventLoop | None = None) -> list[str]:
    """Return where each thread is, and each task of an event loop: one line each, the innermost place first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to them
        if ident != threading.get_ident():
            places = traceback.extract_stack(frame)
            lines.append(f"thread {names.get(ident, ident)}: {_where(places)}")
    with suppress(RuntimeError):  # the set of tasks changes under our feet
        for task in [] if loop is None else asyncio.all_tasks(loop):
            places = traceback.StackSummary.extract([(frame, frame.f_lineno) for frame in task.get_stack()])
            lines.append(f"task {task.get_name()} {getattr(task.get_coro(), '__qualname__', '')}: {_where(places)}")
    return lines


def _where(places: traceback.StackSummary) -> str:
    return " < ".join(f"{place.name} ({place.filename}:{place.lineno})" for place in reversed(places)) or "no frame"
