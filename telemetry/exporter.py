"""Table rows to Prometheus families, built anew on every scrape.

Nothing is remembered between scrapes: a row that is gone, because its partition moved to another worker or its window
emptied, has no series any more, and Prometheus marks it stale at the next scrape.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Protocol

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from streams.core.policy import DEFAULT_SCOPES, DIMENSIONS
from streams.core.records import CONTENT_ERRORS
from streams.core.scopes import scope_kind
from streams.models.timestamps import BadTimestamp, parse_rfc3339
from telemetry.catalogue import INCIDENTS_OPEN, ROWS_SKIPPED
from telemetry.metric import Metric
from telemetry.table_metrics import TABLE_METRICS

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
"""A table row as JSON: see ``streams/core/tables.py``."""

Incident = Mapping[str, Any]
"""An incident with at least ``rule``, ``severity`` and ``state``; with ``window`` and ``scope_key``, its series are kept first."""

_OPEN_STATES = frozenset(("open", "acknowledged", "escalated"))
_DEFAULT_KINDS = frozenset(frozenset(kind) for kind in DEFAULT_SCOPES if "labeler" not in kind)


class RowSource(Protocol):
    """Anything that answers with the rows held now; it is called on the event loop's thread."""

    def __call__(self) -> Iterable[Row]:
        """Return the rows this worker holds now. They are read once, in another thread, and must not change meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """Which rows become series. The bound on series is about 25 x 2 x ``max_scopes``, however many windows there are.

    Attributes:
        kinds: By window the kinds of scope exported, each by its dimensions. One with ``labeler`` is personal data and unbounded:
            only on request.
        first: The window whose scopes have ``max_scopes`` places to themselves; the others share as many.
        max_scopes: Most scopes exported of ``first``, and of the other windows together. Those stay that an open incident is
            about, then the ones with the most labels; the rest are counted.
    """

    kinds: Mapping[str, frozenset[frozenset[str]]] = attribute(default_factory=lambda: {"1h": _DEFAULT_KINDS})
    max_scopes: int = 2000
    first: str = "1h"

    def places(self, window: str) -> int:
        """Return the most scopes exported of a window."""
        others = len(self.kinds.keys() - {self.first})
        return self.max_scopes if window == self.first else max(1, self.max_scopes // max(1, others))


DEFAULT_POLICY = ExportPolicy()


_NONE: frozenset[frozenset[str]] = frozenset()


class FloorCollector(Collector):
    """Yields the table families and the open incidents from what this worker holds now."""

    def __init__(
        self,
        rows: RowSource,
        *,
        policy: ExportPolicy = DEFAULT_POLICY,
        incidents: Callable[[], Iterable[Incident]] | None = None,
        rules: Collection[tuple[str, str]] = (),
    ) -> None:
        """Remember where to look.

        Args:
            rows: Answers with the rows held by this worker; called once a scrape.
            policy: Which rows become series.
            incidents: Answers with the incidents this worker owns (not those of all workers: the board sums).
            rules: (rule, severity) of every configured rule, shown as 0 while it has no open incident.
        """
        self._rows = rows
        self._policy = policy
        self._incidents = incidents
        self._rules = tuple(rules)
        self._told = False

    def describe(self) -> Iterable[Family]:
        """Return nothing, so that registering the collector does not read the rows."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Return the families of one scrape, as :meth:`snapshot` does, made at once."""
        return self.snapshot()()

    def snapshot(self) -> Callable[[], Iterator[Family]]:
        """Take what a scrape needs, which is cheap and belongs to the event loop; return what makes its families in any thread.

        A malformed row is skipped and counted, never fatal to the scrape.
        """
        rows = self._rows()
        incidents = () if self._incidents is None else tuple(self._incidents())
        return lambda: self._families(rows, incidents)

    def _families(self, rows: Iterable[Row], incidents: tuple[Incident, ...]) -> Iterator[Family]:
        chosen, skipped = self._choose(rows, incidents)
        families = {m.name: Family(m.name, m.help, m.kind) for m in TABLE_METRICS}
        for row, labels in chosen:
            try:
                samples = [
                    (metric.name, sample)
                    for metric in _METRICS_OF.get(row["table"], ())
                    for sample in _samples(metric, row)
                ]
            except CONTENT_ERRORS:
                skipped["malformed"] += 1
                continue
            for name, (own, value) in samples:
                families[name].add_sample(name, {**labels, **own} if own else labels, value)
        yield from families.values()
        yield self._incident_family(incidents)
        family = Family(ROWS_SKIPPED.name, ROWS_SKIPPED.help, ROWS_SKIPPED.kind)
        for reason, count in skipped.items():
            family.add_sample(ROWS_SKIPPED.name, {"reason": reason}, float(count))
        yield family

    def _choose(
        self, rows: Iterable[Row], incidents: Iterable[Incident]
    ) -> tuple[list[tuple[Row, dict[str, str]]], dict[str, int]]:
        """Return the rows to export with their labels, and how many were left out by reason."""
        skipped = {"cap": 0, "malformed": 0, "partial": 0}
        # The key prevents two samples of one series, for which Prometheus would refuse the scrape.
        found: dict[tuple[str, str, str], Row] = {}
        for row in rows:
            if not _well_formed(row):
                skipped["malformed"] += 1
            elif row.get("partial"):
                skipped["partial"] += 1
            elif frozenset(row["scope"]) in self._policy.kinds.get(row["window"], _NONE):
                found[row["table"], row["window"], row["scope_key"]] = row
        kept = self._kept_scopes(list(found.values()), _of_incidents(incidents))
        chosen: list[tuple[Row, dict[str, str]]] = []
        for row in found.values():
            if kept is not None and (row["window"], row["scope_key"]) not in kept:
                skipped["cap"] += 1
            else:
                chosen.append((row, self._labels(row)))
        return chosen, skipped

    def _kept_scopes(self, rows: list[Row], of_incidents: set[tuple[str, str]]) -> set[tuple[str, str]] | None:
        """Return the (window, scope key) that stay under the cap, busiest first; None where the cap does not bite."""
        weight: dict[tuple[str, str], tuple[bool, bool, int]] = {}
        for row in rows:
            place = (row["window"], row["scope_key"])
            labels = row.get("labels") or row.get("due") or 0
            # The scope of the whole floor is always exported, because every headline of the board reads it.
            rank = (not row["scope"], place in of_incidents, labels if isinstance(labels, int) else 0)
            weight[place] = max(weight.get(place, (False, False, 0)), rank)
        kept: set[tuple[str, str]] = set()
        bites = False
        for window in self._policy.kinds:
            places = [place for place in weight if place[0] == window]
            most = self._policy.places(window)
            if len(places) > most:
                bites = True
                self._tell(window, len(places), most)
                places.sort(key=lambda place: (weight[place], place), reverse=True)
            kept.update(places[:most])
        return kept if bites else None

    def _tell(self, window: str, scopes: int, most: int) -> None:
        """Log once that the cap leaves scopes out; how many now is a series."""
        if not self._told:
            self._told = True
            log.warning(
                "window %s has %d scopes and %d places in the metrics: the least busy ones have no series, so the board is empty for "
                "them. Fewer kinds of scopes in metrics.scopes leave room; floorwatch_export_rows_skipped counts what is left out",
                window,
                scopes,
                most,
            )

    def _labels(self, row: Row) -> dict[str, str]:
        scope = row["scope"]
        labels = {"window": row["window"], "scope": row["scope_key"], "scope_kind": scope_kind(scope)}
        # A label without a value and none are the same to Prometheus; eight empty ones were a third of the scrape.
        labels.update((dimension, str(scope[dimension])) for dimension in DIMENSIONS if scope.get(dimension))
        # Half of a surrogate pair cannot be written in UTF-8 and would make the whole scrape fail.
        return {name: value.encode(errors="replace").decode() for name, value in labels.items()}

    def _incident_family(self, incidents: Iterable[Incident]) -> Family:
        family = Family(INCIDENTS_OPEN.name, INCIDENTS_OPEN.help, INCIDENTS_OPEN.kind)
        if self._incidents is None:
            return family
        counts = dict.fromkeys(self._rules, 0)
        for incident in incidents:
            if incident.get("state") not in _OPEN_STATES:
                continue
            key = (str(incident.get("rule", "unknown")), str(incident.get("severity", "unknown")))
            counts[key] = counts.get(key, 0) + 1
        for (rule, severity), count in sorted(counts.items()):
            family.add_sample(INCIDENTS_OPEN.name, {"rule": rule, "severity": severity}, float(count))
        return family


