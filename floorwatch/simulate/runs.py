"""Whole logs of a simulated floor, for verification and tests."""

from __future__ import annotations

import time

from floorwatch.simulate.config import FloorConfig
from floorwatch.simulate.simulated_floor import simulate
from streams.models.timestamps import HOUR_MS


def simulated_log(seed: int, days: float, rate: float, start_ms: int | None = None) -> list[bytes]:
    """Return every event of a floor in order of arrival, with duplicates, disorder, corrections and conflicts.

    Args:
        seed: The same seed and start give the same log.
        days: How long the floor is watched.
        rate: Events per second on average.
        start_ms: Time of the first event; by default so that the last one lies in the past.
    """
    duration_s = days * 86_400
    if start_ms is None:
        start_ms = (int(time.time() * 1000 - duration_s * 1000) // HOUR_MS - 1) * HOUR_MS
    config = FloorConfig(start_ms=start_ms, duration_s=duration_s, rate=rate, faults=True)
    return [sent.value for sent in simulate(config, seed)]
