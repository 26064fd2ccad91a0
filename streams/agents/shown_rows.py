"""Rows kept for the metrics: those of the pairs of window and kind of scope that become series, as last published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from msgspec import Struct


class Shown(Struct, frozen=True):
    """Which rows become series.

    Attributes:
        kinds: By the name of a window in ``tables.windows`` the kinds of scopes, each by its dimensions; None: all of them.
    """

    kinds: Mapping[str, frozenset[frozenset[str]] | None]


class EncodedRows:
    """Rows as they were at one time. They are decoded when they are read, which may be in another thread."""

    def __init__(self, rows: Iterable[tuple[bytes, ...]]) -> None:
        """Keep rows that do not change any more."""
        self._rows = tuple(rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Decode one row after the other."""
        return (orjson.loads(row) for rows in self._rows for row in rows)


class ShownRows:
    """The rows of one partition, encoded: they are read once a scrape and written at every publication."""

    def __init__(self, shown: Shown) -> None:
        """Keep rows of ``shown``."""
        self._shown = shown
        self._rows: dict[tuple[str, str], tuple[bytes, ...]] = {}

    def keep(self, window: str, scope: Mapping[str, str], scope_key: str, rows: Iterable[bytes | None]) -> None:
        """Keep the rows of a window of a scope in place of those before, if they are among those shown.

        Args:
            window: Name of the window.
            scope: The scope.
            scope_key: Its key.
            rows: JSON of the row of each table; None: there is none any more.
        """
        if window not in self._shown.kinds:
            return
        kinds = self._shown.kinds[window]
        found = tuple(row for row in rows if row is not None)
        if found and (kinds is None or frozenset(scope) in kinds):
            self._rows[window, scope_key] = found
        else:
            self._rows.pop((window, scope_key), None)

    def drop(self, window: str, scope_key: str) -> None:
        """Forget the rows of a window of a scope."""
        self._rows.pop((window, scope_key), None)

    def clear(self) -> None:
        """Forget all of them."""
        self._rows = {}

    def rows(self) -> EncodedRows:
        """Return the rows as they are now. Cheap: nothing is decoded before somebody reads them."""
        return EncodedRows(self._rows.values())
