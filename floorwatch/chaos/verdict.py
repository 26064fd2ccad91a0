"""The verdict: every row of every table, from the compacted topics and from Redis, against the independent oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from floorwatch.chaos.cluster import Cluster, distinct
from floorwatch.simulate.compare import COMPARED, Difference, differences, row_count
from floorwatch.simulate.oracle import WINDOWS, Oracle
from streams.adapters.readmodel import ReadModel

_DAY_S = 86_400
_HOUR_S = 3_600
_WINDOW_FIELDS = {**COMPARED, "sla": (*COMPARED["sla"], "backlog")}
NAMES = (*WINDOWS, "day")
"""Windows compared: the sliding ones and the calendar day (of UTC)."""

Tables = dict[str, dict[tuple[str, Any], dict[str, Any]]]


@dataclass
class ChaosVerdict:
    """What a comparison found.

    Attributes:
        rows: Rows looked at, by where they were read.
        wrong: Differences, each with where it was read.
        dead: What is wrong with the dead letters, in words; empty when nothing is.
    """

    rows: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, Difference]] = field(default_factory=list)
    dead: str = ""

    @property
    def wrong_rows(self) -> int:
        """Rows with at least one wrong field."""
        return distinct((where, found.table, found.scope_key, found.pane) for where, found in self.wrong)

    def add(self, where: str, expected: Tables, actual: Tables, fields: Mapping[str, Sequence[str]]) -> None:
        """Compare rows read from ``where`` and keep what differs."""
        self.rows[where] = row_count(expected, actual)
        self.wrong += [(where, found) for found in differences(expected, actual, fields)]


class Expected:
    """The rows as the oracle counts them, computed once for several comparisons."""

    def __init__(self, oracle: Oracle) -> None:
        """Recount everything; minutes for half a million events."""
        self.watermark_ms = oracle.watermark_ms or 0
        self.conflicts, self.refused = oracle.conflicts, oracle.refused
        self.panes: Tables = dict(oracle.panes(_HOUR_S))
        self.windows: Tables = dict(oracle.windows())
        self._add_days(oracle)

    def _add_days(self, oracle: Oracle) -> None:
        """Add the calendar day the watermark stands in; the run's configuration has every day in UTC."""
        day_ms = (oracle.watermark_ms or 0) // (_DAY_S * 1000) * (_DAY_S * 1000)
        for table, rows in oracle.panes(_DAY_S).items():
            for (scope_key, start_ms), row in rows.items():
                if start_ms == day_ms:
                    self.windows[table][scope_key, "day"] = dict(row)
        for scope_key, backlog in oracle.backlog().items():
            self.windows["sla"].setdefault((scope_key, "day"), {}).update(backlog)


async def judge(cluster: Cluster, redis_url: str, prefix: str, expected: Expected) -> ChaosVerdict:
    """Compare the topics, Redis and the dead letters with what should be there."""
    verdict = ChaosVerdict()
    tables = {table: await cluster.table(table) for table in COMPARED}
    panes = {table: keyed(rows, panes=True) for table, rows in tables.items()}
    windows = {table: keyed(rows, panes=False) for table, rows in tables.items()}
    verdict.add("topics, hour panes", expected.panes, panes, COMPARED)
    verdict.add("topics, windows", expected.windows, windows, _WINDOW_FIELDS)
    verdict.add("Redis, windows", expected.windows, await redis_windows(redis_url, prefix), _WINDOW_FIELDS)
    verdict.dead = _dead_letters(await cluster.refused(), expected)
    return verdict


async def redis_windows(redis_url: str, prefix: str) -> Tables:
    """Return every window of every table from the read model."""
    redis = Redis.from_url(redis_url)
    model = ReadModel(redis, prefix)
    try:
        return {
            table: {(key, name): row for name in NAMES for key, row in (await model.rows(table, name)).items()}
            for table in COMPARED
        }
    finally:
        await redis.aclose()


def keyed(rows: Mapping[str, dict[str, Any]], *, panes: bool) -> dict[tuple[str, Any], dict[str, Any]]:
    """Return rows keyed as the oracle keys them: by scope and pane start in ms, or by scope and window name."""
    found: dict[tuple[str, Any], dict[str, Any]] = {}
    for key, row in rows.items():
        if row["window"] == "pane":
            scope_key, _, start_ms = key.rsplit("|", 2)
            if panes:
                found[scope_key, int(start_ms)] = row
        elif not panes:
            scope_key, window = key.rsplit("|", 1)
            found[scope_key, window] = row
    return found


def _dead_letters(letters: list[dict[str, Any]], expected: Expected) -> str:
    """Every bad event must be among the dead letters; replays may repeat it, so events are counted by content."""
    conflicts = distinct(letter["value"] for letter in letters if letter["code"] == "conflicting_duplicate")
    refused = distinct(letter["value"] for letter in letters if letter["code"] != "conflicting_duplicate")
    if (conflicts, refused) == (expected.conflicts, expected.refused):
        return ""
    return (
        f"{conflicts} conflicting duplicates and {refused} refused events are dead letters, "
        f"should be {expected.conflicts} and {expected.refused}"
    )
