"""The board's JSON: current, whole, and made only of queries and metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models import dashboard

from grafana import generate
from grafana.boards import LIVE_FLOOR_UID, ROWS
from grafana.queries import FILTERS, QUERIES, SLICED_BY, interpolate
from streams.core.policy import DEFAULT_SCOPES
from streams.core.scopes import scope_kind
from telemetry.catalogue import CATALOGUE
from telemetry.metric import Metric

ROOT = Path(__file__).resolve().parents[2]
BOARD: dict[str, Any] = json.loads((ROOT / "grafana/generated/live-floor.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
_SELECTOR = re.compile(r"(floorwatch_\w+)(?:\{([^}]*)\})?")
_UNITS = {"percentunit", "s", "short"}


def metric_of(series: str) -> Metric | None:
    stem = series.removesuffix("_bucket")
    return next((m for m in CATALOGUE if m.name == stem), None)


def test_the_committed_board_is_current() -> None:
    assert generate.check(ROOT) == []


def test_a_stale_and_a_stray_board_are_reported(tmp_path: Path) -> None:
    (path,) = generate.generate(tmp_path)
    assert generate.check(tmp_path) == []
    path.write_text(path.read_text().replace("0.95", "0.96", 1))
    path.with_name("mine.json").write_text("{}")
    stale, stray = generate.check(tmp_path)
    assert "make generate" in stale
    assert "delete it" in stray


def test_identity_is_stable() -> None:
    assert BOARD["uid"] == LIVE_FLOOR_UID == "floorwatch-live-floor"
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert None not in ids
    assert "version" not in BOARD


def test_the_sdk_reads_back_what_it_wrote() -> None:
    again = dashboard.Dashboard.from_json(BOARD)
    assert [panel.id_val for panel in again.panels or []] == [panel["id"] for panel in BOARD["panels"]]


def test_every_panel_explains_itself_and_has_a_unit_and_colours() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in _UNITS, panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]
        assert defaults["color"]["mode"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]


def test_panels_do_not_overlap_and_fill_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        grid = panel["gridPos"]
        cells = {(grid["x"] + dx, grid["y"] + dy) for dx in range(grid["w"]) for dy in range(grid["h"])}
        assert not cells & taken, panel["title"]
        assert grid["x"] + grid["w"] <= 24, panel["title"]
        taken |= cells
    assert len(taken) == 24 * (1 + max(y for _, y in taken))


def test_targets_are_exactly_the_queries_and_all_queries_are_used() -> None:
    targets = [target for panel in PANELS for target in panel["targets"]]
    assert {t["refId"]: t["expr"] for t in targets} == {key: query.expr for key, query in QUERIES.items()}
    for panel in PANELS:
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)), panel["title"]


def test_numbers_of_now_are_instant_so_that_they_cannot_be_old() -> None:
    for panel in PANELS:
        instant = panel["type"] in ("stat", "table")
        assert all(target["instant"] is instant for target in panel["targets"]), panel["title"]


def test_queries_name_only_metrics_and_labels_of_the_catalogue() -> None:
    for query in QUERIES.values():
        for series, selector in _SELECTOR.findall(query.expr):
            metric = metric_of(series)
            assert metric is not None, f"{query.key}: {series} is not in the catalogue"
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
                assert label in metric.labels, f"{query.key}: {series} has no label {label}"


def test_legends_name_only_labels_of_the_answer() -> None:
    for query in QUERIES.values():
        named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
        assert named == query.expect.labels, query.key


def test_every_variable_used_is_defined_and_every_one_defined_is_used() -> None:
    text = json.dumps(BOARD)
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)\}|(\w+))", text)} - {"__rate_interval", "__all"}
    assert used == set(VARIABLES)
    assert set(FILTERS) | {"window", "scope", "by", "datasource"} == set(VARIABLES)


def test_by_offers_only_scopes_that_are_kept_and_exported() -> None:
    kinds = {scope_kind(kind) for kind in DEFAULT_SCOPES if "labeler" not in kind}
    assert set(SLICED_BY.values()) == kinds - {"all"}


def test_the_band_lies_between_the_ends_of_the_interval() -> None:
    band = next(panel for panel in PANELS if panel["id"] == 11)
    legends = {target["legendFormat"] for target in band["targets"]}
    fills = {
        override["matcher"]["options"]: prop["value"]
        for override in band["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "custom.fillBelowTo"
    }
    assert fills == {"95% upper": "95% lower"}
    assert {"95% upper", "95% lower", "accuracy"} <= legends
    assert band["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] == 0.95
    assert band["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed"


def test_the_tables_columns_are_renamed_from_values_that_exist() -> None:
    table = next(panel for panel in PANELS if panel["type"] == "table")
    merge, organize = table["transformations"]
    assert merge["id"] == "merge"
    renamed = organize["options"]["renameByName"]
    assert set(renamed) == {"scope", *(f"Value #{target['refId']}" for target in table["targets"])}
    overridden = {override["matcher"]["options"] for override in table["fieldConfig"]["overrides"]}
    assert overridden <= set(renamed.values())
    assert all(target["format"] == "table" for target in table["targets"])


def test_a_query_with_an_unknown_variable_is_refused() -> None:
    with pytest.raises(KeyError, match="site"):
        interpolate('x{site=~"$site"}', {"window": "1h"})


def test_provisioning_points_at_the_generated_boards_and_the_composes_prometheus() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    providers = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/floorwatch.yml").read_text())["providers"]
    path = providers[0]["options"]["path"]
    assert f"./grafana/generated:{path}:ro" in compose["services"]["grafana"]["volumes"]
    home = compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{path}/{next(iter(generate.BOARDS))}"
    source = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
    scrape = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


def test_rows_hold_the_specs_in_order() -> None:
    titles = [panel["title"] for panel in BOARD["panels"]]
    assert titles == [title for row, specs in ROWS for title in (row, *(spec.title for spec in specs))]
