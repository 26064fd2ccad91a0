"""The simulations behind docs/statistics.md, run with the code that a worker and the commands run.

Every module here with a function ``run(scale, seed) -> list[ReportLine]`` is a simulation; ``floorwatch sims`` finds and runs
them all. ``scale`` multiplies the number of runs: 1.0 for ``make sim``, little for the tests. Beside it a module may have
``ROWS``, the situations (floorwatch/sims/table.py) that its lines measure, and ``CPU_S``, about how many seconds of processor
time it takes at scale 1: those that take longest begin first.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType

from floorwatch.sims.lines import ReportLine

Run = Callable[[float, int], list[ReportLine]]

_USUAL_S = 60.0


def _modules() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    loaded = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return {name: module for name, module in loaded.items() if hasattr(module, "run")}


def simulations() -> dict[str, Run]:
    """Return every simulation by the name of its module, in order of name."""
    return {name: module.run for name, module in _modules().items()}


def rows_of(name: str) -> tuple[int, ...]:
    """Return the situations that a simulation measures."""
    rows: tuple[int, ...] = getattr(_modules()[name], "ROWS", ())
    return rows


def cost_s(name: str) -> float:
    """Return about how many seconds of processor time a simulation takes at scale 1."""
    cost: float = getattr(_modules()[name], "CPU_S", _USUAL_S)
    return cost
