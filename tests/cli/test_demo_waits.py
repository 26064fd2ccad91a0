"""The demonstration waits while the tables move, however slow the machine, and gives up when they stand still."""

from __future__ import annotations

import asyncio

import pytest

from floorwatch.cli.demo import _until


def wait(moves: bool) -> None:
    looks = 0

    async def done() -> bool:
        nonlocal looks
        looks += 1
        return looks > 3

    async def moving() -> int:
        return looks if moves else 0

    asyncio.run(_until(done, 0.0, "the tables to catch up", moving))


def test_while_the_watermark_moves_it_waits_beyond_its_patience() -> None:
    wait(moves=True)


def test_when_nothing_moves_it_gives_up_and_says_what_it_waited_for() -> None:
    with pytest.raises(TimeoutError, match="waited for the tables to catch up, in vain: nothing has moved for 0 s"):
        wait(moves=False)
