"""Rows of the tables on their way out, piece by piece."""

from __future__ import annotations

from streams.core.tables import TABLES
from streams.engine.log import ProducerRecord


class TableRows:
    """Rows on their way out: to the table topics, and to the read model by (table, window) and scope."""

    def __init__(self) -> None:
        """Hold none yet."""
        self.count = 0
        self.of_topic: dict[str, list[ProducerRecord]] = {table: [] for table in TABLES}
        self.of_model: dict[tuple[str, str], dict[str, bytes | None]] = {}

    def window(self, table: str, window: str, scope_key: str, value: bytes | None) -> None:
        """Add the row of a window; None ends it."""
        self.count += 1
        self.of_topic[table].append(ProducerRecord(f"{scope_key}|{window}".encode(), value))
        self.of_model.setdefault((table, window), {})[scope_key] = value

    def pane(self, table: str, key: str, value: bytes) -> None:
        """Add the row of an hour pane: history, which only the topics keep."""
        self.count += 1
        self.of_topic[table].append(ProducerRecord(key.encode(), value))
