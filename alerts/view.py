"""How the rules read the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from streams.core.window_names import CALENDAR_WINDOWS, window_ms
from streams.models.timestamps import parse_rfc3339_ms

Row = Mapping[str, Any]


class DamagedRow(Mapping[str, Any]):
    """Stands for a row that cannot be read at all. Whatever is asked of it raises, so its scope counts as not judged, not as gone."""

    def __init__(self, reason: str) -> None:
        """Hold why it cannot be read."""
        self._reason = reason

    def __getitem__(self, name: str) -> Any:
        """Raise ValueError with the reason."""
        raise ValueError(self._reason)

    def __iter__(self) -> Iterator[str]:
        """Raise ValueError with the reason."""
        raise ValueError(self._reason)

    def __len__(self) -> int:
        """Raise ValueError with the reason."""
        raise ValueError(self._reason)


class RowView(Protocol):
    """The latest rows of the read model, of one moment.

    Tables ``accuracy``, ``throughput`` and ``sla`` hold the row JSON of the read model by window and scope key.
    """

    def rows(self, table: str, window: str) -> Mapping[str, Row]:
        """Rows by scope key; empty when the table has none for the window."""


class MemoryRowView:
    """A view over rows held in a dict {(table, window): {scope_key: row}}."""

    def __init__(self, tables: Mapping[tuple[str, str], Mapping[str, Row]] | None = None) -> None:
        self._tables = dict(tables or {})

    def rows(self, table: str, window: str) -> Mapping[str, Row]:
        """See :class:`RowView`."""
        return self._tables.get((table, window), {})


def is_live(row: Row, window: str, watermark_ms: int) -> bool:
    """Return whether the window of a row still touches the present one.

    A read model keeps the last row of a scope without new events. A sliding window of yesterday may overlap the present one; a day
    or shift has passed at its end.
    """
    return instant_ms(row["end"]) > watermark_ms - (0 if window in CALENDAR_WINDOWS else window_ms(window))


def instant_ms(text: str) -> int:
    """RFC 3339 text as int milliseconds since 1970.

    Raises:
        ValueError: not RFC 3339, or without a zone.
    """
    return parse_rfc3339_ms(text)
