"""The boards: which panels, in which rows, with which variables. Uids and panel ids never change."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from grafana.panels import (
    ACCURACY_STEPS,
    COLUMNS,
    COUNT_BAD_STEPS,
    DATASOURCE,
    LAG_STEPS,
    NO_SLICE,
    PLAIN_STEPS,
    TARGET_STEPS,
    Spec,
    build,
)
from grafana.queries import FILTERS, SLICED_BY

LIVE_FLOOR_UID = "floorwatch-live-floor"

_NOW = (
    Spec(
        1,
        "stat",
        "Accuracy",
        "Accuracy of the window's work in the chosen scope, estimated from random audits. Judge it with the interval beside it. "
        "Audits that say nothing of sampling are assumed to be random; the table below counts them.",
        "percentunit",
        ("accuracy",),
        3,
        4,
        ACCURACY_STEPS,
        decimals=1,
    ),
    Spec(
        2,
        "stat",
        "At least (95%)",
        "Lower end of the 95% interval: accuracy is above this with the evidence at hand. Few audits: low.",
        "percentunit",
        ("accuracy_low",),
        3,
        4,
        ACCURACY_STEPS,
        decimals=1,
    ),
    Spec(
        3,
        "stat",
        "Labels / h",
        "Standing labels an hour of the window, in the chosen scope.",
        "short",
        ("labels_per_hour",),
        3,
        4,
    ),
    Spec(
        4,
        "stat",
        "SLA attainment",
        "Tasks due in the window that were completed in time. Open past due counts as missed.",
        "percentunit",
        ("attainment",),
        3,
        4,
        ACCURACY_STEPS,
        decimals=1,
    ),
    Spec(5, "stat", "Backlog", "Open tasks as of the watermark, in the chosen scope.", "short", ("backlog",), 3, 4),
    Spec(
        6,
        "stat",
        "Open incidents",
        "Incidents not resolved, over the whole floor. See the incident inbox for evidence.",
        "short",
        ("incidents",),
        3,
        4,
        COUNT_BAD_STEPS,
    ),
    Spec(
        7,
        "stat",
        "Watermark lag",
        "How far the slowest partition's complete event time lies behind now. Above 10 min the tables are old.",
        "s",
        ("watermark_lag",),
        3,
        4,
        LAG_STEPS,
        decimals=0,
    ),
    Spec(
        8,
        "stat",
        "Dead letters, 1 h",
        "Records refused in the last hour. Read the reasons in the dead-letter topic; none of them is in the tables.",
        "short",
        ("dead_letters",),
        3,
        4,
        COUNT_BAD_STEPS,
        decimals=0,
    ),
)

_ACCURACY = (
    Spec(
        11,
        "band",
        "Accuracy with its 95% interval: $scope",
        "The band is the 95% interval of the estimate. Only a band wholly below the dashed target is evidence of a miss. The raw share "
        "holds every audit alike, those picked because something looked wrong too.",
        "percentunit",
        ("accuracy_low", "accuracy_high", "accuracy", "accuracy_raw"),
        12,
        9,
        TARGET_STEPS,
        target=True,
        high=1.0,
    ),
    Spec(
        12,
        "timeseries",
        "Accuracy by $by",
        "One line a slice; compare slices only where both have enough audits (see the table).",
        "percentunit",
        ("accuracy_by",),
        12,
        9,
        TARGET_STEPS,
        target=True,
        high=1.0,
        no_value=NO_SLICE,
    ),
    Spec(
        13,
        "table",
        "By $by",
        "Every measure of every slice now, the weakest evidence of accuracy first. Assumed random: of the audited, those whose audits "
        "say nothing of sampling. Accuracy rests on the assumption that they are a random sample.",
        "short",
        tuple(column.query for column in COLUMNS),
        24,
        9,
        no_value=NO_SLICE,
    ),
)

_THROUGHPUT = (
    Spec(
        21,
        "timeseries",
        "Labels / h by $by",
        "Standing labels an hour of the window. A slice that stops drops to zero, it does not freeze.",
        "short",
        ("labels_per_hour_by",),
        8,
        low=0,
        no_value=NO_SLICE,
    ),
    Spec(
        22,
        "timeseries",
        "Handle time: $scope",
        "From start to label. A falling median with falling accuracy is rushing.",
        "s",
        ("handle_p50", "handle_p90", "handle_p95"),
        8,
        low=0,
    ),
    Spec(
        23,
        "timeseries",
        "Active labellers by $by",
        "Distinct labellers with a label in the window; only scopes that count heads have it.",
        "short",
        ("labelers_by",),
        8,
        low=0,
        no_value=NO_SLICE,
    ),
)

_SLA = (
    Spec(
        31,
        "timeseries",
        "SLA attainment by $by",
        "Completed in time, of the tasks due in the window that are met or missed. Dashed: the 95% target.",
        "percentunit",
        ("attainment_by",),
        8,
        steps=TARGET_STEPS,
        target=True,
        high=1.0,
        no_value=NO_SLICE,
    ),
    Spec(
        32,
        "timeseries",
        "Backlog by $by",
        "Open tasks as of the watermark. Vendor, site and team are unknown until a label, unless the task says so.",
        "short",
        ("backlog_by",),
        8,
        low=0,
        no_value=NO_SLICE,
    ),
    Spec(
        33,
        "timeseries",
        "Due, met, missed: $scope",
        "Tasks due in the window. Missed includes those still open past due.",
        "short",
        ("sla_due", "sla_met", "sla_missed"),
        4,
        low=0,
    ),
    Spec(
        34,
        "timeseries",
        "Oldest open task: $scope",
        "A growing straight line is a task nobody sees: find it before its due time.",
        "s",
        ("oldest_open",),
        4,
        low=0,
    ),
    Spec(
        35,
        "timeseries",
        "Time until due times are missed, by queue",
        "From open work by due time against the pace of the last hour. A line that falls to 0 is a breach; no line: all fits.",
        "s",
        ("breach_by",),
        12,
        low=0,
        no_value="Every due time can be met",
    ),
    Spec(
        36,
        "timeseries",
        "Tasks that will be late, by queue",
        "Open tasks that will not be done by their due times at the pace of the last hour, whatever the order.",
        "short",
        ("shortfall_by",),
        12,
        low=0,
        no_value="Every due time can be met",
    ),
)

_STREAM = (
    Spec(
        41,
        "timeseries",
        "Open incidents by rule",
        "Over the whole floor, by rule and severity.",
        "short",
        ("incidents_by",),
        8,
        low=0,
    ),
    Spec(
        42,
        "timeseries",
        "Dead letters by reason",
        "Refused records per interval. wrong_type and missing_field point at a tool that changed its payload.",
        "short",
        ("dead_letters_by",),
        8,
        low=0,
    ),
    Spec(
        43,
        "timeseries",
        "Watermark lag by partition",
        "One partition alone behind the others: its worker is stuck or overloaded.",
        "s",
        ("watermark_lag_by",),
        8,
        steps=LAG_STEPS,
        target=True,
        low=0,
    ),
    Spec(44, "timeseries", "Records waiting", "Lag of each stage in its source log.", "short", ("lag",), 6, low=0),
    Spec(
        45,
        "timeseries",
        "Records folded / s",
        "Work done by each stage; zero with records waiting means stuck.",
        "short",
        ("folded",),
        6,
        low=0,
    ),
    Spec(
        46,
        "timeseries",
        "Flush time, p95",
        "Changelog written, then committed. Near the flush interval the broker is the bottleneck.",
        "s",
        ("flush_p95",),
        6,
        low=0,
    ),
    Spec(
        47,
        "timeseries",
        "Duplicates, late, refused scopes / s",
        "Duplicates are harmless. Late events are outside the tables; refused scopes mean the cap on scopes bites.",
        "short",
        ("duplicates", "late", "refused"),
        6,
        steps=PLAIN_STEPS,
        low=0,
    ),
    Spec(
        48,
        "timeseries",
        "Waiting for broker, Redis, a flush",
        "How long the longest wait under way has lasted. A line that climbs: the broker takes no records, or Redis is away.",
        "s",
        ("waiting",),
        24,
        low=0,
    ),
)

ROWS: tuple[tuple[str, tuple[Spec, ...]], ...] = (
    ("Now: $scope, last $window", _NOW),
    ("Accuracy", _ACCURACY),
    ("Throughput", _THROUGHPUT),
    ("SLA", _SLA),
    ("Incidents and the stream itself", _STREAM),
)


def _option(text: str, value: str) -> dashboard.VariableOption:
    return dashboard.VariableOption(selected=True, text=text, value=value)


def _chosen(name: str, label: str, metric_label: str, default: str, about: str) -> builders.QueryVariable:
    """A variable with exactly one value, out of what Prometheus knows."""
    query = f"label_values(floorwatch_labels, {metric_label})"
    if name == "scope":
        query = 'label_values(floorwatch_labels{window="$window"}, scope)'
    built = builders.QueryVariable(name).label(label).description(about).datasource(DATASOURCE).query(query)
    built = built.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return built.sort(dashboard.VariableSort.ALPHABETICAL_ASC).current(_option(default, default))


def _filter(name: str) -> builders.QueryVariable:
    """A variable with any number of values; All also lets slices through that do not carry the dimension."""
    query = f'label_values(floorwatch_labels{{scope_kind="{name}"}}, {name})'
    built = builders.QueryVariable(name).label(name.capitalize()).datasource(DATASOURCE).query(query)
    built = built.description(f"Only slices of these; a slice without a {name} needs All.").multi(True)
    built = built.include_all(True).all_value(".*").refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return built.sort(dashboard.VariableSort.ALPHABETICAL_ASC).current(_option("All", "$__all"))


def _by() -> builders.CustomVariable:
    values = ",".join(f"{text} : {kind}" for text, kind in SLICED_BY.items())
    text, kind = next(iter(SLICED_BY.items()))
    about = "What the lines and the table are cut by."
    return builders.CustomVariable("by").label("By").description(about).values(values).current(_option(text, kind))


def live_floor() -> dashboard.Dashboard:
    """Return the board "Live floor"."""
    about = "The floor now: accuracy with its interval, throughput, SLA, open incidents, and the stream's own health."
    board = builders.Dashboard("Live floor").uid(LIVE_FLOOR_UID).description(about).tags(["floorwatch", "generated"])
    board = board.time("now-3h", "now").refresh("10s").timezone("browser").readonly()
    board = board.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    board = board.with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    board = board.with_variable(_chosen("window", "Window", "window", "1h", "The run of panes each number covers."))
    board = board.with_variable(_chosen("scope", "Scope", "scope", "all", "Whose headline numbers and interval."))
    board = board.with_variable(_by())
    for name in FILTERS:
        board = board.with_variable(_filter(name))
    for number, (title, specs) in enumerate(ROWS):
        board = board.with_row(builders.Row(title).id(100 + number))
        for spec in specs:
            board = board.with_panel(build(spec))
    return board.build()
