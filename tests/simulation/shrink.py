"""Makes a failing schedule short: kinds of trouble it fails without go first, then runs of steps, then single ones."""

from __future__ import annotations

from dataclasses import fields

from tests.simulation.floor import Kinds, Shape
from tests.simulation.schedule import Outcome, run

_TRIES = 400


def shrunk(seed: int, kinds: Kinds) -> Outcome:
    """Return the outcome of the shortest schedule found that fails as the seed's does.

    Args:
        seed: A seed whose schedule fails with these kinds.
        kinds: The trouble it met.
    """
    shape = Shape.of(seed)
    best, skip = run(seed, kinds), set[int]()
    tries, size = 0, max(1, shape.steps // 2)
    while size and tries < _TRIES:
        progressed = False
        for start in range(1, shape.steps + 1, size):
            more = skip | set(range(start, start + size))
            if more == skip:
                continue
            tries += 1
            outcome = run(seed, kinds, more)
            if outcome.failed:
                best, skip, progressed = outcome, more, True
        if not progressed or size > 1:
            size //= 2
    return best


def needed(seed: int, kinds: Kinds) -> list[str]:
    """Return the kinds of trouble without which the seed's schedule is right (another schedule, then: a hint only)."""
    return [
        field.name
        for field in fields(Kinds)
        if getattr(kinds, field.name) and not run(seed, kinds.without(field.name)).failed
    ]
