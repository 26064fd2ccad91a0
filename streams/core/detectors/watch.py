"""Watches: a rule's detector on one scope, fed from the panes the floor keeps.

The panes are the floor's rows. A watch holds only states: those after the last few panes, and after the last one of
each day. A changed pane drops the states from it on, and the fold continues from the state before. So a correction
within the kept panes, or a restart, gives exactly the state of an uninterrupted run with the corrected facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from streams.core.detectors.bets import ShareBets, merge_classes
from streams.core.detectors.dispersion import NANO, PaneClass, phi_of
from streams.core.detectors.fleet import wants_audits as wants
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.core.detectors.packed import accuracy_pane, critical_pane
from streams.models.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

Measure = Literal["accuracy", "critical_errors", "sla", "throughput"]
Counters = Mapping[int | str, int]


class Panes(Protocol):
    """The panes of a scope, as the floor keeps them."""

    def starts(self, tier: int) -> Collection[int]:
        """Return the starts of a tier's panes, in any order."""

    def counters(self, tier: int, pane_ms: int) -> Counters:
        """Return the counters of a pane; none where there is no pane."""

    def kept_ms(self, tier: int) -> int:
        """Return how long after its end a pane of a tier can still change and is surely kept."""


_FINER = ((0, MINUTE_MS), (1, 15 * MINUTE_MS))
"""Tiers whose panes may be shorter than a detector's, with the length of their panes."""

_NO_DAY = (0.0, 0.0)
_RECENT = 8
_THIN_AT = 64


@dataclass(frozen=True)
class Detector:
    """One rule's detector, lowered once from the rules.

    Attributes:
        name: The rule's.
        measure: What it watches.
        names: Dimensions a scope must have, exactly these.
        exact: Values it must have in some of them.
        window: Window whose rows show the reading.
        model: The bets on a share; None for throughput, whose bets have no parameter.
        bar: Score that fires.
    """

    name: str
    measure: Measure
    names: frozenset[str]
    exact: tuple[tuple[str, str], ...]
    window: str
    model: ShareBets | None
    bar: float

    def watches(self, scope: Mapping[str, str]) -> bool:
        """Tell whether a scope is one of the rule's."""
        return scope.keys() == self.names and all(scope[name] == value for name, value in self.exact)


AWAITED_DAYS = 4
"""Days after which the audits of a day are all taken to be in: a long weekend later."""

STANDS_FOR = 0.9
"""Part of the labels for which audits are expected to stand: the rest allows for chance, and for labels that are never audited."""


class LabelCounts(NamedTuple):
    """Where the labels of a pane are counted.

    Attributes:
        tier: The floor's tier, of panes as long as those of the evidence.
        counter: The counter.
    """

    tier: int
    counter: int


class PaneSource(NamedTuple):
    """Where a measure's panes come from.

    Attributes:
        tier: The floor's tier.
        pane_ms: Length of its panes.
        open_pane: Whether the pane the watermark stands in counts already.
        pane_of: Makes a pane of a row's counters; empty for nothing observed.
        counted: Counters of shorter panes that say whether anything was observed.
        labels: Where the labels are counted that audits stand for; None where units are not audits.
    """

    tier: int
    pane_ms: int
    open_pane: bool
    pane_of: Callable[[Counters], tuple[PaneClass, ...]]
    counted: tuple[int, ...] = ()
    labels: LabelCounts | None = None


def sla_pane(counters: Counters, met: int, missed: tuple[int, ...]) -> tuple[PaneClass, ...]:
    """Return a pane of due tasks: missed of those decided.

    Args:
        counters: The row.
        met: Counter of tasks completed in time.
        missed: Counters of those that were not.
    """
    late = sum(counters.get(counter, 0) for counter in missed)
    return merge_classes([PaneClass(NANO, counters.get(met, 0) + late, late)])


class Reading(NamedTuple):
    """What a detector says of a scope.

    Attributes:
        score: The evidence, "score : 1".
        bar: Score that fires.
        firing: Whether it fires.
        since_ms: When the change began: that of the open episode, to the finest pane still kept in which anything was observed, else
            of what the since-counter holds; None without.
        fired_ms: Pane in which it fired; None unless firing.
        units: Audits (or due tasks) since the since-counter last left 0. That is where things looked worst, so the share of
            bad ones in them exaggerates.
        bad: Bad ones among them.
        wants_audits: More audits here would soon decide (``fleet.wants_audits``); never of SLA and throughput.
        recovered: An alarm may end: there is evidence of recovery, or too few audits for any. False while it fires.
        phi: φ, by which evidence is tempered.
    """

    score: float
    bar: float
    firing: bool
    since_ms: int | None
    fired_ms: int | None
    units: int
    bad: int
    wants_audits: bool
    recovered: bool = True
    phi: float = 1.0

    def row(self) -> dict[str, Any]:
        """Return it as a row's field; times in milliseconds since 1970."""
        return self._asdict()


