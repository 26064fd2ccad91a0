"""The panels as data, and one builder per kind of panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard, prometheus

from grafana.queries import QUERIES

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
NO_SLICE = "No such slice: choose another By, or clear the filters it does not carry"

Builder = stat.Panel | table.Panel | timeseries.Panel
Steps = tuple[tuple[float | None, str], ...]

ACCURACY_STEPS: Steps = ((None, "red"), (0.90, "orange"), (0.95, "green"))
TARGET_STEPS: Steps = ((None, "transparent"), (0.95, "green"))
COUNT_BAD_STEPS: Steps = ((None, "green"), (1, "red"))
LAG_STEPS: Steps = ((None, "green"), (120, "orange"), (600, "red"))
PLAIN_STEPS: Steps = ((None, "blue"),)


@dataclass(frozen=True, slots=True)
class Spec:
    """One panel.

    Attributes:
        id: Stable number on its board: links to a panel hold it.
        kind: How it is drawn.
        title: What it shows.
        description: How to read it and what to do about it.
        unit: Grafana unit id.
        queries: Keys of ``QUERIES``.
        width: Of 24 columns.
        height: In grid rows.
        steps: Colours from a value upwards; the first has no value.
        target: Draw the last step's value as a dashed line.
        low: Least value of the axis.
        high: Greatest value of the axis.
        decimals: Digits after the point.
        no_value: Shown instead of "No data".
    """

    id: int
    kind: Literal["stat", "timeseries", "band", "table"]
    title: str
    description: str
    unit: str
    queries: tuple[str, ...]
    width: int
    height: int = 8
    steps: Steps = PLAIN_STEPS
    target: bool = False
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    no_value: str | None = None


@dataclass(frozen=True, slots=True)
class PanelColumn:
    """One column of the table by slice: query, heading, unit, and colours if any."""

    query: str
    heading: str
    unit: str
    steps: Steps | None = None


COLUMNS = (
    PanelColumn("accuracy_by", "Accuracy", "percentunit", ACCURACY_STEPS),
    PanelColumn("accuracy_low_by", "95% lower", "percentunit"),
    PanelColumn("accuracy_high_by", "95% upper", "percentunit"),
    PanelColumn("audited_by", "Audited", "short"),
    PanelColumn("assumed_by", "Assumed random", "short"),
    PanelColumn("critical_by", "Critical errors", "percentunit", ((None, "green"), (0.005, "orange"), (0.01, "red"))),
    PanelColumn("overturn_by", "Overturned", "percentunit"),
    PanelColumn("labels_by", "Labels", "short"),
    PanelColumn("labels_per_hour_by", "Labels/h", "short"),
    PanelColumn("attainment_by", "SLA attainment", "percentunit", ACCURACY_STEPS),
    PanelColumn("backlog_by", "Backlog", "short"),
    PanelColumn("oldest_open_by", "Oldest open", "s"),
    PanelColumn("accuracy_raw_by", "Raw share of audits", "percentunit"),
)


def build(spec: Spec) -> Builder:
    """Return the SDK builder of a panel."""
    if spec.kind == "stat":
        return _stat(spec)
    if spec.kind == "table":
        return _table(spec)
    return _timeseries(spec)


def _target(key: str, *, instant: bool, as_table: bool = False) -> prometheus_builders.Dataquery:
    query = QUERIES[key]
    built = prometheus_builders.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(key)
    built = built.editor_mode(prometheus.QueryEditorMode.CODE).datasource(DATASOURCE)
    if as_table:
        built = built.format(prometheus.PromQueryFormat.TABLE)
    return built.instant() if instant else built.range()


def _thresholds(steps: Steps) -> dashboard_builders.ThresholdsConfig:
    built = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(built)


def _colour(mode: dashboard.FieldColorModeId) -> dashboard_builders.FieldColor:
    return dashboard_builders.FieldColor().mode(mode)


def _stat(spec: Spec) -> stat.Panel:
    panel = stat.Panel().id(spec.id).title(spec.title).description(spec.description).datasource(DATASOURCE)
    panel = panel.unit(spec.unit).span(spec.width).height(spec.height).thresholds(_thresholds(spec.steps))
    panel = panel.color_scheme(_colour(dashboard.FieldColorModeId.THRESHOLDS))
    panel = panel.color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    if spec.decimals is not None:
        panel = panel.decimals(spec.decimals)
    for key in spec.queries:
        # Instant, so that a number whose worker died ten minutes ago is "No data" and not its last value.
        panel = panel.with_target(_target(key, instant=True))
    return panel


def _timeseries(spec: Spec) -> timeseries.Panel:
    panel = timeseries.Panel().id(spec.id).title(spec.title).description(spec.description).datasource(DATASOURCE)
    panel = panel.unit(spec.unit).span(spec.width).height(spec.height).thresholds(_thresholds(spec.steps))
    panel = panel.color_scheme(_colour(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    panel = panel.line_width(2).fill_opacity(0).show_points(common.VisibilityMode.NEVER)
    legend = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    legend = legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "min"])
    panel = panel.legend(legend)
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(common.SortOrder.ASCENDING))
    if spec.low is not None:
        panel = panel.axis_soft_min(spec.low)
    if spec.high is not None:
        panel = panel.max(spec.high)
    if spec.no_value is not None:
        panel = panel.no_value(spec.no_value)
    if spec.target:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    for key in spec.queries:
        panel = panel.with_target(_target(key, instant=False))
    return _with_band(panel) if spec.kind == "band" else panel


def _with_band(panel: timeseries.Panel) -> timeseries.Panel:
    """Fill between the interval's ends and draw no lines for them."""
    value = dashboard.DynamicConfigValue
    no_line = [value("custom.lineWidth", 0), value("color", {"mode": "fixed", "fixedColor": "blue"})]
    upper, lower = QUERIES["accuracy_high"].legend, QUERIES["accuracy_low"].legend
    fill = [value("custom.fillBelowTo", lower), value("custom.fillOpacity", 18)]
    panel = panel.override_by_name(upper, [*no_line, *fill]).override_by_name(lower, no_line)
    colour = value("color", {"mode": "fixed", "fixedColor": "blue"})
    return panel.override_by_name(QUERIES["accuracy"].legend, [colour, value("custom.lineWidth", 3)])


