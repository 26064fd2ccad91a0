"""Says a repeated thing now and then instead of each time. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Occasionally:
    """Counts what happens by kind, and tells when it is time to say so again."""

    def __init__(self, every_s: float, now_s: Callable[[], float]) -> None:
        """Take the least seconds between two sayings of one kind, and a clock that never steps back."""
        self._every_s = every_s
        self._now_s = now_s
        self._kinds: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int:
        """Count one; return how many there were since it was last said if it may be said now, else 0."""
        now_s = self._now_s()
        said_s, count = self._kinds.get(kind, (now_s - self._every_s, 0))
        if now_s - said_s >= self._every_s:
            self._kinds[kind] = (now_s, 0)
            return count + 1
        self._kinds[kind] = (said_s, count + 1)
        return 0