def reading_of(state: FoldState, detector: Detector) -> Reading:
    """Return what a state says."""
    bar, firing = detector.bar, state.firing
    scores = {detector.name: state.score} if detector.measure in ("accuracy", "critical_errors") else {}
    wants_audits = bool(wants(scores, bar, () if firing is None else scores))
    since_ms = state.since_ms if firing is None else firing.since_ms
    fired_ms = None if firing is None else firing.fired_ms
    counts = state.since_units, state.since_bad
    model = detector.model
    recovered, phi = firing is None, 1.0
    if model is not None:
        recovered = recovered and (state.recovered or model.too_few(state.learnt))
        phi = round(phi_of(state.learnt), 3)
    return Reading(state.score, bar, firing is not None, since_ms, fired_ms, *counts, wants_audits, recovered, phi)


class Watch:
    """One detector of a share on one scope."""

    __slots__ = ("_from_ms", "_known_until_ms", "_model", "_stands_for", "_states", "detector", "source")

    def __init__(self, detector: Detector, model: ShareBets, source: PaneSource) -> None:
        """Start with nothing folded."""
        self.detector = detector
        self.source = source
        self._model = model
        self._states: list[tuple[int, FoldState]] = []
        self._from_ms = 0
        self._known_until_ms = -1
        self._stands_for = 0.0

    def touch(self, tier: int, pane_ms: int, *, labels: bool = True) -> bool:
        """Drop the states from a changed pane on. Returns whether the detector uses the pane.

        Args:
            tier: Tier of the pane.
            pane_ms: Its start.
            labels: Whether its number of labels has changed.
        """
        counts = self.source.labels
        if tier != self.source.tier and (counts is None or tier != counts.tier or not labels):
            return False
        states = self._states
        if pane_ms < self._known_until_ms:
            self._known_until_ms = -1
        if pane_ms >= self._from_ms:
            while states and states[-1][0] >= pane_ms:
                states.pop()
        return True

    def read(self, panes: Panes, watermark_ms: int) -> Reading:
        """Fold what has changed and return what the detector says.

        Args:
            panes: The scope's panes.
            watermark_ms: The watermark.

        Returns:
            The reading; a function of the panes and the watermark, and nothing else.
        """
        source, model, states = self.source, self._model, self._states
        from_ms = first_pane_ms(watermark_ms, panes.kept_ms(source.tier))
        if from_ms != self._from_ms:
            self._from_ms = from_ms
            states.clear()
        self._learn_what_audits_stand_for(panes, watermark_ms)
        last_ms, state = states[-1] if states else (from_ms - 1, begin(model.bets))
        until_ms = watermark_ms if source.open_pane else watermark_ms - source.pane_ms
        starts = set(panes.starts(source.tier))
        if source.labels is not None:
            starts.update(panes.starts(source.labels.tier))
        for pane_ms in sorted([start for start in starts if last_ms < start <= until_ms]):
            pane = source.pane_of(panes.counters(source.tier, pane_ms))
            labels = 0.0
            if source.labels is not None:
                labels = self._stands_for * panes.counters(source.labels.tier, pane_ms).get(source.labels.counter, 0)
            if pane or (labels and state.top_nano):
                state, _ = fold_pane(model, state, pane_ms, pane, self.detector.bar, labels)
                states.append((pane_ms, state))
        self._states = thinned(states)
        reading = reading_of(state, self.detector)
        if not reading.firing or reading.since_ms is None:
            return reading
        return reading._replace(since_ms=self._begun_ms(panes, reading.since_ms, watermark_ms))

    def _begun_ms(self, panes: Panes, since_ms: int, watermark_ms: int) -> int:
        """Return the first shorter pane with an observation of the pane in which a change began; that pane where none is kept."""
        source = self.source
        for tier, pane_ms in _FINER:
            if pane_ms < source.pane_ms and since_ms >= first_pane_ms(watermark_ms, panes.kept_ms(tier)):
                for start in range(since_ms, since_ms + source.pane_ms, pane_ms):
                    counters = panes.counters(tier, start)
                    if any(counters.get(counter) for counter in source.counted):
                        return start
        return since_ms

    def _learn_what_audits_stand_for(self, panes: Panes, watermark_ms: int) -> None:
        """Find out for which part of the labels audits are expected to stand; forget all states if that has changed."""
        labels = self.source.labels
        until_ms = watermark_ms // DAY_MS * DAY_MS - AWAITED_DAYS * DAY_MS
        if labels is None or until_ms == self._known_until_ms:
            return
        days: dict[int, list[float]] = {}
        for pane_ms in panes.starts(self.source.tier):
            if self._from_ms <= pane_ms < until_ms:
                day = days.setdefault(pane_ms // DAY_MS, [0.0, 0.0])
                for weight_nano, units, _ in self.source.pane_of(panes.counters(self.source.tier, pane_ms)):
                    day[0] += weight_nano / NANO * units
                    day[1] += (weight_nano / NANO) ** 2 * units
        made = 0
        for pane_ms in panes.starts(labels.tier):
            if self._from_ms <= pane_ms < until_ms and days.get(pane_ms // DAY_MS, _NO_DAY)[0]:
                made += panes.counters(labels.tier, pane_ms).get(labels.counter, 0)
        weight, weight2 = (sum(day[place] for day in days.values()) for place in (0, 1))
        stands_for = STANDS_FOR * usual_part(made, weight, weight2)
        if stands_for != self._stands_for:
            self._stands_for = stands_for
            self._states.clear()
        self._known_until_ms = until_ms


def usual_part(labels: int, weight: float, weight2: float) -> float:
    """Return for which part of a scope's labels audits come to stand in the end, as days long over show; 1 where nothing is known.

    Some labels are never audited: those of a queue without auditors, on the whole floor. Where that is surely more than
    half of them, nobody is judged by the rest (ADR 55), and 1 is returned.

    Source: Σ1/π (Horvitz and Thompson, JASA 47, 1952), two standard errors up.

    Args:
        labels: Labels of those days.
        weight: Σ1/π of their audits.
        weight2: Σ1/π².

    Example:
        >>> usual_part(0, 0.0, 0.0), usual_part(10_000, 6_000.0, 120_000.0), usual_part(10_000, 1_000.0, 20_000.0)
        (1.0, 0.6692820323027551, 1.0)
    """
    if not labels:
        return 1.0
    part = (weight + 2.0 * math.sqrt(weight2)) / labels
    return part if 0.5 <= part < 1.0 else 1.0


Kept = TypeVar("Kept", bound=tuple[Any, ...])


def thinned(states: list[Kept]) -> list[Kept]:
    """Return the states worth keeping of a long list: the last few, and the last of each day.

    Args:
        states: Ascending by their first item, a pane's start.
    """
    if len(states) <= _THIN_AT:
        return states
    early, recent = states[:-_RECENT], states[-_RECENT:]
    days = {state[0] // DAY_MS: state for state in early}
    return [*days.values(), *recent]


def first_pane_ms(watermark_ms: int, kept_ms: int) -> int:
    """Return the first pane that counts. Panes leave the evidence in steps, not one by one.

    A step is a fourteenth of what is kept, in whole hours: a day of fourteen days. Between one and two steps are left
    out, because a source whose watermark is ahead of the others drops its panes sooner.

    Args:
        watermark_ms: The watermark.
        kept_ms: How long panes are kept.
    """
    step_ms = max(HOUR_MS, kept_ms // 14 // HOUR_MS * HOUR_MS)
    return (watermark_ms - kept_ms) // step_ms * step_ms + 2 * step_ms


def source_of(
    measure: Measure,
    *,
    evidence_tier: int,
    labels: LabelCounts,
    met: int,
    missed: tuple[int, ...],
    audited: int | None = None,
) -> PaneSource:
    """Return where a measure's panes come from.

    Args:
        measure: The measure.
        evidence_tier: Tier of the rows of evidence counters (hours); tier 1 has the quarters.
        labels: Where the labels of an hour are counted.
        met: Counter of tasks completed in time.
        missed: Counters of tasks that were not.
        audited: Counter of audits, in rows of shorter panes than the evidence has; None: there is none.
    """
    seen = () if audited is None else (audited,)
    if measure == "accuracy":
        return PaneSource(evidence_tier, HOUR_MS, open_pane=True, pane_of=accuracy_pane, counted=seen, labels=labels)
    if measure == "critical_errors":
        return PaneSource(evidence_tier, HOUR_MS, open_pane=True, pane_of=critical_pane, counted=seen, labels=labels)
    # A quarter counts when it is over. Before that, tasks completed early would make it look too good.
    return PaneSource(
        1,
        15 * MINUTE_MS,
        open_pane=False,
        pane_of=lambda counters: sla_pane(counters, met, missed),
        counted=(met, *missed),
    )
