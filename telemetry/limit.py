"""What is said of one buffer: ``telemetry.limits`` lists them all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """One buffer.

    Attributes:
        buffer: What is kept.
        where: Module that bounds it.
        bound: The bound, in words.
        setting: Setting that moves it; None where it is fixed.
        at_bound: What happens there, and who waits.
        fill: Metric that shows how full it is.
        wait: Metric that shows waiting or refusing; None where nothing ever waits.
    """

    buffer: str
    where: str
    bound: str
    setting: str | None
    at_bound: str
    fill: str
    wait: str | None = None
