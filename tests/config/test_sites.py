"""A site without a time zone is told wherever somebody looks: config check, doctor, the worker's log and statusz, table."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from config.tables import TableSettings
from floorwatch.cli.config_cmd import config_app
from floorwatch.cli.doctor_sites import review_checks
from floorwatch.settings.load import loads
from floorwatch.settings.review import warnings
from floorwatch.settings.schema import FloorwatchConfig
from floorwatch.settings.sites import named_sites, zoneless, zoneless_words
from streams.agents.aggregate import AggregateStage
from streams.core.scopes import scope_key
from streams.status import sites_of
from streams.zones import ZoneWatch
from tests.redis_clients import blocking_client

TEXT = """
gateway:
  label_studio: {labelers: {ls-user-7: {site: MNL}, ls-user-8: {site: KUL}}}
  sources: {acme: {token: secret-of-sixteen-letters, site: [CEB, KUL], may: [label.*], event_sources: [acme/]}}
  grant_key: a-key-of-at-least-thirty-two-letters-here
alerts:
  rules: [{kind: accuracy_low, name: a, scope: {site: DVO}, window: 1h, target: 0.95, min_sample: 50, severity: page}]
"""


def config_of(text: str = TEXT) -> FloorwatchConfig:
    return loads(text, {}, name="f.yaml", base=Path())


def test_sites_are_named_in_three_places() -> None:
    assert named_sites(config_of()) == {"MNL", "KUL", "CEB", "DVO"}
    assert zoneless(named_sites(config_of()), config_of().tables) == ["CEB", "DVO", "MNL"]


def test_only_calendar_windows_hang_on_a_zone() -> None:
    sliding = TableSettings(windows=["1h"])
    assert zoneless({"MNL"}, sliding) == []
    both = TableSettings(windows=["1h", "day", "shift"], shifts=["07:00"], default_zone="Asia/Manila")
    said = zoneless_words(["MNL"], both)
    assert said == "no time zone is configured for MNL: their day and shift are that of Asia/Manila"


def test_config_check_says_it(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(TEXT)
    result = CliRunner().invoke(config_app, ["check", str(path)])
    assert (
        "warning: tables.zones: no time zone is configured for CEB, DVO, MNL: their day is that of UTC" in result.output
    )
    path.write_text(
        TEXT + "tables: {zones: {CEB: Asia/Manila, DVO: Asia/Manila, MNL: Asia/Manila, KUL: Asia/Kuala_Lumpur}}"
    )
    assert "tables.zones" not in CliRunner().invoke(config_app, ["check", str(path)]).output


@pytest.mark.servers
def test_doctor_says_it_of_the_configuration_and_of_the_tables(valkey_url: str) -> None:
    client = blocking_client(valkey_url)
    for scope in ({"site": "SUR"}, {"site": "KUL"}, {"vendor": "bpo-a"}, {"site": "ZZZ", "vendor": "x"}):
        key = scope_key(tuple(scope), tuple(scope.values()))
        client.hset("floorwatch:rows:throughput:day", key, "{}")
    client.close()
    config = config_of(TEXT + f"redis: {{url: '{valkey_url}'}}\n")
    found = {check.name: check for check in asyncio.run(review_checks(config))}
    assert {check.status for check in found.values()} == {"warn"}
    assert "for CEB, DVO, MNL" in found["configuration"].detail
    assert "for SUR: their day" in found["sites"].detail
    assert "tables.zones" in (found["sites"].fix or "")


def test_doctor_says_all_that_config_check_warns_of() -> None:
    config = config_of("redis: {url: 'redis://127.0.0.1:1/0'}\nmetrics: {scopes: [[labeler]]}\n")
    checks = asyncio.run(review_checks(config))
    assert [check.detail for check in checks] == warnings(config) != []


def test_the_worker_says_it_once_of_each_site(caplog: pytest.LogCaptureFixture) -> None:
    sites = {"KUL", "MNL"}
    watch = ZoneWatch(TableSettings(), lambda: sites)
    with caplog.at_level(logging.WARNING):
        assert [watch.look(), watch.look()] == [["MNL"], ["MNL"]]
        sites.add("CEB")
        assert watch.look() == ["CEB", "MNL"]
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in said] == [
        "no time zone is configured for MNL",
        "no time zone is configured for CEB",
    ]
    assert all("add them to tables.zones" in line for line in said)


def test_a_worker_knows_the_sites_it_counts() -> None:
    keys = [scope_key(names, values) for names, values in (
        ((), ()), (("site",), ("MNL",)), (("vendor",), ("site=x",)), (("site", "vendor"), ("CEB", "a")), (("site",), ("a,b",)),
    )]  # fmt: skip
    stage = SimpleNamespace(floor=SimpleNamespace(scopes=dict.fromkeys(keys)))
    worker: Any = SimpleNamespace(stages=lambda kind: [stage] if kind is AggregateStage else [])
    assert "MNL" in sites_of(cast("Any", worker))
    assert "CEB" not in sites_of(cast("Any", worker))
