"""Waits go on while something moves, and fail with what they waited for and what they saw last when nothing does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.waits import Stalled, until


class Clock:
    """Every look takes ten seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 10
        return self.now_s


def test_it_returns_the_first_true_answer_plain_or_async() -> None:
    answers = iter([0, None, "there"])

    async def asked() -> str | int | None:
        return next(answers)

    assert asyncio.run(until(asked, "it", every_s=0)) == "there"
    assert asyncio.run(until(lambda: [1], "it")) == [1]


def test_as_long_as_something_moves_it_may_take_any_time() -> None:
    looks = iter(range(200))
    clock = Clock()
    wait = until(lambda: next(looks) >= 100, "100 looks", progress=clock, every_s=0, stalled_s=15, clock=clock)
    assert asyncio.run(wait) is True
    assert clock.now_s > 1000


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stall_says_what_was_waited_for_and_what_was_seen_last(asynchronous: bool) -> None:
    async def folded() -> int:
        return 7

    wait = until(
        lambda: False, "9 events folded", progress=folded if asynchronous else lambda: 7, every_s=0, clock=Clock()
    )
    with pytest.raises(Stalled, match="9 events folded: nothing has changed for 90 s; last seen: 7"):
        asyncio.run(wait)


def test_a_process_that_has_ended_is_said_at_once() -> None:
    process = SimpleNamespace(poll=lambda: 3, returncode=3)
    with pytest.raises(Stalled, match="rows: the process ended with 3; last seen: None"):
        asyncio.run(until(lambda: None, "rows", process=process))  # type: ignore[arg-type]
