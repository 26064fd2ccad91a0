"""``floorwatch generate``: write every generated file, or say which are stale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floorwatch.output.terminal import say

GENERATORS = (
    "floorwatch.settings.render",
    "streams.models.contract_files",
    "grafana.generate",
    "prometheus.generate",
    "telemetry.docs",
    "alerts.kinds_page",
    "telemetry.numbers_page",
    "floorwatch.web.runbooks",
)
"""Modules with ``generate(root) -> list[Path]`` and ``check(root) -> list[str]``."""


def generate(
    root: Annotated[Path, typer.Option(help="Root of the checkout.")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is stale.")] = False,
) -> None:
    """Generate the contract, the boards, the Prometheus rules and the metric reference."""
    import importlib

    stale: list[str] = []
    for name in GENERATORS:
        module = importlib.import_module(name)
        if check:
            stale += module.check(root)
        else:
            for path in module.generate(root):
                say(f"wrote {path}")
    if stale:
        say("stale, run `make generate`:\n  " + "\n  ".join(stale), err=True)
        raise typer.Exit(1)