def _of_incidents(incidents: Iterable[Incident]) -> set[tuple[str, str]]:
    """Return the (window, scope key) of open incidents: their messages link to the board."""
    return {
        (str(one.get("window")), str(one.get("scope_key"))) for one in incidents if one.get("state") in _OPEN_STATES
    }


def _metrics_of() -> dict[str, tuple[Metric, ...]]:
    tables = dict.fromkeys(m.table for m in TABLE_METRICS if m.table is not None)
    return {table: tuple(m for m in TABLE_METRICS if m.table == table) for table in tables}


_METRICS_OF = _metrics_of()


def _well_formed(row: object) -> bool:
    if not isinstance(row, Mapping) or not isinstance(row.get("scope"), Mapping):
        return False
    return all(isinstance(row.get(name), str) for name in ("table", "window", "scope_key"))


def _samples(metric: Metric, row: Row) -> Iterator[tuple[dict[str, str], float]]:
    """Yield labels beyond the scope's and value of each sample of one row."""
    for field in metric.fields:
        value = _at(row, field.name)
        if field.since is not None:
            value = _seconds_between(_at(row, field.since), value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            continue
        yield dict(field.labels), value * field.scale


def _at(row: Row, path: str) -> object:
    """Return a field of a row, ``outer.inner`` inside an object; None where there is none."""
    found: object = row
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _seconds_between(start: object, end: object) -> float | None:
    if not isinstance(start, str) or not isinstance(end, str):
        return None
    try:
        return (parse_rfc3339(end) - parse_rfc3339(start)).total_seconds()
    except BadTimestamp:
        return None
