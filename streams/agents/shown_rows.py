"""Rows kept for the metrics: those of the windows and kinds of scopes that become series, as last published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from msgspec import Struct


class Shown(Struct, frozen=True):
    """Which rows become series.

    Attributes:
        windows: By their names in ``tables.windows``.
        scopes: Kinds of scopes, each by its dimensions; None: all.
    """

    windows: frozenset[str]
    scopes: frozenset[frozenset[str]] | None = None


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
        if window not in self._shown.windows:
            return
        found = tuple(row for row in rows if row is not None)
        if found and (self._shown.scopes is None or frozenset(scope) in self._shown.scopes):
            self._rows[window, scope_key] = found
        else:
            self._rows.pop((window, scope_key), None)

    def drop(self, window: str, scope_key: str) -> None:
        """Forget the rows of a window of a scope."""
        self._rows.pop((window, scope_key), None)

    def clear(self) -> None:
        """Forget all of them."""
        self._rows = {}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as objects. Safe to call from a scrape's thread."""
        return [orjson.loads(row) for rows in list(self._rows.values()) for row in rows]
