"""Plays a simulated floor into a stack's journal, at the floor's own pace or faster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from floorwatch.embedded.journal import JournalWriter, open_free_writer, wall_ms

if TYPE_CHECKING:
    from floorwatch.simulate.config import FloorConfig, Scenario
    from floorwatch.simulate.wire import Sent

WRITER = "simulate"
TURN_S = 0.1
"""Events of this much time are sent together."""
MAX_RECORDS = 5_000
DEMO_RATE = 2_000.0
"""Events a second: well below what two busy cores fold, so that the tables keep up with the floor."""
_DROP = 0.6
"""Chance of a right decision after the drop, of what it was."""
LEAST_BUSY_S = 30.0
"""Seconds' worth of events that a demonstration has at least: with fewer the evidence is not enough for its alert."""
_REAL_RATE = 26.0
_DAY_S = 86_400.0


@dataclass
class Played:
    """How far the playing is.

    Attributes:
        events: Sent and accepted.
        floor_ms: Simulated time reached, Unix milliseconds.
    """

    events: int = 0
    floor_ms: int = 0


async def play(
    events: Iterable[Sent],
    journal: JournalWriter,
    *,
    start_ms: int,
    speed: float,
    played: Played | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Played:
    """Send events in their order of arrival, each when it is its turn.

    Args:
        events: In order of arrival.
        journal: Where to.
        start_ms: Simulated time at which playing begins, Unix milliseconds.
        speed: Simulated seconds a second; 1 is real time, ``inf`` as fast as it goes.
        played: Kept up to date, for progress displays.
        now_s: Monotonic clock, seconds.

    Returns:
        What was sent.

    Raises:
        JournalError: Events could not be accepted.
    """
    played = played if played is not None else Played()
    begun_s = now_s()
    turn: list[tuple[bytes, bytes]] = []
    turn_ends_ms = start_ms
    for event in events:
        if event.arrival_ms >= turn_ends_ms or len(turn) >= MAX_RECORDS:
            await journal.publish(turn)
            played.events += len(turn)
            played.floor_ms = event.arrival_ms
            turn = []
            wait_s = (event.arrival_ms - start_ms) / 1000 / speed - (now_s() - begun_s)
            await asyncio.sleep(max(0.0, wait_s))
            turn_ends_ms = event.arrival_ms + round(TURN_S * 1000 * min(speed, 1e6))
        turn.append((event.task_id.encode(), event.value))
    await journal.publish(turn)
    played.events += len(turn)
    return played


async def play_now(journal: Path, *, seed: int = 7, config: FloorConfig | None = None) -> None:
    """Play a floor in real time, beginning now, for as long as this runs (at most a year).

    Raises:
        JournalError: Events could not be accepted.
    """
    from floorwatch.simulate.config import FloorConfig
    from floorwatch.simulate.simulated_floor import simulate

    floor = config or FloorConfig(start_ms=wall_ms(), duration_s=365 * _DAY_S)
    writer = await open_free_writer(journal, WRITER)
    try:
        await play(simulate(floor, seed), writer, start_ms=floor.start_ms, speed=1.0)
    finally:
        await writer.stop()


def demo_floor(hours: float, seconds: float, now_ms: int, scenarios: tuple[Scenario, ...] = ()) -> FloorConfig:
    """Return a floor for a demonstration: it ends now, and its audits come soon enough to be seen.

    Args:
        hours: Simulated time.
        seconds: Time it is to be played in; the floor is made as busy as a laptop can fold in that time, and never less
            busy than for ``LEAST_BUSY_S``.
        now_ms: Unix milliseconds. The floor ends here, so no event is in the future, however fast it is played.
        scenarios: What goes wrong; by default a vendor's quality drops after a quarter of the time, far
            enough that a scope of which nothing is known yet shows it before the end.
    """
    from floorwatch.simulate.config import FloorConfig
    from floorwatch.simulate.config import Scenario as FloorScenario

    duration_s = hours * 3600
    return FloorConfig(
        start_ms=now_ms - round(duration_s * 1000),
        duration_s=duration_s,
        rate=min(_REAL_RATE, DEMO_RATE * max(seconds, LEAST_BUSY_S) / duration_s),
        audit_delay_scale=0.01,
        scenarios=scenarios or (FloorScenario("vendor_quality_drop", at_s=duration_s / 4, factor=_DROP),),
    )
