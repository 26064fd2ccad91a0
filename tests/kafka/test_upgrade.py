"""Rolling upgrade from the deployed version 24565ae on a real Kafka: versions mixed, workers killed, and not a wrong row."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from floorwatch.chaos.cluster import Cluster
from floorwatch.chaos.verdict import ChaosVerdict, Expected, judge
from floorwatch.chaos.workload import Load, end_input, floor_log
from floorwatch.embedded.servers import Servers, clean_environment, worker_command
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.wire import Sent
from tests.golden import deployed, make
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.kafka.test_handover import recovered
from tests.waits import STALLED_S, ended, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PREFIX, GROUP, PARTITIONS = "upgrade.", "upgrade", 4
EVENTS = int(os.environ.get("UPGRADE_EVENTS", "4000"))
RATE = 1500.0
SESSION_S = 6


class Roll:
    """Workers of the deployed version, replaced one by one by workers of this one."""

    def __init__(self, servers: Servers, config: Path, installed: Path) -> None:
        self.servers, self._config, self._installed = servers, config, installed
        self.running: dict[str, Any] = {}

    def start_old(self, name: str) -> None:
        """Start a worker of the deployed version, from a folder without this one's sources."""
        env = deployed.environment(self._installed, clean_environment())
        self.running[name] = self.servers.start(name, worker_command(self._config), env)

    def start_new(self, name: str) -> None:
        """Start a worker of this version."""
        self.running[name] = start_worker(self.servers, name, self._config)

    async def kill(self, name: str) -> None:
        """End a worker as ``kill -9`` does."""
        self.running.pop(name).kill()

    async def stop(self, name: str) -> None:
        """End a worker as a rolling restart does."""
        worker = self.running.pop(name)
        worker.terminate()
        await ended(worker, f"the end of worker {name}", lambda: self.servers.log_tail(name, 5))

    async def recovered(self, name: str, least: int = 1) -> None:
        """Wait until a worker has taken over so many ledger partitions."""
        await until(
            lambda: len(recovered(self.servers, name)) >= least,
            f"{least} ledger partitions recovered by worker {name}",
            progress=lambda: self.servers.log_tail(name, 5),
            process=self.running[name],
        )


def with_rare(log: list[Sent]) -> list[Sent]:
    """Return a log with tasks in it that the deployed version counts by other rules than this one (streams/core/recount.py)."""
    rare = [Sent(0, event["subject"], raw) for raw in make._rare_events() for event in [json.loads(raw)]]
    found, step = list(log), len(log) // (len(rare) + 1)
    for at, sent in enumerate(rare, 1):
        found.insert(at * (step + 1) - 1, sent)
    return [sent._replace(value=make.saying_how(json.loads(sent.value), sent.value)) for sent in found]


@pytest.mark.usefixtures("real_kafka")
def test_workers_are_replaced_one_by_one_without_a_wrong_row(kafka_bootstrap: str, tmp_path: Path) -> None:
    log = with_rare(floor_log(11, EVENTS, 60))
    expected = Expected(Oracle.from_events([sent.value for sent in log]))
    parts = [log[at * len(log) // 5 : (at + 1) * len(log) // 5] for at in range(5)]
    installed = deployed.install(tmp_path / "24565ae")
    options = {"bootstrap_servers": kafka_bootstrap}
    kafka = {"brokers": [kafka_bootstrap], "topic_prefix": PREFIX, "group": GROUP, "partitions": PARTITIONS}

    async def send(part: int) -> None:
        await Load(kafka_bootstrap, PREFIX, PARTITIONS, parts[part], RATE).run()

    async def go() -> ChaosVerdict:
        async with processes(tmp_path) as (servers, redis_url):
            settings = {**kafka, "session_timeout_s": SESSION_S}
            config = write_config(tmp_path / "f.yaml", kafka=settings, redis={"url": redis_url})
            create = "from floorwatch.cli import main; main()"
            deployed.run_python(
                installed, ["-c", create, "topics", "create", "--config", str(config)], clean_environment()
            )
            roll = Roll(servers, config, installed)
            roll.start_old("old-1")
            roll.start_old("old-2")
            await roll.recovered("old-1")
            await roll.recovered("old-2")
            await send(0)
            # One leaves in good order; versions are mixed from here on.
            await roll.stop("old-1")
            roll.start_new("new-1")
            await roll.recovered("new-1")
            await send(1)
            # A worker of the new version dies: what it wrote goes back to the deployed version for a while.
            await roll.kill("new-1")
            await send(2)
            await roll.recovered("old-2", PARTITIONS)
            roll.start_new("new-1b")
            await roll.recovered("new-1b")
            await send(3)
            # The last of the deployed version dies, with a flush under way as like as not.
            await roll.kill("old-2")
            roll.start_new("new-2")
            await roll.recovered("new-1b", PARTITIONS // 2)
            await send(4)
            cluster = Cluster(options, PREFIX, GROUP, PARTITIONS)
            await cluster.folded(STALLED_S)
            await end_input(kafka_bootstrap, PREFIX, PARTITIONS, expected.watermark_ms)
            await cluster.folded(STALLED_S)
            verdict = await judge(cluster, redis_url, "floorwatch:", expected)
            await cluster.close()
            assert roll.running.keys() == {"new-1b", "new-2"}
            assert all(worker.poll() is None for worker in roll.running.values())
            return verdict

    verdict = run(go())
    assert not verdict.wrong, f"{verdict.wrong_rows} wrong rows, the first: {verdict.wrong[:5]}"
    assert not verdict.dead, verdict.dead
    assert all(verdict.rows.values()), verdict.rows
