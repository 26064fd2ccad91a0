"""Workers come and go: partitions that stay where they are keep their state, those that move are recovered, all is exact."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from floorwatch.chaos.cluster import Cluster
from floorwatch.chaos.verdict import Expected, keyed
from floorwatch.chaos.workload import Load, end_input, floor_log
from floorwatch.embedded.servers import Servers
from floorwatch.simulate.compare import COMPARED, differences, report
from floorwatch.simulate.oracle import Oracle
from streams.adapters.admin import create_topics
from streams.models import topics
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.waits import STALLED_S, until

pytestmark = pytest.mark.servers

PREFIX, GROUP, PARTITIONS = "handover.", "handover", 4
LEDGER = re.compile(r"ledger\[(\d)\] recovered")


def recovered(servers: Servers, name: str) -> Counter[str]:
    """Return how often each ledger partition was recovered by a worker."""
    return Counter(LEDGER.findall(servers.log_tail(name, 10_000)))


async def until_recovered(servers: Servers, name: str, least: int) -> Counter[str]:
    """Return what a worker has recovered once it is so many ledger partitions."""
    await until(
        lambda: len(recovered(servers, name)) >= least,
        f"{least} ledger partitions recovered by worker {name}",
        progress=lambda: servers.log_tail(name, 5),
    )
    return recovered(servers, name)


@pytest.mark.slow
@pytest.mark.usefixtures("real_kafka")
def test_what_stays_over_a_rebalance_is_not_recovered_again_and_every_row_is_right(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    log = floor_log(5, 4500, 60)
    oracle = Oracle.from_events([sent.value for sent in log])
    options = {"bootstrap_servers": kafka_bootstrap}
    kafka = {"brokers": [kafka_bootstrap], "topic_prefix": PREFIX, "group": GROUP, "partitions": PARTITIONS}

    async def go() -> tuple[Counter[str], Counter[str], dict[str, Any]]:
        async with processes(tmp_path) as (servers, redis_url):
            config = write_config(tmp_path / "f.yaml", kafka=kafka, redis={"url": redis_url})
            await create_topics(options, topics.topic_specs(PREFIX, PARTITIONS))
            start_worker(servers, "one", config)
            await until_recovered(servers, "one", PARTITIONS)
            await Load(kafka_bootstrap, PREFIX, PARTITIONS, log[:1500], 1500).run()
            two = start_worker(servers, "two", config)
            await until_recovered(servers, "two", 1)
            await Load(kafka_bootstrap, PREFIX, PARTITIONS, log[1500:3000], 1500).run()
            two.kill()
            await Load(kafka_bootstrap, PREFIX, PARTITIONS, log[3000:], 1500).run()
            cluster = Cluster(options, PREFIX, GROUP, PARTITIONS)
            await cluster.folded(STALLED_S)
            await end_input(kafka_bootstrap, PREFIX, PARTITIONS, oracle.watermark_ms or 0)
            await cluster.folded(STALLED_S)
            tables = {table: await cluster.table(table) for table in COMPARED}
            await cluster.close()
            return recovered(servers, "one"), recovered(servers, "two"), tables

    one, two, tables = run(go())
    expected = Expected(oracle)
    panes = {table: keyed(rows, panes=True) for table, rows in tables.items()}
    windows = {table: keyed(rows, panes=False) for table, rows in tables.items()}
    wrong = differences(expected.panes, panes, COMPARED) + differences(expected.windows, windows, COMPARED)
    assert not wrong, report(wrong, len(panes))
    moved = set(two)
    assert 0 < len(moved) < PARTITIONS
    assert {partition for partition, times in one.items() if times == 1} == set(map(str, range(PARTITIONS))) - moved
    assert all(one[partition] == 2 for partition in moved)
