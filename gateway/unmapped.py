"""Tells of people and projects that no mapping places: their dimensions stay unset, and nothing is guessed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from gateway.metrics import GatewayMetrics
from streams.models.timestamps import MINUTE_MS

_log = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
"""People and projects told once each; beyond it they are counted only."""

LINES_A_MINUTE = 20


class UnmappedLog:
    """Counts the unmapped, and says each once in the log, at most ``LINES_A_MINUTE``; the others when they come again."""

    def __init__(self, metrics: GatewayMetrics, clock_ms: Callable[[], int]) -> None:
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._told: set[tuple[str, str, str]] = set()
        self._since_ms = clock_ms()
        self._lines = 0

    def tell(self, source: str, unmapped: Iterable[tuple[str, str]]) -> None:
        """Tell who and what of a webhook is not placed.

        Args:
            source: CloudEvents source, ``<tool>/<name>``.
            unmapped: ``person`` or ``project``, and the id.
        """
        for kind, name in unmapped:
            self._metrics.unmapped(source.partition("/")[0], kind)
            key = (source, kind, name)
            if key not in self._told and len(self._told) < MOST_REMEMBERED and self._may_write():
                self._told.add(key)
                section = "labelers or users_csv" if kind == "person" else "projects"
                _log.warning(
                    "the %s %r of %r is not mapped; what only the mapping says of it stays unset: add it to %s",
                    kind,
                    name[:256],
                    source,
                    section,
                )

    def _may_write(self) -> bool:
        now_ms = self._clock_ms()
        if not 0 <= now_ms - self._since_ms < MINUTE_MS:
            self._since_ms, self._lines = now_ms, 0
        self._lines += 1
        return self._lines <= LINES_A_MINUTE
