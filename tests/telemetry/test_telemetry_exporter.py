"""The exporter: what a row becomes, what is left out, and that nothing outlives its row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import get_args

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from alerts.incident import LIVE, State
from streams.core.counters import Counters
from streams.core.forecast.observe import QueueTally, outlook, outlook_row
from streams.core.row_layout import parts_of
from streams.core.scopes import scope_kind
from streams.core.tables import accuracy, sla, throughput
from telemetry.catalogue import CATALOGUE, COLLECTOR_METRICS, by_name
from telemetry.exporter import ExportPolicy, FloorCollector, Row
from telemetry.registry import build_registry
from telemetry.table_metrics import SCOPE_LABELS, TABLE_METRICS
from tests.telemetry.sample_rows import accuracy_row, floor_rows, open_incidents, sla_row, throughput_row

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

WHOLE_FLOOR = {"window": "1h", "scope": "all", "scope_kind": "all"}


FLOOR = frozenset({frozenset[str]()})


def scrape(rows: Iterable[Row], policy: ExportPolicy | None = None, **kwargs: object) -> Samples:
    """Return every sample of one scrape. None has an empty label, which would be the same as none to Prometheus."""
    collector = FloorCollector(lambda: rows, policy=policy or ExportPolicy(), **kwargs)  # type: ignore[arg-type]
    text = generate_latest(build_registry(collector)).decode()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert all(sample.labels.values()), sample.labels
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"two samples of {key}"
            samples[key] = sample.value
    return samples


def at(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset({**WHOLE_FLOOR, **labels}.items())


def test_every_field_arrives_in_base_units() -> None:
    samples = scrape([accuracy_row({}), throughput_row({}), sla_row({})])
    expected = {
        "floorwatch_accuracy_estimate_ratio": 0.95,
        "floorwatch_accuracy_low_ratio": 0.835,
        "floorwatch_accuracy_high_ratio": 0.986,
        "floorwatch_accuracy_raw_ratio": 0.93,
        "floorwatch_accuracy_ratio": 0.93,
        "floorwatch_accuracy_wilson_low_ratio": 0.835,
        "floorwatch_accuracy_wilson_high_ratio": 0.986,
        "floorwatch_accuracy_weighted_ratio": 0.94,
        "floorwatch_audited_labels": 40,
        "floorwatch_audit_coverage_ratio": 0.2,
        "floorwatch_critical_error_estimate_ratio": 0.02,
        "floorwatch_critical_error_low_ratio": 0.001,
        "floorwatch_critical_error_high_ratio": 0.12,
        "floorwatch_critical_error_ratio": 0.025,
        "floorwatch_overturn_ratio": 0.25,
        "floorwatch_labels": 200,
        "floorwatch_labels_per_hour": 200,
        "floorwatch_active_labelers": 12,
        "floorwatch_sla_due": 50,
        "floorwatch_sla_met": 47,
        "floorwatch_sla_missed": 3,
        "floorwatch_sla_attainment_ratio": 0.94,
        "floorwatch_backlog_tasks": 17,
        "floorwatch_oldest_open_task_age_seconds": 7200,
    }
    assert {name: samples[at(name)] for name in expected} == pytest.approx(expected)
    assert samples[at("floorwatch_handle_time_seconds", quantile="0.95")] == pytest.approx(95.5)
    assert samples[at("floorwatch_turnaround_seconds", quantile="0.99")] == pytest.approx(3500)


def test_a_queue_s_forecast_is_told_in_seconds_from_the_watermark() -> None:
    queue = {"scope": "queue=hate", "scope_kind": "queue", "queue": "hate"}
    samples = scrape([sla_row({"queue": "hate"})])
    assert samples[at("floorwatch_forecast_breach_seconds", **queue)] == 5400
    assert samples[at("floorwatch_forecast_shortfall_tasks", **queue)] == 31.5
    assert samples[at("floorwatch_forecast_tasks_per_hour", **queue)] == 48


@pytest.mark.parametrize("breach_at", [None, "soon", "2026-03-01T11:29:30"])
def test_without_a_breach_there_is_no_series(breach_at) -> None:
    forecast = {"breach_at": breach_at, "shortfall": 0.0, "tasks_per_hour": None}
    names = {name for name, _ in scrape([sla_row({"queue": "hate"}, forecast=forecast)])}
    assert "floorwatch_forecast_breach_seconds" not in names
    assert "floorwatch_forecast_tasks_per_hour" not in names
    assert "floorwatch_forecast_shortfall_tasks" in names


def test_every_table_metric_of_the_catalogue_has_a_series_on_a_full_floor() -> None:
    names = {name for name, _ in scrape(floor_rows())}
    assert {m.name for m in TABLE_METRICS} <= names


def test_a_scope_of_two_dimensions_is_named_and_labelled_in_fixed_order() -> None:
    samples = scrape([accuracy_row({"queue": "hate", "vendor": "bpo-a"}, scope_key="vendor=bpo-a,queue=hate")])
    labels = {"scope": "vendor=bpo-a,queue=hate", "scope_kind": "vendor_queue", "vendor": "bpo-a", "queue": "hate"}
    assert samples[at("floorwatch_accuracy_estimate_ratio", **labels)] == 0.95
    assert scope_kind(()) == "all"


def test_unknown_values_have_no_sample_and_are_not_zero() -> None:
    row = accuracy_row(
        {}, raw_accuracy_ratio=None, accuracy_low_ratio=math.nan, weighted_accuracy_ratio="0.9", audited=0
    )
    samples = scrape([row])
    for name in ("accuracy_raw_ratio", "accuracy_low_ratio", "accuracy_weighted_ratio"):
        assert at(f"floorwatch_{name}") not in samples
    assert samples[at("floorwatch_audited_labels")] == 0


def test_series_vanish_with_their_rows() -> None:
    rows = [accuracy_row({"vendor": "bpo-a"}), accuracy_row({"vendor": "bpo-b"})]
    collector = FloorCollector(lambda: rows)
    registry = build_registry(collector)
    assert b'vendor="bpo-b"' in generate_latest(registry)
    rows.pop()
    text = generate_latest(registry)
    assert b'vendor="bpo-b"' not in text
    assert b'vendor="bpo-a"' in text


def test_labellers_are_exported_only_on_request() -> None:
    rows = floor_rows(("1h",))
    assert not any("labeler" in dict(labels) or "ann" in str(labels) for _, labels in scrape(rows))
    asked = ExportPolicy({"1h": frozenset({frozenset({"labeler"})})})
    assert at("floorwatch_labels", scope="labeler=ann", scope_kind="labeler", labeler="ann") in scrape(rows, asked)


def test_only_the_windows_asked_for_and_no_panes() -> None:
    rows = [throughput_row({}, "1h"), throughput_row({}, "7d"), {**throughput_row({}, "pane"), "pane_s": 3600}]
    windows = {dict(labels)["window"] for name, labels in scrape(rows) if name == "floorwatch_labels"}
    assert windows == {"1h"}
    both = ExportPolicy({"1h": FLOOR, "7d": FLOOR})
    windows = {dict(labels)["window"] for name, labels in scrape(rows, both) if name == "floorwatch_labels"}
    assert windows == {"1h", "7d"}


def test_only_the_kinds_of_scopes_asked_for_of_each_window() -> None:
    rows = [throughput_row(scope, window) for scope in ({}, {"queue": "q"}) for window in ("1h", "8h")]
    policy = ExportPolicy({"1h": FLOOR, "8h": frozenset({frozenset({"queue"})})})
    found = {
        dict(labels)["window"]: dict(labels)["scope"]
        for name, labels in scrape(rows, policy)
        if name == "floorwatch_labels"
    }
    assert found == {"1h": "all", "8h": "queue=q"}


def test_the_rows_shown_are_those_of_the_snapshot() -> None:
    rows = [throughput_row({}, labels=1)]
    told = [{"state": "open", "rule": "r", "severity": "page"}]
    make = FloorCollector(lambda: tuple(rows), incidents=lambda: told).snapshot()
    rows[:] = [throughput_row({}, labels=2)]
    told.clear()
    values = {sample.name: sample.value for family in make() for sample in family.samples}
    assert (values["floorwatch_labels"], values["floorwatch_incidents_open"]) == (1, 1)


def test_the_cap_keeps_the_whole_floor_and_the_busiest_and_counts_the_rest() -> None:
    rows = [throughput_row({"queue": f"q{n}"}, labels=n) for n in range(10)] + [throughput_row({}, labels=1)]
    samples = scrape(rows, ExportPolicy(max_scopes=3))
    kept = {dict(labels)["scope"] for name, labels in samples if name == "floorwatch_labels"}
    assert kept == {"all", "queue=q9", "queue=q8"}
    assert samples["floorwatch_export_rows_skipped", frozenset({("reason", "cap")})] == 8


def test_the_windows_of_rules_share_a_cap_and_what_an_incident_is_about_stays(caplog: pytest.LogCaptureFixture) -> None:
    rows = [throughput_row({"queue": f"q{n}"}, window, labels=n) for window in ("1h", "8h", "24h") for n in range(10)]
    policy = ExportPolicy(dict.fromkeys(("1h", "8h", "24h"), frozenset({frozenset({"queue"})})), max_scopes=4)
    told = [{"state": "open", "rule": "r", "severity": "page", "window": "24h", "scope_key": "queue=q0"}]
    collector = FloorCollector(lambda: rows, policy=policy, incidents=lambda: told)
    for _ in range(2):
        found = [labels for f in collector.collect() for n, labels, *_ in f.samples if n == "floorwatch_labels"]
        kept = {window: {one["scope"] for one in found if one["window"] == window} for window in policy.kinds}
    assert kept["1h"] == {f"queue=q{n}" for n in (9, 8, 7, 6)}
    assert kept["8h"] == {"queue=q9", "queue=q8"}
    assert kept["24h"] == {"queue=q9", "queue=q0"}
    assert len([one for one in caplog.records if "places in the metrics" in one.getMessage()]) == 1


def test_malformed_rows_are_counted_and_do_not_break_the_scrape() -> None:
    broken: list[Row] = [
        {},
        {"table": "accuracy"},
        {**accuracy_row({}), "scope": "all"},
        {**accuracy_row({}), "window": 1},
    ]
    samples = scrape([*broken, None, accuracy_row({})])  # type: ignore[list-item]
    assert samples["floorwatch_export_rows_skipped", frozenset({("reason", "malformed")})] == 5
    assert samples[at("floorwatch_accuracy_raw_ratio")] == 0.93


def test_a_row_told_twice_makes_one_sample_with_the_later_value() -> None:
    samples = scrape([accuracy_row({}), accuracy_row({}, raw_accuracy_ratio=0.5)])
    assert samples[at("floorwatch_accuracy_raw_ratio")] == 0.5


def test_incidents_count_by_rule_and_severity_and_quiet_rules_are_zero() -> None:
    rules = [("accuracy-low", "critical"), ("backlog", "warning")]
    samples = scrape([], incidents=open_incidents, rules=rules)
    name = "floorwatch_incidents_open"
    assert samples[name, frozenset({("rule", "accuracy-low"), ("severity", "critical")})] == 2
    assert samples[name, frozenset({("rule", "backlog"), ("severity", "warning")})] == 0
    assert (name, frozenset({("rule", "sla-attainment"), ("severity", "warning")})) not in samples


def test_open_means_what_it_means_to_the_incidents_agent() -> None:
    states = get_args(State)
    incidents = [{"rule": state, "severity": "warning", "state": state} for state in states]
    counted = {dict(labels)["rule"] for name, labels in scrape([], incidents=lambda: incidents) if "incidents" in name}
    assert counted == LIVE


def test_every_field_the_catalogue_reads_is_one_the_tables_have() -> None:
    cells: Counters = {}
    parts = parts_of(cells)
    measures = {"accuracy": accuracy(parts), "throughput": throughput(parts), "sla": sla(parts)}
    forecast = outlook_row(outlook(QueueTally(), 0, None))
    measures["sla"] |= {f"forecast.{name}": value for name, value in forecast.items()}
    wanted = {(m.table, field.name) for m in TABLE_METRICS for field in m.fields}
    assert [(table, name) for table, name in wanted if name not in measures[table or ""]] == []


def test_hostile_values_are_escaped() -> None:
    nasty = 'a"b\\c\nd'
    samples = scrape([throughput_row({"queue": nasty}, scope_key=f"queue={nasty}")])
    assert at("floorwatch_labels", scope=f"queue={nasty}", scope_kind="queue", queue=nasty) in samples


def test_catalogue_names_are_unique_legal_and_in_base_units() -> None:
    names = [m.name for m in CATALOGUE]
    assert len(names) == len(set(names))
    for metric in CATALOGUE:
        assert re.fullmatch(r"floorwatch_[a-z][a-z0-9_]*", metric.name)
        assert metric.help.endswith(".")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"_(ms|millis|percent|minutes)\b", metric.name)
        if metric.unit in ("seconds", "ratio"):
            assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
        assert (metric.table is not None) == (metric.labels[: len(SCOPE_LABELS)] == SCOPE_LABELS)
    with pytest.raises(KeyError, match="add it there first"):
        by_name("floorwatch_nothing")


def test_what_the_collector_exports_is_what_the_catalogue_says() -> None:
    collector = FloorCollector(floor_rows, incidents=open_incidents)
    declared = {m.name: m for m in COLLECTOR_METRICS}
    families = list(collector.collect())
    assert [f.name for f in families] == list(declared)
    for family in families:
        assert family.type == declared[family.name].kind
        for sample in family.samples:
            kind = sample.labels.get("scope_kind")
            absent = set() if kind is None else set(SCOPE_LABELS) - {"window", "scope", "scope_kind", *kind.split("_")}
            assert set(declared[family.name].labels) - set(sample.labels) == absent
            assert set(sample.labels) <= set(declared[family.name].labels)
