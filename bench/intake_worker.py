"""A worker that runs intake and nothing else, so that its speed can be measured alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

import streams.worker
from floorwatch.cli.worker import worker
from streams.app import Worker


class _Idle:
    """Stands where a stage's host would: it owns nothing and its topic is not subscribed to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owned: dict[int, Any] = {}
        self.ready = True

    def assign(self, partitions: Any) -> None:
        """Take nothing."""

    async def revoke(self, partitions: Any, *, flush: bool = True) -> None:
        """Give nothing back."""

    async def flush_all(self) -> None:
        """Flush nothing."""


class IntakeOnly(Worker):
    """Adds no stage but intake."""

    def _add_stage(self, stage: str, topic: str, make: Callable[[int], Any]) -> None:
        if stage.startswith("intake"):
            super()._add_stage(stage, topic, make)
        else:
            self.hosts[topic] = _Idle(stage)  # type: ignore[assignment]


if __name__ == "__main__":
    streams.worker.Worker = IntakeOnly  # type: ignore[misc]
    typer.run(worker)
