"""Common part of the kinds that hold a share of good outcomes against a target: by evidence or by one window's exact test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import NormalDist
from typing import NamedTuple, Protocol

from msgspec import Struct

from alerts.contributors import PartCounts, share_contributors
from alerts.kinds.base import Finding, LowersToDetector, RuleContext, begun_anew, examples
from alerts.kinds.detector_text import (
    Reading,
    audit_suggestion_of,
    checked_reading,
    in_words,
    places_on_watch_list,
    reading_of,
)
from alerts.kinds.judged import attempt, judged, live_rows, readable
from alerts.rules import Selector
from alerts.signals import AuditSuggestion, Contributor
from alerts.view import Row, instant_ms
from streams.core.binomial import Z_95, Limits, interval_limits, judged_below
from streams.core.formatting import plural
from streams.core.proportions import WeightedShare
from streams.core.window_names import window_words


class ShareRule(Protocol):
    """What the rule of such a kind has."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def scope(self) -> Selector: ...  # noqa: D102
    @property
    def window(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> float: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def min_sample(self) -> int: ...  # noqa: D102
    @property
    def reference(self) -> str | None: ...  # noqa: D102


class ShareSeen(NamedTuple):
    """What a row shows of the share.

    Attributes:
        counts: Good outcomes and all, counted.
        share: The good share: of the counts, or estimated by weight. 0 where nothing was counted.
        ends: Its 95% interval.
        weighted: The estimate, where outcomes have weights.
    """

    counts: PartCounts
    share: float
    ends: Limits
    weighted: WeightedShare | None = None

    @property
    def bad_ends(self) -> Limits:
        """The interval of the share that is not good."""
        return 1 - self.ends[1], 1 - self.ends[0]

    def below(self, target: float, tail: float) -> bool:
        """Tell whether the share is below a target; wrong with the chance ``tail`` at most where it is not."""
        if self.weighted is None:
            return judged_below(self.counts.good, self.counts.total, target, tail)
        return self.share < target and self.weighted.limits(tail)[1] < target


class ShareMeasure(Struct, frozen=True):
    """How a kind reads its table and describes it.

    ``good_target`` is the least good share. ``value`` is the number shown of what a row shows, ``sentence``
    the evidence, ``part`` a contributor's share, ``noun`` what is counted. ``z`` tells the
    chance at which a window fires, that of a normal variable below −z; the interval shown is always that of 95%.
    ``estimate`` gives the share where ``read`` counts outcomes of different weights.
    ``sampled`` reads the outcomes by which contributors are compared, if those differ from what ``read`` counts.
    ``detector`` is the kind's, if it has one. ``figures`` are further numbers of the row for the message. ``awaited`` tells for how
    many of a row's units those counted stand where that is too few of them to judge by, (``streams.core.stand_for.awaited_audits``).
    """

    table: str
    noun: str
    good_target: float
    read: Callable[[Row], PartCounts]
    value: Callable[[ShareSeen], float]
    sentence: Callable[[Row, ShareSeen], str]
    figures: Callable[[Row, PartCounts], dict[str, float]]
    part: Callable[[PartCounts], str]
    z: float = Z_95
    estimate: Callable[[Row], WeightedShare | None] | None = None
    sampled: Callable[[Row], PartCounts] | None = None
    detector: LowersToDetector | None = None
    awaited: Callable[[Row], float | None] = lambda _row: None

    def seen(self, row: Row) -> ShareSeen:
        """Return what a row shows."""
        counts = self.read(row)
        weighted = None if self.estimate is None else self.estimate(row)
        if weighted is not None:
            return ShareSeen(counts, weighted.estimate.value, weighted.estimate[1:], weighted)
        return ShareSeen(counts, counts.tally.share, interval_limits(counts.good, counts.total))

    def compared(self, row: Row) -> Callable[[Row], PartCounts]:
        """How contributors to a row are read: as a sample, unless no audit of the row has a sampling probability."""
        return self.sampled if self.sampled is not None and self.sampled(row).total else self.read


def evaluate_share(rule: ShareRule, context: RuleContext, share: ShareMeasure) -> Iterable[Finding]:
    """One finding per selected row.

    By evidence it fires while the row's detector does, and then holds until the detector has evidence of recovery. By interval it
    fires when so few good outcomes have at most the chance of ``share.z`` where the true share is ``share.good_target``, by the exact
    binomial test or the limits of the weighted share (``streams.core.binomial``). It holds while a day or shift has had fewer than
    ``min_sample`` outcomes, and while most audits of the window are still to come; then nobody is named as a contributor, either.
    """
    rows = live_rows(rule, context, share.table, rule.window)
    reference: Mapping[str, Row] = {}
    if rule.reference is not None:
        reference = live_rows(rule, context, share.table, rule.reference)
    selected = {key: row for key, row in sorted(rows.items()) if rule.scope.matches(row["scope"])}
    readings: dict[str, Reading] = {}
    if rule.method == "evidence":
        selected = readable(rule, context, selected, lambda row: checked_reading(row, rule.name))
        found = {key: reading_of(row, rule.name) for key, row in selected.items()}
        readings = {key: reading for key, reading in found.items() if reading is not None}
    places = places_on_watch_list(readings)
    tail = NormalDist().cdf(-share.z)

    def judge(key: str) -> Finding:
        row = selected[key]
        seen = share.seen(row)
        cell = seen.counts
        reading = readings.get(key)
        awaited = share.awaited(row)
        if rule.method == "evidence":
            firing = reading is not None and bool(reading["firing"])
            holds = reading is not None and not firing and not reading.get("recovered", True)
        else:
            firing = cell.total >= rule.min_sample and awaited is None and seen.below(share.good_target, tail)
            holds = awaited is not None or begun_anew(rule.window, cell.total, rule.min_sample)
        return Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=firing,
            value=share.value(seen) if cell.total else None,
            target=rule.target,
            evidence=_evidence(rule, share, row, seen, reading, places.get(key)) + _awaited_words(row, awaited),
            since_ms=_since_ms(row, reading),
            contributors=_contributors(rule, context, share, key, rows, reference)
            if firing and awaited is None
            else (),
            examples=examples(row),
            wish=_audits_wanted(rule, share, reading),
            dated=reading is not None and reading["since_ms"] is not None,
            holds=holds,
            figures=share.figures(row, cell) if cell.total else {},
        )

    return judged(rule, context, selected, judge)


