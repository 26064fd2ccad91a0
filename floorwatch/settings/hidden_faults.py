"""Faults that other faults hide: what is only looked at once every single setting is valid. Pure.

The settings at fault are taken out of a copy of the data, which is then looked at again, until it is valid or nothing more can be
taken out. What such a look finds is told only if it cannot come from what was taken out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from config.nodes import Path

MAX_LOOKS = 8
"""Each look costs as much as a load. Six are the most that files with faults in every section have taken."""

_CHANNELS = ("alerts", "channels")


@dataclass
class PrunedData:
    """Data of a configuration without what is at fault.

    Attributes:
        whole: The data as it was.
        cut: Paths that were taken out; those in a channel are the channel's.
    """

    whole: dict[str, Any]
    cut: set[Path] = field(default_factory=set)
    _kept: dict[Path, list[int]] = field(default_factory=dict)

    def take_out(self, paths: Iterable[Path]) -> bool:
        """Take settings out, and what is around one that is out already: a group may need it. Return whether there was anything left.

        Args:
            paths: Places of faults, in the whole data.
        """
        before = len(self.cut)
        for path in dict.fromkeys(paths):
            here = path[:3] if path[:2] == _CHANNELS else path
            while here and (here in self.cut or not _present(self.whole, here)):
                here = here[:-1]
            if here:
                self.cut.add(here)
        return len(self.cut) > before

    def data(self) -> dict[str, Any]:
        """Return what is left. A channel is replaced by a placeholder, so that routes may still name it."""
        self._kept.clear()
        found: dict[str, Any] = self._left(self.whole, ())
        for path in self.cut:
            if path[:2] == _CHANNELS and len(path) == 3 and isinstance(found.get("alerts", {}).get("channels"), dict):
                found["alerts"]["channels"][path[2]] = {"type": "console"}
        return found

    def _left(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {
                name: self._left(one, (*path, name)) for name, one in value.items() if (*path, name) not in self.cut
            }
        if isinstance(value, list):
            self._kept[path] = [at for at in range(len(value)) if (*path, at) not in self.cut]
            return [self._left(value[at], (*path, at)) for at in self._kept[path]]
        return copy.copy(value)

    def place_in_whole(self, path: Path) -> Path:
        """Return where something in ``data()`` stands in the whole data: elements of lists have moved up."""
        found: Path = ()
        for part in path:
            kept = self._kept.get(found)
            found = (*found, kept[part] if kept is not None and isinstance(part, int) and part < len(kept) else part)
        return found

    def follows(self, path: Path, reads: tuple[Path, ...]) -> bool:
        """Tell whether a fault may come from what was taken out.

        Args:
            path: Its place in the whole data.
            reads: Settings elsewhere that it depends on; where none are named, all in the groups around what was taken out.
        """
        if not _present(self.whole, path) or any(_overlap(path, one) for one in self.cut):
            return True  # of what nobody wrote, the default is at odds with what is left
        if reads:
            return any(_overlap(one, other) for one in reads for other in self.cut)
        return any(path[: len(one) - 1] == one[:-1] for one in self.cut)


def _overlap(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _present(data: Any, path: Path) -> bool:
    for part in path:
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if not inside:
            return False
        data = data[part]
    return True
