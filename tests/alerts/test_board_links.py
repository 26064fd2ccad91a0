"""The board link of every default rule opens panels with lines: its variables are the board's, its values labels of exported series."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.rules import Rule
from alerts.scopes import BOARD_CUTS, BOARD_FILTERS, board_path, board_until, scope_key
from floorwatch.settings.policies import exported_kinds
from floorwatch.settings.schema import FloorwatchConfig
from grafana.queries import SLICED_BY
from streams.agents.shown_rows import Shown, ShownRows
from streams.core.scopes import scope_kind
from streams.core.window_names import window_ms
from telemetry.exporter import ExportPolicy, FloorCollector, Row
from telemetry.registry import build_registry
from tests.telemetry.sample_rows import accuracy_row, sla_row, throughput_row

BOARD = json.loads((Path(__file__).resolve().parents[2] / "grafana/generated/live-floor.json").read_text())
VARIABLES = {variable["name"] for variable in BOARD["templating"]["list"]}
CONFIG = FloorwatchConfig()
RULES = CONFIG.rules
SINCE_MS = 1_780_000_000_000
VALUES = {name: f"{name}-1" for name in ("site", "vendor", "team", "queue", "policy", "market", "priority", "labeler")}


def scope_of(rule: Rule) -> dict[str, str]:
    return {name: VALUES[name] for name in rule.scope.names}


def rows_of(config: FloorwatchConfig) -> Iterator[Row]:
    """Every row that a worker of a floor with one value of each dimension has."""
    for kind in config.tables.scopes:
        scope = {name: VALUES[name] for name in kind}
        for window in config.tables.windows:
            for make in (accuracy_row, throughput_row, sla_row):
                yield make(scope, window, scope_key=scope_key(scope))


def series(config: FloorwatchConfig = CONFIG) -> list[tuple[str, dict[str, str]]]:
    policy = ExportPolicy(exported_kinds(config), first=config.shown_window)
    rows = list(rows_of(config))
    registry = build_registry(FloorCollector(lambda: rows, policy=policy))
    return [(sample.name, sample.labels) for family in registry.collect() for sample in family.samples]


SERIES = series()


def variables(path: str) -> dict[str, str]:
    return {
        name.removeprefix("var-"): value
        for name, (value,) in parse_qs(urlsplit(path).query).items()
        if name[:4] == "var-"
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_link_of_a_default_rule_shows_lines_of_exactly_its_scope_and_window(rule: Rule) -> None:
    path = board_path(scope_of(rule), rule.window, SINCE_MS, cuts=exported_kinds(CONFIG).get(rule.window, ()))
    if "labeler" in rule.scope.names:
        assert path == ""
        return
    chosen = variables(path)
    assert chosen.keys() <= VARIABLES
    assert (chosen["scope"], chosen["window"]) == (scope_key(scope_of(rule)), rule.window)
    own = [
        labels for name, labels in SERIES if labels.get("scope") == chosen["scope"] and labels["window"] == rule.window
    ]
    assert own, "the headline panels are empty"
    lines = [
        labels
        for name, labels in SERIES
        if name == "floorwatch_labels"
        and (labels["scope_kind"], labels["window"]) == (chosen["by"], rule.window)
        and all(labels.get(name, "") == chosen.get(name, labels.get(name, "")) for name in BOARD_FILTERS)
    ]
    assert lines, "the panels by $by are empty"


def test_exported_are_the_scopes_of_the_metrics_window_and_what_rules_watch_and_nothing_else() -> None:
    exported = {(labels["window"], labels["scope_kind"]) for _, labels in SERIES if "window" in labels}
    watched = {(rule.window, scope_kind(rule.scope.names)) for rule in RULES if "labeler" not in rule.scope.names}
    of_metrics = {("1h", scope_kind(kind)) for kind in CONFIG.metrics.scopes}
    lines_of_the_floor = {("15m", "vendor"), ("24h", "vendor")}
    assert exported == watched | of_metrics | lines_of_the_floor


def test_the_scopes_of_rules_are_exported_where_the_list_was_narrowed_and_people_never() -> None:
    narrowed = FloorwatchConfig.model_validate({"metrics": {"scopes": [["team"]]}})
    of_window = exported_kinds(narrowed)
    assert of_window["1h"] == {frozenset({"team"}), frozenset({"queue"})}
    assert of_window["8h"] == {frozenset({"vendor"}), frozenset({"queue"})}
    assert of_window["15m"] == {frozenset(), frozenset({"team"})}
    assert not any("labeler" in kind for kinds in of_window.values() for kind in kinds)
    one = {"name": "a", "kind": "accuracy_low", "window": "7d", "scope": {"by": "queue"}}
    own = exported_kinds(FloorwatchConfig.model_validate({"alerts": {"rules": [one]}}))
    assert (own.keys(), own["7d"]) == ({"1h", "7d"}, {frozenset({"queue"})})


def test_cuts_and_filters_are_choices_of_the_board() -> None:
    assert [scope_kind(cut) for cut in BOARD_CUTS] == list(SLICED_BY.values())
    assert set(BOARD_FILTERS) <= VARIABLES


@pytest.mark.parametrize(
    ("scope", "by", "filters"),
    [
        ({}, "vendor", {}),
        ({"vendor": "a"}, "vendor_queue", {"vendor": "a"}),
        ({"queue": "q"}, "vendor_queue", {"queue": "q"}),
        ({"site": "s"}, "site", {"site": "s"}),
        ({"policy": "p"}, "policy", {}),
        ({"team": "t"}, "team", {}),
        ({"queue": "q", "policy": "p"}, "queue_policy", {"queue": "q"}),
        ({"vendor": "a", "queue": "q"}, "vendor_queue", {"vendor": "a", "queue": "q"}),
    ],
)
def test_lines_are_cut_so_that_the_filters_leave_some(scope: dict[str, str], by: str, filters: dict[str, str]) -> None:
    found = variables(board_path(scope, "1h"))
    assert found == {"window": "1h", "scope": scope_key(scope), "by": by, **filters}


def test_a_cut_without_series_is_not_chosen() -> None:
    kept = frozenset({frozenset({"vendor"})})
    assert variables(board_path({"vendor": "a"}, "1h", cuts=kept))["by"] == "vendor"
    assert variables(board_path({"site": "a"}, "1h", cuts=kept)).keys() == {"window", "scope"}


def test_the_time_shown_begins_a_window_before_and_ends_now_or_where_it_was_over() -> None:
    path = board_path({"queue": "a&to=now"}, "8h", SINCE_MS)
    assert path.endswith(f"from={SINCE_MS - window_ms('8h')}&to=now")
    over = board_until(path, SINCE_MS + 1)
    assert over == path.removesuffix("now") + str(SINCE_MS + 1)
    assert board_until("", 5) == ""


def test_rows_are_kept_of_the_windows_and_scopes_that_become_series() -> None:
    kept = ShownRows(Shown({"1h": frozenset({frozenset(("queue",))})}))
    rows = [b'{"a":1}', None, b'{"a":2}']
    for window, scope in (("1h", {"queue": "q"}), ("24h", {"queue": "q"}), ("1h", {"labeler": "ann"})):
        kept.keep(window, scope, "k", rows)
    assert list(kept.rows()) == []  # the last one of the key is not shown
    kept.keep("1h", {"queue": "q"}, "k", rows)
    before = kept.rows()
    kept.keep("1h", {"queue": "q"}, "k", [None, None, None])
    assert list(kept.rows()) == []
    assert list(before) == [{"a": 1}, {"a": 2}]
    kept.keep("1h", {"queue": "q"}, "k", rows)
    kept.drop("1h", "k")
    assert list(kept.rows()) == []
