"""Rescaling: advice is arithmetic, the plan has the customer's names, and a replay into other partitions is exact."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from floorwatch.chaos.cluster import Cluster
from floorwatch.chaos.verdict import Expected, Tables, keyed
from floorwatch.chaos.workload import Load, end_input, floor_log
from floorwatch.cli import build
from floorwatch.cli.compare_sets import compare_tables
from floorwatch.cli.rescale import Measured, advise, measure
from floorwatch.cli.rescale_plan import new_set, steps
from floorwatch.settings.load import load
from floorwatch.simulate.compare import COMPARED, differences, report
from floorwatch.simulate.oracle import Oracle
from streams.adapters.admin import create_topics
from streams.models import topics
from tests.kafka.conftest import processes, start_worker, write_config

pytestmark = pytest.mark.servers

CALM = Measured(partitions=4, now_per_s=20.0, peak_per_s=26.0, lag=0, busiest_share=1.1, changelog=100_000, workers=1)


def test_a_floor_that_fits_is_left_alone() -> None:
    advice = advise(CALM, None, 8000, 50_000)
    assert (advice.workers, advice.partitions) == (2, 4)
    assert any("nothing to change" in reason for reason in advice.reasons)


@pytest.mark.parametrize(
    ("rate", "share", "workers", "partitions"),
    [(7_000, 1.0, 2, 4), (20_000, 1.0, 5, 10), (20_000, 2.0, 10, 20), (150_000, 1.0, 38, 76)],
)
def test_workers_carry_twice_the_rate_of_the_busiest_partition(
    rate: float, share: float, workers: int, partitions: int
) -> None:
    advice = advise(replace(CALM, busiest_share=share), rate, 8000, 50_000)
    assert (advice.workers, advice.partitions) == (workers, partitions)


def test_partitions_are_never_fewer_than_now() -> None:
    assert advise(replace(CALM, partitions=24), 20_000, 8000, 50_000).partitions == 24


def test_a_hot_partition_and_the_time_of_a_recovery_are_told() -> None:
    reasons = " ".join(advise(replace(CALM, busiest_share=2.5), None, 8000, 50_000).reasons)
    assert "2.5 times its share" in reasons
    assert "about 2.0 s" in reasons


def test_few_events_are_no_measure() -> None:
    """Two events on one of four partitions are not a hot partition."""
    advice = advise(replace(CALM, busiest_share=4.0, kept=2), None, 8000, 50_000)
    assert (advice.workers, advice.partitions) == (2, 4)
    said = " ".join(advice.reasons)
    assert "the log holds 2 events: too few to measure by" in said
    assert "times its share" not in said
    assert "changelog records" not in said


def test_the_plan_has_the_names_of_this_floor(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "acme.yaml",
        kafka={"topic_prefix": "acme.", "group": "acme-floor", "raw_topics": ["raw.v1", "tool-b.v1"]},
        redis={"prefix": "acme:"},
    )
    text = steps(load(config, {}), "acme.yaml", 12)
    for name in ("acme-p12.", "acme-floor-p12", "'acme-p12:'", "acme-p12.yaml", "[acme.raw.v1, acme.tool-b.v1]"):
        assert name in text, name
    done = CliRunner().invoke(build("rescale"), ["rescale", "--config", str(config), "--plan", "--partitions", "12"])
    assert done.exit_code == 0, done.output
    assert "acme-p12." in done.output


def _settings(path: Path, bootstrap: str, redis: dict[str, Any], **kafka: Any) -> Path:
    return write_config(
        path, kafka={"brokers": [bootstrap], **kafka}, redis=redis, alerts={"rules": []}, gateway={"port": 0}
    )


async def _tables(cluster: Cluster) -> tuple[Tables, Tables]:
    found = {table: await cluster.table(table) for table in COMPARED}
    panes = {table: keyed(rows, panes=True) for table, rows in found.items()}
    return panes, {table: keyed(rows, panes=False) for table, rows in found.items()}


@pytest.mark.slow
def test_a_replay_into_other_partitions_gives_equal_tables(kafka_bootstrap: str, tmp_path: Path) -> None:
    """The plan itself: two partitions serve, five read the same raw topic from its beginning, then both are equal."""
    log = floor_log(9, 6000, 60)
    oracle = Oracle.from_events([sent.value for sent in log])
    prefix, few, many = "grow.", 2, 5

    async def grow() -> tuple[tuple[Tables, Tables], tuple[Tables, Tables], tuple[Any, int], Measured]:
        async with processes(tmp_path) as (servers, redis_url):
            old = _settings(
                tmp_path / "old.yaml",
                kafka_bootstrap,
                {"url": redis_url, "prefix": "grow:"},
                topic_prefix=prefix,
                group="grow",
                partitions=few,
            )
            names = new_set(load(old, {}).kafka, "grow:", many)
            new = _settings(
                tmp_path / "new.yaml",
                kafka_bootstrap,
                {"url": redis_url, "prefix": names.redis_prefix},
                topic_prefix=names.prefix,
                group=names.group,
                partitions=many,
                foreign_raw_topics=list(names.raw),
            )
            connection = {"bootstrap_servers": kafka_bootstrap}
            raw = {prefix + topics.RAW: few}
            sides = (
                Cluster(connection, prefix, "grow", few),
                Cluster(connection, names.prefix, names.group, many, {**raw, names.prefix + topics.RAW: many}),
            )
            await create_topics(connection, topics.topic_specs(prefix, few))
            start_worker(servers, "old", old)
            await Load(kafka_bootstrap, prefix, few, log, 1500).run()
            await create_topics(connection, topics.topic_specs(names.prefix, many))
            start_worker(servers, "new", new)
            for side, its_prefix in zip(sides, (prefix, names.prefix), strict=True):
                await side.folded(90)
                await end_input(kafka_bootstrap, its_prefix, side.partitions, oracle.watermark_ms or 0)
                await side.folded(90)
            found = [await _tables(side) for side in sides]
            compared = await compare_tables(load(old, {}), load(new, {}))
            measured = await measure(load(new, {}), 1.0)
            for side in sides:
                await side.close()
            return found[0], found[1], compared, measured

    before, after, (unequal, compared), measured = asyncio.run(grow())
    expected = Expected(oracle)
    for name, (panes, windows) in (("old", before), ("new", after)):
        wrong = differences(expected.panes, panes, COMPARED) + differences(expected.windows, windows, COMPARED)
        assert not wrong, f"{name}: {report(wrong, len(panes))}"
    assert not unequal, report(unequal, compared)
    assert compared > 300
    assert (measured.partitions, measured.lag, measured.workers) == (many, 0, 1)
    assert measured.changelog > 100
