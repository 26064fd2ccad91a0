"""Meter: the engine's view of metrics, so that it depends on no metrics library."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """What the engine reports; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def folded(self, stage: str, partition: int, records: int) -> None:
        """Count folded records."""

    def lag(self, stage: str, partition: int, records: int) -> None:
        """Set how many records of the source are not folded yet."""

    def unflushed(self, stage: str, partition: int, records: int, size_bytes: int) -> None:
        """Set how much is folded and not flushed."""

    def wait_began(self, on: str) -> float:
        """Note that something begins to wait for a ``flush``, the ``broker`` or ``redis``. Returns the token that ends the wait."""

    def wait_ended(self, on: str, began: float) -> None:
        """Note the end of a wait; ``began`` is what ``wait_began`` returned."""

    def in_flight(self, size_bytes: int) -> None:
        """Set how many bytes the producer holds unacknowledged."""

    def large_record(self, topic: str, size_bytes: int) -> None:
        """Note a record that fills a batch of its own."""

    def not_committed(self, stage: str) -> None:
        """Count a commit that the coordinator did not take."""

    def fenced(self, stage: str) -> None:
        """Count that a stage was found fenced."""

    def flushed(self, stage: str, seconds: float) -> None:
        """Observe one flush."""

    def recovered(self, stage: str, seconds: float) -> None:
        """Observe one recovery."""

    def drop_partition(self, stage: str, partition: int) -> None:
        """Forget every series of a partition."""
