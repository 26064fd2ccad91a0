"""A labeller at work: fills in who, where and on what, and measures how long.

    ana = Labeller(fw, "ana", source="my-tool", vendor="bpo-a", queue="comments")
    with ana.task("t-1", policy="P3") as task:
        task.label("hate")  # its handle time began with the block

``Labeller`` is for ``Emitter``, ``AsyncLabeller`` for ``AsyncEmitter``. Time is measured by a clock that nobody sets, so a clock
that is corrected meanwhile makes no wrong handle time. What was not labelled in its block sends no label.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, Self, TypedDict, Unpack

from floorwatch.sdk.events import Given, event
from streams.models.events import (
    BreakData,
    BreakEnded,
    BreakStarted,
    Event,
    LabelSubmittedData,
    LabelWithdrawnData,
    Prediction,
    TaskClaimedData,
)


class Dimensions(TypedDict, total=False):
    """What a label can be counted by beside its labeller; see the contract."""

    team: str | None
    site: str | None
    vendor: str | None
    queue: str | None
    policy: str | None
    policy_version: str | None
    market: str | None
    priority: str | None
    created_at: datetime | None
    due_at: datetime | None


class WorkClock(NamedTuple):
    """What time is read from. ``now`` gives times with a zone; ``elapsed_s`` seconds that only go up."""

    now: WallClock
    elapsed_s: Stopwatch


class WallClock(Protocol):
    """The time of the day."""

    def __call__(self) -> datetime:
        """Return the present time, with a zone."""


class Stopwatch(Protocol):
    """Seconds since some moment."""

    def __call__(self) -> float:
        """Return them."""


def _now() -> datetime:
    return datetime.now(UTC)


CLOCK = WorkClock(_now, time.monotonic)


class Sends(Protocol):
    """An ``Emitter``."""

    def send(self, *events: Given) -> int:
        """Keep events for delivery."""


class SendsAsync(Protocol):
    """An ``AsyncEmitter``."""

    async def send(self, *events: Given) -> int:
        """Keep events for delivery."""


class _Profile(NamedTuple):
    """What all events of a labeller have in common."""

    labeler_id: str
    source: str
    dimensions: Dimensions
    measures_work: bool
    handle_limit_s: float
    clock: WorkClock

    def break_event(self, kind: type[BreakStarted | BreakEnded]) -> Event:
        data = BreakData(labeler_id=self.labeler_id)
        return event(data, task_id=self.labeler_id, source=self.source, time=self.clock.now(), kind=kind)


def _profile(
    labeler_id: str, source: str, dimensions: Dimensions, measures_work: bool, handle_limit_s: float, clock: WorkClock
) -> _Profile:
    unknown = sorted(set(dimensions) - set(Dimensions.__annotations__))
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: no such field; use {', '.join(Dimensions.__annotations__)}")
    return _Profile(labeler_id, source, dimensions, measures_work, handle_limit_s, clock)


class TaskAtWork:
    """A task on which somebody works: makes its events.

    Attributes:
        task_id: The task.
        label_id: The label given last; None before there is one.
    """

    def __init__(self, profile: _Profile, task_id: str, dimensions: Dimensions) -> None:
        """Begin to measure."""
        self.task_id = task_id
        self.label_id: str | None = None
        self._profile = _profile(
            profile.labeler_id,
            profile.source,
            {**profile.dimensions, **dimensions},
            profile.measures_work,
            profile.handle_limit_s,
            profile.clock,
        )
        self._began_s = profile.clock.elapsed_s()
        self._paused_s = 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the time of a block out of the time of work (``active_ms``); the handle time goes on."""
        began_s = self._profile.clock.elapsed_s()
        try:
            yield
        finally:
            self._paused_s += self._profile.clock.elapsed_s() - began_s

    def claimed(self) -> Event:
        """Return the event that the labeller has taken the task."""
        return self._event(TaskClaimedData(labeler_id=self._profile.labeler_id))

    def labelled(self, values: tuple[str, ...], label_id: str | None, prediction: Prediction | None) -> Event:
        """Return the event of a label that is given now; see ``TaskWork.label``."""
        profile = self._profile
        self.label_id = label_id or self.label_id or uuid.uuid4().hex
        now = profile.clock.now()
        took_s = max(0.0, profile.clock.elapsed_s() - self._began_s)
        known = took_s <= profile.handle_limit_s  # else it was left open, and nobody knows when work began
        data = LabelSubmittedData(
            label_id=self.label_id,
            labeler_id=profile.labeler_id,
            values=list(values),
            started_at=now - timedelta(seconds=took_s) if known else None,
            active_ms=int(1000 * max(0.0, took_s - self._paused_s)) if known and profile.measures_work else None,
            prediction=prediction,
            **profile.dimensions,
        )
        return self._event(data, now)

    def withdrawn(self, reason: str | None) -> Event:
        """Return the event that the label given last is withdrawn.

        Raises:
            ValueError: No label was given here.
        """
        if self.label_id is None:
            raise ValueError(f"no label of task {self.task_id} was given in this block, so none can be withdrawn")
        return self._event(LabelWithdrawnData(label_id=self.label_id, reason=reason))

    def _event(
        self, data: TaskClaimedData | LabelSubmittedData | LabelWithdrawnData, now: datetime | None = None
    ) -> Event:
        time_of = now or self._profile.clock.now()
        return event(data, task_id=self.task_id, source=self._profile.source, time=time_of)


