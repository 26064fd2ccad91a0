"""The inventory of limits: its metrics, settings and modules exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from floorwatch.settings.load import load
from gateway.metrics import GATEWAY_METRICS
from streams.core.scopes import TUPLES_LIMIT
from streams.engine.batches import IN_HAND
from streams.gauges import set_limits
from telemetry.catalogue import CATALOGUE
from telemetry.engine_metrics import EngineMetrics
from telemetry.limit import Limit
from telemetry.limits import LIMITS
from telemetry.metric import PREFIX

ROOT = Path(__file__).parents[2]
EVERY = [limit for _, limits in LIMITS for limit in limits]
EXPORTED = {metric.name for metric in (*CATALOGUE, *GATEWAY_METRICS)}


@pytest.mark.parametrize("limit", EVERY, ids=lambda limit: limit.buffer[:40])
def test_each_limit_has_metrics_a_module_and_a_setting_that_exist(limit: Limit) -> None:
    assert limit.fill in EXPORTED
    assert limit.wait is None or limit.wait in EXPORTED
    assert (ROOT / limit.where.partition(" ")[0]).is_file()
    if limit.setting is not None:
        value: Any = load(None, {})
        for name in limit.setting.split("."):
            value = getattr(value, name)


def test_bounds_that_are_settings_are_exported_beside_their_gauges() -> None:
    metrics = EngineMetrics(component="worker", version="0")
    set_limits(metrics, load(None, {"FLOORWATCH_ENGINE__MAX_UNFLUSHED_RECORDS": "5000"}))
    found = {
        sample.labels["of"]: sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == "floorwatch_limit"
    }
    assert found["unflushed_records"] == 5000
    assert found["batches_in_hand"] == IN_HAND
    assert found["interned_tuples"] == TUPLES_LIMIT
    assert {PREFIX + name for name in found} <= EXPORTED


def test_the_page_tells_the_numbers_of_the_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    assert f"{IN_HAND} batches of engine.max_batch_records" in page
    assert f"{TUPLES_LIMIT:,} parts of tuples" in page
