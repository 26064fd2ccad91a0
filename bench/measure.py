"""One measured run: how fast, at what CPU and memory, and whether its result was right."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.stack import BenchError, Process

_POLL_S = 0.1


@dataclass
class Run:
    """What one run measured.

    Attributes:
        name: Which system and which job.
        events: Events of the workload it was given.
        seconds: From its first record until all of it is durable and committed.
        cpu_s: CPU seconds, user and system, of the process in that time.
        peak_mb: Largest resident size of the process.
        wrong_rows: Result rows that differ from the truth; anything but 0 disqualifies the figure.
        rows: Result rows compared.
        more: Further figures by name.
    """

    name: str
    events: int
    seconds: float
    cpu_s: float
    peak_mb: float
    wrong_rows: int = 0
    rows: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def events_per_s(self) -> float:
        """Events per second."""
        return self.events / max(1e-9, self.seconds)

    @property
    def cpu_s_per_million(self) -> float:
        """CPU seconds per million events."""
        return self.cpu_s / self.events * 1e6

    def as_json(self) -> dict[str, Any]:
        """Return the run for the results file."""
        return {
            "name": self.name,
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "events_per_s": round(self.events_per_s),
            "cpu_s_per_million": round(self.cpu_s_per_million, 2),
            "peak_mb": round(self.peak_mb),
            "rows_checked": self.rows,
            "rows_wrong": self.wrong_rows,
            **self.more,
        }

    def line(self) -> str:
        """Return the run as one line of a table."""
        state = f"{self.rows} rows right" if not self.wrong_rows else f"{self.wrong_rows} of {self.rows} ROWS WRONG"
        shown = f"; all shown after {self.more['shown_after_s']:.1f} s" if "shown_after_s" in self.more else ""
        return (
            f"{self.name:34}{self.events:>11,}{self.seconds:>9.1f}{self.events_per_s:>12,.0f}"
            f"{self.cpu_s_per_million:>10.1f}{self.peak_mb:>9.0f}   {state}{shown}"
        )


HEADER = f"{'':34}{'events':>11}{'seconds':>9}{'events/s':>12}{'CPU s/M':>10}{'peak MB':>9}   checked against the truth"


def until(done: Callable[[], bool], process: Process, limit_s: float, what: str) -> float:
    """Wait until something holds; return the monotonic time at which it was seen to.

    Raises:
        BenchError: The process ended first, or ``limit_s`` passed.
    """
    until_s = time.monotonic() + limit_s
    while not done():
        process.check(what)
        if time.monotonic() > until_s:
            raise BenchError(f"{process.log.stem}: {what} not reached in {limit_s:g} s; log:\n{process.tail()}")
        time.sleep(_POLL_S)
    return time.monotonic()
