"""Every query of the board, asked of a real Prometheus that scrapes a real worker fed with a simulated floor."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from floorwatch.bounded import bounded_run
from floorwatch.embedded.servers import free_port
from floorwatch.simulate.config import FloorConfig, parse_scenario
from floorwatch.simulate.simulated_floor import simulate
from grafana.queries import QUERIES, interpolate
from tests.grafana.prom import RealPrometheus
from tests.grafana.test_grafana_queries import DEFAULTS
from tests.support import require

pytestmark = pytest.mark.servers

HOURS = 3
SURGE = parse_scenario("queue_surge@1h+2h:queue=comments,factor=15")
"""Under way at the end, so that there is a breach to foresee: a queue without one has no series of it."""

OF_OPEN_TASKS = {"backlog_by", "oldest_open_by"}
"""Asked by queue: an open task has no vendor until somebody completes it (ADR 0006)."""


def floor_lines() -> list[bytes]:
    start_ms = int(time.time() * 1000) - HOURS * 3_600_000
    config = FloorConfig(
        start_ms=start_ms, duration_s=HOURS * 3600, rate=1.5, audit_delay_scale=0.02, scenarios=(SURGE,)
    )
    return [sent.value for sent in simulate(config, 7)]


async def ask_everything() -> dict[str, list[Any]]:
    port = free_port()
    async with bounded_run(METRICS__PORT=str(port), ENGINE__PUBLISH_INTERVAL_S="0.5") as run:
        await run.send([*floor_lines(), b"{this is not an event"])
        await run.finish()
        return await asyncio.to_thread(_ask, f"127.0.0.1:{port}")


def _ask(address: str) -> dict[str, list[Any]]:
    with RealPrometheus([address], scrape_interval="2s") as prom:
        prom.wait_scraped(times=3)
        found = {
            key: prom.query(interpolate(query.expr, {**DEFAULTS, "by": "queue"} if key in OF_OPEN_TASKS else DEFAULTS))
            for key, query in QUERIES.items()
        }
        found["labels"] = prom.query('floorwatch_labels{scope="all",window="1h"}')
        return found


@pytest.mark.slow
def test_every_query_of_the_board_returns_data_from_a_real_worker() -> None:
    require("prometheus")
    found = asyncio.run(ask_everything())
    empty = [key for key in QUERIES if len(found[key]) < QUERIES[key].expect.min_series]
    assert not empty
    for key, query in QUERIES.items():
        for sample in found[key]:
            assert set(sample.labels) == query.expect.labels, key
    assert found["labels"][0].value > 100
    assert not re.search("kul-0", str(found)), "labellers are not exported unless asked for"