def _table(spec: Spec) -> table.Panel:
    panel = table.Panel().id(spec.id).title(spec.title).description(spec.description).datasource(DATASOURCE)
    panel = panel.unit(spec.unit).span(spec.width).height(spec.height).thresholds(_thresholds(spec.steps))
    panel = panel.color_scheme(_colour(dashboard.FieldColorModeId.THRESHOLDS))
    names: dict[str, str] = {"scope": "Slice"}
    for column in COLUMNS:
        panel = panel.with_target(_target(column.query, instant=True, as_table=True))
        names[f"Value #{column.query}"] = column.heading
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    order = {field: place for place, field in enumerate(names)}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=organize))
    for column in COLUMNS:
        panel = panel.override_by_name(column.heading, _column_properties(column))
    if spec.no_value is not None:
        panel = panel.no_value(spec.no_value)
    return panel.sort_by([common_builders.TableSortByFieldState().display_name("95% lower").desc(False)])


def _column_properties(column: PanelColumn) -> list[dashboard.DynamicConfigValue]:
    value = dashboard.DynamicConfigValue
    properties = [value("unit", column.unit)]
    if column.unit == "percentunit":
        properties.append(value("decimals", 1))
    if column.steps is not None:
        steps = [{"value": at, "color": color} for at, color in column.steps]
        properties.append(value("thresholds", {"mode": "absolute", "steps": steps}))
        properties.append(value("custom.cellOptions", {"type": "color-text"}))
    return properties
