"""throughput_drop: far fewer labels than this scope's own recent windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from itertools import chain
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from alerts.baseline import Expectation, WindowCount, current_count, expect
from alerts.contributors import rank
from alerts.incident import Incident
from alerts.kinds.base import DetectorModel, Finding, KindSpec, RuleContext
from alerts.kinds.detector_text import Reading, drop_in_words, reading_of
from alerts.kinds.judged import attempt, judged, readable
from alerts.kinds.words import Phrase, figure, phrase
from alerts.part_index import PartIndex
from alerts.rules import Budget, FalseAlarms, MinZ, Ratio, Rule
from alerts.signals import Contributor
from alerts.statistics import drop_z
from alerts.view import Row
from streams.core.formatting import percent, plural
from streams.core.scopes import parse_scope_key
from streams.core.window_names import CALENDAR_WINDOWS, window_words


class ThroughputDropRule(Rule):
    """Fires when labels are at most ``target`` of the trailing baseline and that is no chance (z <= -min_z).

    ``method: evidence`` compares every hour with the same hour a week before and of days like it instead, and needs a week of history;
    ``target`` and the ``min_`` fields are then not looked at.
    """

    tables_read: ClassVar[tuple[str, ...]] = ("throughput",)
    reads_baseline: ClassVar[bool] = True

    kind: Literal["throughput_drop"]
    target: Ratio = 0.7
    method: Literal["baseline", "evidence"] = Field(
        default="baseline",
        description="baseline: the mean of the equal windows before; evidence: every hour with that of earlier days like it.",
    )
    budget: FalseAlarms = Budget(per_day=24, days=300)
    min_sample: float = Field(default=30, gt=0, description="Least labels expected by the baseline.")
    min_z: MinZ = 4.0
    min_windows: int = Field(default=4, ge=2, le=24, description="Least past windows of a baseline.")

    @model_validator(mode="after")
    def _of_equal_windows(self) -> ThroughputDropRule:
        if self.method == "baseline" and self.window in CALENDAR_WINDOWS:
            raise ValueError(
                f"a {self.window} in progress cannot be compared with whole ones: take a sliding window such as 24h, or "
                "method: evidence"
            )
        return self


def detector(_rule: ThroughputDropRule) -> DetectorModel:
    """Bets on labels an hour against the same hour of earlier days like it; they have no parameter."""
    return DetectorModel("throughput", None)


def evaluate(rule: ThroughputDropRule, context: RuleContext) -> Iterable[Finding]:
    """Labels of each selected scope against the mean of its preceding equal windows.

    A scope with a baseline and no row any more counts zero labels, which is the most important drop. Fires when
    count/expected <= target, z <= -min_z and at least ``min_sample`` labels were expected; with ``method: evidence``
    while the row's detector fires.

    Source: z is ``alerts.statistics.drop_z``.
    """
    stored = context.view.rows("throughput", rule.window)
    rows = readable(rule, context, stored)

    @cache
    def index() -> PartIndex:
        return _index(rule, rows, context)

    def judge(key: str) -> Finding | None:
        scope = dict(rows[key]["scope"]) if key in rows else parse_scope_key(key)
        if not rule.scope.matches(scope):
            return None
        count = current_count(rows.get(key), rule.window, context.watermark_ms)
        expected = expect(context.baseline.ring(rule.window, key), count.covered_ms)
        reading = reading_of(rows[key], rule.name) if key in rows else None
        if rule.method == "evidence":
            firing, evidence = _by_evidence(rule, count, reading)
        else:
            firing, evidence = _judge(rule, count, expected)
        return Finding(
            scope=scope,
            scope_key=key,
            firing=firing,
            value=count.labels / expected.labels if expected and expected.labels else None,
            target=rule.target,
            evidence=evidence,
            since_ms=count.start_ms if reading is None or reading["since_ms"] is None else reading["since_ms"],
            contributors=attempt(
                rule, context, key, lambda: _contributors(rule, scope, rows, context, expected, index())
            )
            or ()
            if firing and expected
            else (),
            dated=reading is not None and reading["since_ms"] is not None,
            figures=_figures(rule, count, expected, reading),
        )

    # A row that cannot be read is no row that has gone: it counts no zero labels.
    known = {*rows, *(key for key in context.baseline.scope_keys(rule.window) if key not in stored)}
    return judged(rule, context, sorted(known), judge)


def _by_evidence(rule: ThroughputDropRule, count: WindowCount, reading: Reading | None) -> tuple[bool, str]:
    seen = f"{count.labels:,} labels in {window_words(rule.window)}"
    if reading is None:
        return False, f"{seen}; no evidence yet"
    return bool(reading["firing"]), drop_in_words(reading, seen)


def _judge(rule: ThroughputDropRule, count: WindowCount, expected: Expectation | None) -> tuple[bool, str]:
    seen = f"{count.labels:,} labels in {window_words(rule.window)}"
    if expected is None or expected.windows < rule.min_windows:
        known = expected.windows if expected else 0
        return False, f"{seen}; no baseline yet ({known} of {rule.min_windows} past windows)"
    usual = f"{expected.labels:,.0f} expected (mean of the {expected.windows} windows before, φ {expected.phi:.1f})"
    if expected.labels < rule.min_sample:
        return False, f"{seen}, {usual}; too few to judge ({rule.min_sample:g} expected labels needed)"
    z = drop_z(count.labels, expected.labels, expected.phi, expected.windows)
    share = count.labels / expected.labels
    firing = share <= rule.target and z <= -rule.min_z
    return (
        firing,
        f"{seen}, {percent(share)} of {usual}; z {z:.1f}, alarm at {percent(rule.target)} and z -{rule.min_z:g}",
    )


def _index(rule: ThroughputDropRule, rows: Mapping[str, Row], context: RuleContext) -> PartIndex:
    """Return an index of all scopes with a row, or with a baseline and no row. A key that cannot be read is left out."""

    def scope_of_part(key: str) -> dict[str, str]:
        return dict(rows[key]["scope"]) if key in rows else parse_scope_key(key)

    stored = context.view.rows("throughput", rule.window)
    keys = chain(rows, (key for key in context.baseline.scope_keys(rule.window) if key not in stored))
    found = ((key, attempt(rule, context, key, partial(scope_of_part, key))) for key in keys)
    return PartIndex((key, scope) for key, scope in found if scope is not None)


def _contributors(
    rule: ThroughputDropRule,
    scope: dict[str, str],
    rows: Mapping[str, Row],
    context: RuleContext,
    whole: Expectation,
    index: PartIndex,
) -> tuple[Contributor, ...]:
    found = []

    def part_of(dimension: str, key: str) -> Contributor | None:
        count = current_count(rows.get(key), rule.window, context.watermark_ms)
        expected = expect(context.baseline.ring(rule.window, key), count.covered_ms)
        if expected is None:
            return None
        effect_pp = round((count.labels - expected.labels) / whole.labels * 100, 2)
        detail = f"{count.labels:,} labels, {expected.labels:,.0f} expected"
        value = (rows[key]["scope"] if key in rows else parse_scope_key(key))[dimension]
        return Contributor(dimension, value, effect_pp, count.labels, detail)

    for dimension, keys in index.children(scope):
        if dimension == "labeler":  # one person's counts mostly show their breaks
            continue
        parts = (attempt(rule, context, key, partial(part_of, dimension, key)) for key in keys)
        found += [part for part in parts if part is not None]
    return rank(found)


def _figures(
    rule: ThroughputDropRule, count: WindowCount, expected: Expectation | None, reading: Reading | None
) -> dict[str, float]:
    """Return the labels and the expected ones: since the drop began where a detector counts them, else of the window."""
    if rule.method == "evidence" and reading is not None and reading["units"]:
        return {"labels": reading["units"] - reading["bad"], "expected": reading["units"]}
    return {} if expected is None else {"labels": count.labels, "expected": round(expected.labels)}


def say(incident: Incident) -> Phrase:
    """Return ``throughput -40% (310 of 520 labels)``.

    Source: ours; the relative difference of the labels from those expected.
    """
    labels, expected = figure(incident, "labels"), figure(incident, "expected")
    if labels is None or not expected:
        number = "unknown" if incident.value is None else percent(incident.value)
        return phrase("throughput", number, percent(incident.target), after="of usual", held="alarm at")
    change = f"{100 * (labels / expected - 1):+.0f}%"
    return Phrase(
        change,
        f"{expected:,}",
        f"throughput {change} ({labels:,} of {plural(expected, 'label')})",
        line=f"{plural(expected - labels, 'label')} fewer than expected." if labels < expected else "",
    )


KIND = KindSpec(
    ThroughputDropRule,
    evaluate,
    "Throughput has dropped",
    say,
    {
        "labels": "labels done, since the drop began or in the window",
        "expected": "labels expected in that time, by earlier windows or days",
    },
    detector=detector,
)
