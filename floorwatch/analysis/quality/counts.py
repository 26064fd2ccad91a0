"""Counts: sparse integers by key, the one state of the quality framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Key = tuple[str | int, ...]
"""The name of a section, then what is counted there."""

Counts = dict[Key, int]

Entries = Iterable[tuple[Key, int]]


def add(into: Counts, entries: Entries, sign: int = 1) -> None:
    """Add entries (or with ``sign=-1`` take them away) in place; what comes to zero is dropped.

    Example:
        >>> counts = {("appeal", "decided"): 2}
        >>> add(counts, [(("appeal", "decided"), 2)], -1)
        >>> counts
        {}
    """
    for key, amount in entries:
        total = into.get(key, 0) + sign * amount
        if total:
            into[key] = total
        else:
            into.pop(key, None)


def section(counts: Counts, name: str) -> Iterator[tuple[Key, int]]:
    """Yield (rest of the key, count) of one section."""
    for key, count in counts.items():
        if key[0] == name:
            yield key[1:], count