class TaskWork(TaskAtWork):
    """A task in a ``with`` block; see ``Labeller.task``."""

    def __init__(self, fw: Sends, claim: bool, profile: _Profile, task_id: str, dimensions: Dimensions) -> None:
        """See ``Labeller.task``."""
        super().__init__(profile, task_id, dimensions)
        self._fw, self._claim = fw, claim

    def __enter__(self) -> Self:
        if self._claim:
            self._fw.send(self.claimed())
        return self

    def __exit__(self, *_: object) -> None:
        return

    def label(self, *values: str, label_id: str | None = None, prediction: Prediction | None = None) -> str:
        """Send the labeller's decision; return the label's id.

        Args:
            values: What was chosen; none says that nothing is wrong with the item.
            label_id: The tool's own id of the label; without one, one is made. The second label of a block is a new version of
                the first, unless it has an id of its own.
            prediction: What a model proposed before.

        Raises:
            BadEvents, SpoolFull, NotEmitted: As ``Emitter.send``.
        """
        made = self.labelled(values, label_id, prediction)
        self._fw.send(made)
        return self.label_id or ""

    def withdraw(self, reason: str | None = None) -> None:
        """Send that the label given last no longer stands. Raises as ``Emitter.send``; ValueError without a label."""
        self._fw.send(self.withdrawn(reason))


class AsyncTaskWork(TaskAtWork):
    """A task in an ``async with`` block; see ``AsyncLabeller.task``."""

    def __init__(self, fw: SendsAsync, claim: bool, profile: _Profile, task_id: str, dimensions: Dimensions) -> None:
        """See ``Labeller.task``."""
        super().__init__(profile, task_id, dimensions)
        self._fw, self._claim = fw, claim

    async def __aenter__(self) -> Self:
        if self._claim:
            await self._fw.send(self.claimed())
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def label(self, *values: str, label_id: str | None = None, prediction: Prediction | None = None) -> str:
        """Send the labeller's decision; see ``TaskWork.label``."""
        made = self.labelled(values, label_id, prediction)
        given = self.label_id or ""
        await self._fw.send(made)
        return given

    async def withdraw(self, reason: str | None = None) -> None:
        """Send that the label given last no longer stands; see ``TaskWork.withdraw``."""
        await self._fw.send(self.withdrawn(reason))


class Labeller:
    """Somebody who labels, with what is the same for all of their labels."""

    def __init__(
        self,
        fw: Sends,
        labeler_id: str,
        *,
        source: str,
        measures_work: bool = False,
        handle_limit_s: float = 86_400.0,
        clock: WorkClock = CLOCK,
        **dimensions: Unpack[Dimensions],
    ) -> None:
        """Say who it is.

        Args:
            fw: An open ``Emitter``.
            labeler_id: The labeller.
            source: Who sends, e.g. ``my-tool/kul-1``.
            measures_work: The tool says by ``paused()`` whenever nobody works, so that the rest is work: sent as ``active_ms``.
            handle_limit_s: A task that was open for longer was left open: its label has no handle time. In seconds, and at
                most ``events.max_handle_s`` of the floor.
            clock: What time is read from.
            **dimensions: Fields of all labels, such as ``vendor``; a task may say otherwise.

        Raises:
            TypeError: There is no such field.
        """
        self._fw = fw
        self._profile = _profile(labeler_id, source, dimensions, measures_work, handle_limit_s, clock)

    def task(self, task_id: str, *, claim: bool = False, **dimensions: Unpack[Dimensions]) -> TaskWork:
        """Return a block of work on a task; handle time begins here.

        Args:
            task_id: The task.
            claim: Send ``task.claimed`` when the block begins: a sign of work in ``floorwatch roster``.
            **dimensions: Fields of its labels.

        Raises:
            TypeError: There is no such field.
        """
        return TaskWork(self._fw, claim, self._profile, task_id, dimensions)

    @contextmanager
    def on_break(self) -> Iterator[None]:
        """Send that a break begins, and at the end of the block that it is over. Raises as ``Emitter.send``."""
        self._fw.send(self._profile.break_event(BreakStarted))
        try:
            yield
        finally:
            self._fw.send(self._profile.break_event(BreakEnded))


class AsyncLabeller:
    """As ``Labeller``, for an ``AsyncEmitter``."""

    def __init__(
        self,
        fw: SendsAsync,
        labeler_id: str,
        *,
        source: str,
        measures_work: bool = False,
        handle_limit_s: float = 86_400.0,
        clock: WorkClock = CLOCK,
        **dimensions: Unpack[Dimensions],
    ) -> None:
        """Say who it is; see ``Labeller``."""
        self._fw = fw
        self._profile = _profile(labeler_id, source, dimensions, measures_work, handle_limit_s, clock)

    def task(self, task_id: str, *, claim: bool = False, **dimensions: Unpack[Dimensions]) -> AsyncTaskWork:
        """Return a block of work on a task, for ``async with``; see ``Labeller.task``."""
        return AsyncTaskWork(self._fw, claim, self._profile, task_id, dimensions)

    @asynccontextmanager
    async def on_break(self) -> AsyncIterator[None]:
        """Send that a break begins, and at the end of the block that it is over. Raises as ``AsyncEmitter.send``."""
        await self._fw.send(self._profile.break_event(BreakStarted))
        try:
            yield
        finally:
            await self._fw.send(self._profile.break_event(BreakEnded))
