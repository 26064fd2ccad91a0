"""The tables of two sets of topics compared, pane by pane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streams.models.timestamps import HOUR_MS

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig
    from floorwatch.simulate.compare import Difference


async def compare_tables(old: FloorwatchConfig, new: FloorwatchConfig) -> tuple[list[Difference], int]:
    """Compare the closed hour panes of two sets.

    Only panes whose hour both watermarks have passed are compared; a correction under way in one set and not yet in
    the other shows up, so compare when neither has lag, and again if something differs.

    Returns:
        Differences (``expected`` is the old set's value) and the number of rows compared.

    Raises:
        KafkaError: The cluster cannot be asked.
    """
    from floorwatch.chaos.cluster import Cluster
    from floorwatch.chaos.verdict import keyed
    from floorwatch.simulate.compare import COMPARED, differences, row_count
    from streams.adapters.clients import kafka_settings

    sides = []
    for settings in (old, new):
        kafka = settings.kafka
        cluster = Cluster(kafka_settings(settings), kafka.topic_prefix, kafka.group, kafka.partitions)
        sides.append({table: keyed(await cluster.table(table), panes=True) for table in COMPARED})
    closed_ms = min(_closed_ms(side) for side in sides)
    left, right = (
        {
            table: {key: row for key, row in rows.items() if key[1] + HOUR_MS <= closed_ms}
            for table, rows in side.items()
        }
        for side in sides
    )
    return differences(left, right, COMPARED), row_count(left, right)


def _closed_ms(side: Mapping[str, Mapping[tuple[str, Any], Mapping[str, Any]]]) -> int:
    """Return the end of the newest hour that the set's watermark has closed."""
    closed = [start + HOUR_MS for rows in side.values() for (_, start), row in rows.items() if row["closed"]]
    return max(closed, default=0)
