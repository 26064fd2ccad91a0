"""Metrics read from the rows of the tables, one series per scope and window: a part of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from streams.core.policy import DIMENSIONS
from streams.models.measures import TABLES
from streams.models.measures.records import Measure, Quantile, Series
from telemetry.metric import PREFIX, Kind, Metric, RowField
from telemetry.metric import Table as TableName

MS_TO_S = 0.001

SCOPE_LABELS: tuple[str, ...] = ("window", "scope", "scope_kind", *(d for d in DIMENSIONS if d != "labeler"))
"""Labels of every table series. ``scope`` is the scope's key as the API, alerts and CLI print it."""


def _metrics() -> Iterator[Metric]:
    """Yield the metrics of the measures: those of one series that has quantiles are one metric."""
    quantiles: dict[Series, list[Measure]] = {}
    shown = [
        (measure, series)
        for table in TABLES.values()
        for measure in table.measures.values()
        for series in measure.series
    ]
    for measure, series in shown:
        if isinstance(measure.source, Quantile):
            quantiles.setdefault(series, []).append(measure)
    for measure, series in shown:
        if series not in quantiles:
            yield _metric("gauge", measure, series, (_field(measure, series),))
        elif measure is quantiles[series][0]:
            fields = tuple(_field(one, series) for one in quantiles[series])
            yield _metric("summary", measure, series, fields, ("quantile",))


def _metric(
    kind: Kind, measure: Measure, series: Series, fields: tuple[RowField, ...], labels: tuple[str, ...] = ()
) -> Metric:
    unit = series.unit or ("seconds" if measure.unit == "ms" else measure.unit)
    table = cast("TableName", measure.table)
    return Metric(PREFIX + series.name, kind, series.help, unit, SCOPE_LABELS + labels, table, fields)


def _field(measure: Measure, series: Series) -> RowField:
    """Return where the samples come from: milliseconds become seconds."""
    name = f"{measure.name}.{series.field}" if series.field else measure.name
    labels: tuple[tuple[str, str], ...] = ()
    if isinstance(measure.source, Quantile):
        labels = (("quantile", str(measure.source.share)),)
    return RowField(name, MS_TO_S if measure.unit == "ms" else 1.0, labels, series.since or None)


TABLE_METRICS: tuple[Metric, ...] = tuple(_metrics())
