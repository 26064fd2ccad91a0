"""Says a repeated thing now and then instead of each time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Kind:
    """What was said of a kind since ``began_s``, and how many were counted and not said."""

    began_s: float
    said: int = 0
    held: int = 0


class Occasionally:
    """Counts what happens by kind, and tells when it is time to say so again."""

    def __init__(self, every_s: float, now_s: Callable[[], float]) -> None:
        """Take the length of a while in seconds, for which one kind is then silent, and a clock that never steps back."""
        self._every_s = every_s
        self._now_s = now_s
        self._kinds: dict[str, _Kind] = {}

    def due(self, kind: str, most: int = 1) -> int:
        """Count one; return how many there were since it was last said if it may be said now, else 0.

        Args:
            kind: What is alike.
            most: How many may be said in one while.
        """
        now_s = self._now_s()
        one = self._kinds.get(kind)
        held = 0
        if one is None or now_s - one.began_s >= self._every_s:
            held = 0 if one is None else one.held
            one = self._kinds[kind] = _Kind(now_s)
        if one.said < most:
            one.said += 1
            return held + 1
        one.held += 1
        return 0

    def overdue(self, *, last: bool = False) -> list[tuple[str, int]]:
        """Return the kinds of which some were counted and not said, and how many, once their while is over.

        They count as said. Kinds of which nothing came for a while are forgotten, so that this can be asked regularly by
        whoever has kinds without end.

        Args:
            last: Return all of them now: nothing will be said later.
        """
        now_s, found = self._now_s(), []
        for kind, one in list(self._kinds.items()):
            if not last and now_s - one.began_s < self._every_s:
                continue
            if one.held:
                found.append((kind, one.held))
                self._kinds[kind] = _Kind(now_s, said=1)
            else:
                del self._kinds[kind]
        return found

    def knows(self, kind: str) -> bool:
        """Tell whether a kind is not forgotten yet."""
        return kind in self._kinds
