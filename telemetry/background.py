"""Background tasks that must keep running: each is restarted with a growing pause, and ``/readyz`` says which one is down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
DOWN_AFTER_S = 8.0
"""A task that is down for this long makes ``/readyz`` fail: within 10 s, including the time of a probe."""
STABLE_S = 5.0
"""A task counts as running again when it has run for this long, so one that crashes at once each time counts as
down."""


@dataclass
class _BackgroundTask:
    """One task and its history; times are seconds of the clock."""

    name: str
    work: Callable[[], Awaitable[None]]
    running_since_s: float | None = None
    down_since_s: float | None = None
    restarts: int = 0
    reason: str = ""


@dataclass(frozen=True)
class TaskState:
    """The state of a background task.

    Attributes:
        name: Its name.
        running: Whether it runs now.
        down_s: For how many seconds it has not run stably; None if it does.
        restarts: How often it was started again.
        reason: Why it ended last, or empty.
    """

    name: str
    running: bool
    down_s: float | None
    restarts: int
    reason: str


class BackgroundTasks:
    """Runs tasks that are to run until the process ends. ``async with`` or :meth:`close` ends them."""

    def __init__(
        self,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        most_pause_s: float = MOST_PAUSE_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet; the pauses between an end and the next start double from the first to the most."""
        self._clock_s = clock_s
        self._first_pause_s, self._most_pause_s = first_pause_s, most_pause_s
        self._tasks: dict[str, _BackgroundTask] = {}
        self._running: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task. ``work`` is called again each time it has ended."""
        task = _BackgroundTask(name, work)
        self._tasks[name] = task
        self._running.append(asyncio.create_task(self._keep(task), name=name))

    async def close(self) -> None:
        """End all tasks."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def states(self) -> list[TaskState]:
        """Return the state of each task."""
        return [self._state(task) for task in self._tasks.values()]

    def reasons(self) -> tuple[str, ...]:
        """Return a sentence for each task that has been down too long: why ``/readyz`` is red."""
        return tuple(
            f"background task {state.name} has been down for {state.down_s:.0f} s: {state.reason}"
            for state in self.states()
            if state.down_s is not None and state.down_s >= DOWN_AFTER_S
        )

    def _state(self, task: _BackgroundTask) -> TaskState:
        now_s = self._clock_s()
        if task.running_since_s is not None and now_s - task.running_since_s >= STABLE_S:
            task.down_since_s = None
        down_s = None if task.down_since_s is None else now_s - task.down_since_s
        return TaskState(task.name, task.running_since_s is not None, down_s, task.restarts, task.reason)

    async def _keep(self, task: _BackgroundTask) -> None:
        pause_s = self._first_pause_s
        while True:
            began_s = task.running_since_s = self._clock_s()
            try:
                await task.work()
                task.reason = "it ended by itself"
            except Exception as error:
                # The text of an error may contain an address with a password. It is in the log; /readyz is open to
                # everybody.
                task.reason = f"it failed with {type(error).__name__}, see the log"
                log.exception("background task %s failed; starting it again in %.1f s", task.name, pause_s)
            ended_s = self._clock_s()
            if ended_s - began_s >= STABLE_S:
                task.down_since_s, pause_s = None, self._first_pause_s
            task.down_since_s = ended_s if task.down_since_s is None else task.down_since_s
            task.running_since_s = None
            await asyncio.sleep(pause_s)
            pause_s = min(self._most_pause_s, pause_s * 2)
            task.restarts += 1
