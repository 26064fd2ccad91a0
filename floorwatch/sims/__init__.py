"""The simulations behind docs/statistics.md, run with the product's own detectors.

Every module here with a function ``run(scale, seed) -> list[Line]`` is a simulation; ``floorwatch sims`` finds and runs
them all. ``scale`` multiplies the number of runs: 1.0 for ``make sim``, little for the tests.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from floorwatch.sims.lines import ReportLine

Run = Callable[[float, int], list[ReportLine]]


def simulations() -> dict[str, Run]:
    """Return every simulation by the name of its module, in order of name."""
    found: dict[str, Run] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        run = getattr(importlib.import_module(f"{__name__}.{module.name}"), "run", None)
        if run is not None:
            found[module.name] = run
    return found
