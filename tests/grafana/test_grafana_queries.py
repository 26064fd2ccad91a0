"""Every query of the board on a real Prometheus that scrapes a real exporter."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from grafana.queries import QUERIES, SLICED_BY, interpolate
from telemetry.engine_metrics import EngineMetrics
from telemetry.exporter import ExportPolicy, FloorCollector, Row
from telemetry.registry import build_registry
from tests.grafana.prom import RealPrometheus, Sample
from tests.grafana.serving import served
from tests.support import require
from tests.telemetry.sample_rows import floor_rows, open_incidents

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {
    "window": "1h",
    "scope": "all",
    "by": "vendor",
    "site": ".*",
    "vendor": ".*",
    "queue": ".*",
    "__rate_interval": "1m",
}


def fill(metrics: EngineMetrics) -> None:
    for partition in (0, 1):
        for stage in ("intake", "ledger", "scopes"):
            metrics.folded(stage, partition, 100)
            metrics.lag(stage, partition, partition)
            metrics.flushed(stage, 0.02)
        metrics.watermark(partition, time.time_ns() // 1_000_000 - 5_000)
        metrics.floor_watermark(partition, time.time_ns() // 1_000_000 - 5_000)
        metrics.duplicates(partition, 3)
        metrics.late(partition, 1)
    metrics.dead_letter("intake", "not_json", 2)


class Floor:
    """A worker's telemetry, its rows in the test's hands, and the Prometheus that scrapes it."""

    def __init__(self, prom: RealPrometheus, address: str, rows: list[Row], metrics: EngineMetrics) -> None:
        self.prom = prom
        self.address = address
        self.rows = rows
        self.metrics = metrics

    def ask(self, key: str, **values: str) -> list[Sample]:
        """Return the answer to a query of the board."""
        return self.prom.query(interpolate(QUERIES[key].expr, {**DEFAULTS, **values}))


@pytest.fixture(scope="module")
def floor() -> Iterator[Floor]:
    require("prometheus")
    rows: list[Row] = list(floor_rows())
    metrics = EngineMetrics(component="worker", version="0.1.0", stages=("intake", "ledger", "scopes"))
    fill(metrics)
    policy = ExportPolicy(dict.fromkeys(("1h", "24h"), ExportPolicy().kinds["1h"]))
    rules = [("accuracy-low", "critical"), ("backlog", "warning")]
    collector = FloorCollector(lambda: list(rows), policy=policy, incidents=open_incidents, rules=rules)
    with served(build_registry(collector, metrics)) as address, RealPrometheus([address]) as prom:
        prom.wait_scraped()
        fill(metrics)
        prom.wait_scraped(times=4)
        yield Floor(prom, address, rows, metrics)


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[pytest.mark.fixed_clock] if "watermark_lag" in key else []) for key in QUERIES]
)
def test_query_returns_what_it_promises(floor: Floor, key: str) -> None:
    expect = QUERIES[key].expect
    found = floor.ask(key)
    assert len(found) >= expect.min_series, f"{key} returns no data"
    for sample in found:
        assert set(sample.labels) == expect.labels, key
        assert expect.low <= sample.value <= expect.high, f"{key}: {sample}"


@pytest.mark.parametrize("by", SLICED_BY.values())
def test_every_choice_of_by_has_lines(floor: Floor, by: str) -> None:
    assert floor.ask("accuracy_by", by=by)


def test_filters_narrow_the_slices_as_grafana_renders_them(floor: Floor) -> None:
    both = {s.labels["scope"] for s in floor.ask("accuracy_by", vendor="(bpo-a|bpo-b)")}
    assert both == {"vendor=bpo-a", "vendor=bpo-b"}
    cross = {s.labels["scope"] for s in floor.ask("labels_by", by="vendor_queue", vendor="bpo-a", queue="hate")}
    assert cross == {"vendor=bpo-a,queue=hate"}


def test_one_scope_is_one_number(floor: Floor) -> None:
    (sample,) = floor.ask("labels_per_hour", scope="vendor=bpo-a,queue=hate", window="24h")
    assert sample.value == 200


def test_counts_are_right_after_increase_and_lag(floor: Floor) -> None:
    assert floor.ask("incidents")[0].value == 2
    by_rule = {(s.labels["rule"], s.labels["severity"]): s.value for s in floor.ask("incidents_by")}
    assert by_rule == {("accuracy-low", "critical"): 2, ("backlog", "warning"): 0}
    assert {s.labels["stage"]: s.value for s in floor.ask("lag")} == {"intake": 1, "ledger": 1, "scopes": 1}
    assert floor.ask("dead_letters")[0].value > 0
    assert floor.ask("refused")[0].value == 0


def test_the_variables_find_their_values(floor: Floor) -> None:
    assert floor.prom.label_values("floorwatch_labels", "window") == ["1h", "24h"]
    assert floor.prom.label_values('floorwatch_labels{scope_kind="vendor"}', "vendor") == ["bpo-a", "bpo-b", "inhouse"]
    assert "vendor=bpo-a,queue=hate" in floor.prom.label_values('floorwatch_labels{window="1h"}', "scope")


def test_promtool_has_nothing_against_the_exposition(floor: Floor) -> None:
    require("promtool")
    with urllib.request.urlopen(f"http://{floor.address}/metrics", timeout=10) as answer:
        text = answer.read()
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_series_of_a_partition_that_left_are_gone_from_prometheus_at_the_next_scrape(floor: Floor) -> None:
    """Last in the file, because it takes rows away."""
    key = "vendor=inhouse"
    assert key in {s.labels["scope"] for s in floor.ask("labels_by")}
    floor.rows[:] = [row for row in floor.rows if row["scope_key"] != key]
    floor.metrics.drop_partition("ledger", 1)

    def gone() -> bool:
        slices = {s.labels["scope"] for s in floor.ask("labels_by")}
        return key not in slices and len(floor.ask("watermark_lag_by")) == 1

    floor.prom.wait_until(gone, "the moved series are stale")
    assert {s.labels["scope"] for s in floor.ask("labels_by")} == {"vendor=bpo-a", "vendor=bpo-b"}


def test_zero_incidents_is_zero_only_while_a_worker_knows_it() -> None:
    require("prometheus")
    metrics = EngineMetrics(component="worker", version="0.1.0")
    expr = QUERIES["incidents"].expr
    with served(build_registry(metrics)) as address, RealPrometheus([address]) as prom:
        prom.wait_scraped(times=1)
        assert [s.value for s in prom.query(expr)] == [0]
    with RealPrometheus({"prometheus": []}) as empty:
        assert empty.query(expr) == [], json.dumps(empty.targets())
