"""One way to wait in tests: for a condition, for as long as something moves.

A test on a busy machine is slow, not wrong. So no test says how many seconds something may take in all. It says what it
waits for, and the wait fails when nothing has changed for a long time, with what was seen last.
"""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

STALLED_S = 90.0
"""Seconds without any change after which a wait gives up: far beyond what a server needs on a busy machine."""


class Stalled(AssertionError):
    """What a test waits for did not come about, and nothing moved any more."""


class _Watch:
    """Tells whether a wait still gets anywhere."""

    def __init__(self, what: str, stalled_s: float, process: subprocess.Popen[Any] | None, clock: Callable[[], float]):
        self._what, self._stalled_s, self._process, self._clock = what, stalled_s, process, clock
        self._seen: Any = None
        self._since_s = clock()

    def look(self, seen: Any) -> None:
        """Take the state of now.

        Raises:
            Stalled: The state has been the same for too long, or the process that should change it has ended.
        """
        now_s = self._clock()
        if seen != self._seen:
            self._seen, self._since_s = seen, now_s
        if self._process is not None and self._process.poll() is not None:
            raise Stalled(f"{self._what}: the process ended with {self._process.returncode}; last seen: {seen!r:.2000}")
        if now_s - self._since_s > self._stalled_s:
            raise Stalled(f"{self._what}: nothing has changed for {self._stalled_s:g} s; last seen: {seen!r:.2000}")


async def until(
    done: Callable[[], Awaitable[T] | T],
    what: str,
    *,
    progress: Callable[[], Any] | None = None,
    process: subprocess.Popen[Any] | None = None,
    stalled_s: float = STALLED_S,
    every_s: float = 0.05,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Wait until something holds.

    Args:
        done: Asked again and again, plain or async; the wait ends when its answer is true.
        what: What is waited for, as words for the message.
        progress: Returns, plain or async, a state that changes while things move; without it the answers of ``done``
            are that state, so an answer such as 0, then ``None`` or an empty list that never changes is a stall.
        process: Must go on running meanwhile.
        stalled_s: Seconds without a change after which the wait fails.
        every_s: Seconds between two looks.
        clock: Seconds that only go up.

    Returns:
        The first true answer.

    Raises:
        Stalled: Nothing has changed for ``stalled_s`` seconds, or the process has ended.
    """
    watch = _Watch(what, stalled_s, process, clock)
    while True:
        found = await _answer(done)
        if found:
            return found
        watch.look(found if progress is None else await _answer(progress))
        await asyncio.sleep(every_s)


def until_plain(
    done: Callable[[], T],
    what: str,
    *,
    progress: Callable[[], Any] | None = None,
    process: subprocess.Popen[Any] | None = None,
    stalled_s: float = STALLED_S,
    every_s: float = 0.05,
) -> T:
    """Wait as ``until`` does, in a test without an event loop."""
    watch = _Watch(what, stalled_s, process, time.monotonic)
    while not (found := done()):
        watch.look(found if progress is None else progress())
        time.sleep(every_s)
    return found


async def ended(process: subprocess.Popen[Any], what: str, progress: Callable[[], Any] = lambda: None) -> int:
    """Wait until a process has ended, for as long as something moves (its log, for example); return its exit code."""
    await until(lambda: process.poll() is not None, what, progress=progress)
    code: int = process.returncode
    return code


async def _answer(asked: Callable[[], Any]) -> Any:
    found = asked()
    return await found if inspect.isawaitable(found) else found
