"""Meter: the engine's view of metrics, so that it depends on no metrics library."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """What the engine reports; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def folded(self, stage: str, partition: int, records: int) -> None:
        """Count folded records."""

    def lag(self, stage: str, partition: int, records: int) -> None:
        """Set how many records of the source are not folded yet."""

    def flushed(self, stage: str, seconds: float) -> None:
        """Observe one flush."""

    def recovered(self, stage: str, seconds: float) -> None:
        """Observe one recovery."""

    def drop_partition(self, stage: str, partition: int) -> None:
        """Forget every series of a partition."""
