"""Background tasks: started again whatever ends them, and told when they stay down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from telemetry.background import DOWN_AFTER_S, STABLE_S, BackgroundTasks


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


async def settle() -> None:
    """Let tasks run until nothing moves."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["raises", "returns"])
def test_one_that_ends_is_started_again_with_growing_pauses(how: str) -> None:
    async def main() -> None:
        starts = 0

        async def work() -> None:
            nonlocal starts
            starts += 1
            if how == "raises":
                raise RuntimeError("redis://:hush@host is gone")

        async with BackgroundTasks(first_pause_s=0.001, most_pause_s=0.002) as tasks:
            tasks.start("work", work)
            while starts < 5:  # noqa: ASYNC110 - the tasks under test
                await asyncio.sleep(0.001)
            (state,) = tasks.states()
        assert state.restarts >= 4
        assert state.down_s is not None
        assert "hush" not in state.reason

    asyncio.run(main())


def test_down_for_eight_seconds_is_a_reason_not_to_be_ready_and_less_is_none() -> None:
    async def main() -> None:
        clock, fail = Clock(), asyncio.Event()

        async def work() -> None:
            await fail.wait()
            raise RuntimeError

        async with BackgroundTasks(first_pause_s=3600, clock_s=clock) as tasks:
            tasks.start("work", work)
            await settle()
            clock.now_s = 100.0
            assert tasks.states()[0].down_s is None
            fail.set()
            await settle()
            clock.now_s += DOWN_AFTER_S - 0.1
            assert tasks.reasons() == ()
            clock.now_s += 0.2
            (reason,) = tasks.reasons()
            assert reason == "background task work has been down for 8 s: it failed with RuntimeError, see the log"
        assert DOWN_AFTER_S < 10

    asyncio.run(main())


def test_one_that_crashes_at_once_each_time_is_down_all_along_and_one_that_runs_again_is_not() -> None:
    async def main() -> None:
        clock, starts, stays = Clock(), 0, False

        async def work() -> None:
            nonlocal starts
            starts += 1
            clock.now_s += 1.0
            if stays:
                await asyncio.Event().wait()
            raise RuntimeError

        async with BackgroundTasks(first_pause_s=0.0, most_pause_s=0.0, clock_s=clock) as tasks:
            tasks.start("work", work)
            while not tasks.reasons():  # noqa: ASYNC110 - the tasks under test
                await asyncio.sleep(0)
            assert starts >= DOWN_AFTER_S
            stays = True
            await settle()
            clock.now_s += STABLE_S
            assert tasks.reasons() == ()
            assert tasks.states()[0].running

    asyncio.run(main())


def test_closing_ends_them_all() -> None:
    async def main() -> None:
        ended = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(1)

        tasks = BackgroundTasks()
        for number in range(3):
            tasks.start(f"work {number}", work)
        await settle()
        await tasks.close()
        assert len(ended) == 3

    asyncio.run(main())
