"""The engine under a schedule's clock."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streams.agents.aggregate
import streams.engine.gaps
import streams.engine.host
from streams.core import accumulate
from tests.simulation.loop import Clock

_PIECE = 25


"""A floor of a schedule has a hundred rows: small pieces, so that it dies between two of them."""


@contextmanager
def engine_of(clock: Clock, *, by_columns: bool) -> Iterator[None]:
    """Let the engine's modules read the schedule's clock, and sum a handful of changes as it sums ten thousand."""
    modules: list[Any] = [streams.engine.host, streams.engine.gaps, streams.agents.aggregate]
    kept, few = [module.time for module in modules], accumulate._FEW
    for module in modules:
        module.time = clock
    # A recovery freezes what there is, and here that is mostly what earlier schedules have left.
    freeze, gc.freeze = gc.freeze, lambda: None
    accumulate._FEW = -1 if by_columns else few
    piece, streams.agents.aggregate._PIECE = streams.agents.aggregate._PIECE, _PIECE
    try:
        yield
    finally:
        streams.agents.aggregate._PIECE = piece
        accumulate._FEW = few
        gc.freeze = freeze
        for module, time in zip(modules, kept, strict=True):
            module.time = time