def _contributors(
    rule: ShareRule,
    context: RuleContext,
    share: ShareMeasure,
    key: str,
    rows: Mapping[str, Row],
    reference: Mapping[str, Row],
) -> tuple[Contributor, ...]:
    """Return what moves a scope's share. Parts whose rows cannot be read are left out: the alert does not depend on them."""
    row = rows[key]

    def of(rows: Mapping[str, Row], reference: Mapping[str, Row]) -> tuple[Contributor, ...]:
        read, target = share.compared(row), share.good_target
        return share_contributors(row["scope"], rows, reference=reference, read=read, target=target, words=share.part)

    def of_the_readable() -> tuple[Contributor, ...]:
        read = share.compared(row)
        return of(readable(rule, context, rows, read), readable(rule, context, reference, read))

    try:
        return of(rows, reference)
    except Exception:  # noqa: BLE001 - which row it was is found now, and told
        return attempt(rule, context, key, of_the_readable) or ()


def _audits_wanted(rule: ShareRule, share: ShareMeasure, reading: Reading | None) -> AuditSuggestion | None:
    """More audits, if they would soon decide."""
    if reading is None or share.detector is None or not reading.get("wants_audits"):
        return None
    return audit_suggestion_of(share.detector(rule).bets, reading)


def _since_ms(row: Row, reading: Reading | None) -> int:
    """When the change began, if the detector knows; else the start of the window."""
    if reading is not None and reading["since_ms"] is not None:
        return int(reading["since_ms"])
    return instant_ms(row["start"])


def _awaited_words(row: Row, awaited: float | None) -> str:
    if awaited is None:
        return ""
    return (
        f"; the audits of the window stand for about {awaited:,.0f} of its {plural(int(row['labels']), 'label')} so far"
    )


def _evidence(
    rule: ShareRule,
    share: ShareMeasure,
    row: Row,
    seen: ShareSeen,
    reading: Reading | None,
    place: int | None,
) -> str:
    cell = seen.counts
    sentence = share.sentence(row, seen) if cell.total else f"no {share.noun} in {window_words(rule.window)}"
    if rule.method == "evidence":
        if reading is None:
            return f"{sentence}; no evidence yet"
        return f"{sentence}; {in_words(reading, share.noun, place)}"
    if cell.total and cell.total < rule.min_sample:
        return f"{sentence}; too few to judge ({rule.min_sample} {share.noun} needed)"
    return sentence
