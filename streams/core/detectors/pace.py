"""Pace: compares throughput with the same hour of earlier weeks, per scheduled hour if a roster is sent.

The expected number is itself a count that scatters, since a correction horizon of fourteen days leaves one week. If it
were taken as known, there would be more false alarms than promised. So both counts are compared given their sum, and
the unknown rate drops out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from streams.core.detectors.bets import DROP_SHARES, RESOLVE_COUNT_NATS
from streams.core.detectors.dispersion import NOT_LEARNT, Dispersion
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.core.detectors.summary import DetectorStep, Summary, on_grid, summarise
from streams.core.detectors.watch import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Counters,
    Detector,
    Panes,
    Reading,
    first_pane_ms,
    reading_of,
    thinned,
)

WEEK_MS = 7 * DAY_MS
_QUARTER_MS = 15 * MINUTE_MS
_QUARTER_TIER = 1
_HOUR_TIER = 2
_PRIOR_HOURS = 4
_PRIOR_PHI = 2.0
"""Prior overdispersion, and its weight in hours."""

_WARM_UP_HOURS = 24
"""Hours that are used only to estimate the scatter, before the first bet."""

_SINCE_DROP = 0.7


class Compared(NamedTuple):
    """One hour and its past.

    Attributes:
        done: Labels in the hour so far.
        exposure: Time in which they could be made: person-time scheduled in the quarters that are over, else those quarters.
        past: Labels in the same hour of the weeks before.
        past_exposure: The same of those, in the same unit.
        phi: Variance of both counts over their mean, 1 or more.
    """

    done: int
    exposure: int
    past: int
    past_exposure: int
    phi: float

    @property
    def chance(self) -> float:
        """p₀: the share of both counts together that falls into this hour while the pace is the same.

        Source: Przyborowski, Wilenski, Biometrika 31, 1940.
        """
        return self.exposure / (self.exposure + self.past_exposure)

    @property
    def scatter(self) -> float:
        """Pearson's (N - Tp₀)²/(Tp₀(1 - p₀)) given the sum T: an estimate of φ, 0 of nothing.

        Source: McCullagh, Nelder, Generalized Linear Models, 1989.
        """
        total, p = self.done + self.past, self.chance
        return (self.done - total * p) ** 2 / (total * p * (1 - p)) if total else 0.0


@dataclass(frozen=True, slots=True)
class PaceBets:
    """Bets against "the pace is that of the weeks before", for drops.

    Given the sum T of this hour's count N and the past count H, N is binomial with p₀ = q/(q + q') for exposures q and q'
    (Przyborowski, Wilenski, Biometrika 31, 1940). F_ρ is the likelihood ratio of a pace ρ times as high, p₁ = ρq/(ρq + q'),
    raised to 1/φ: mean 1 for Poisson counts, whatever their rate.

    Attributes:
        shares: One ρ per bet, in (0, 1).
        resolve_level: Log likelihood ratio of recovery that ends an alarm.
    """

    shares: tuple[float, ...] = DROP_SHARES
    resolve_level: float = RESOLVE_COUNT_NATS

    @property
    def bets(self) -> int:
        """Number of bets K."""
        return len(self.shares)

    def top_of(self, pane: Compared) -> int:  # noqa: ARG002
        """Return 0: counts are not weighted."""
        return 0

    def step(self, pane: Compared) -> DetectorStep:
        """Return the pane's one observation.

        Source: the class (Przyborowski, Wilenski 1940); expected = past · exposure/past exposure.
        """
        logs = [self._log(pane, share) for share in self.shares]
        since = on_grid(self._log(pane, _SINCE_DROP))
        expected = round(pane.past * pane.exposure / pane.past_exposure)
        factors = tuple([math.exp(min(230.0, log)) for log in logs])
        return DetectorStep(factors, since, -since, expected, expected - pane.done)

    def _log(self, pane: Compared, share: float) -> float:
        p0 = pane.chance
        p1 = share * pane.exposure / (share * pane.exposure + pane.past_exposure)
        return (pane.done * math.log(p1 / p0) + pane.past * math.log((1 - p1) / (1 - p0))) / pane.phi

    @property
    def period_ms(self) -> int:
        """Recovery is looked at after every pane."""
        return 0

    def learn(self, known: Dispersion, pane_ms: int, pane: Compared, top_nano: int) -> Dispersion:  # noqa: ARG002
        """Return what is known: the watch learns for it."""
        return known

    def summarise(
        self,
        pane_ms: int,
        pane: Compared,
        top_nano: int,  # noqa: ARG002
        known: Dispersion = NOT_LEARNT,  # noqa: ARG002
        fired_bet: int = 0,  # noqa: ARG002
    ) -> Summary:
        """Summarise one pane; counts are not weighted."""
        return summarise(pane_ms, [self.step(pane)], self.bets)


class _Kept(NamedTuple):
    """The state after an hour that is over, and the scatter of the hours up to it: its sum and their number."""

    pane_ms: int
    state: FoldState
    scatter: float
    hours: int


class PaceWatch:
    """A throughput detector on one scope.

    Every hour of the last days, the present one as far as its quarters are over, is compared with the same hour of the
    weeks before, as many as are kept; hours without history are not judged, nor are hours with nobody scheduled if the
    same hour before had people. φ is Pearson's estimate over the hours before, shrunk to 2, so that a bet never looks
    at its own outcome.
    """

    __slots__ = ("_from_ms", "_kept", "_labels", "_model", "_scheduled", "detector")

    def __init__(self, detector: Detector, model: PaceBets, labels: int, scheduled: int) -> None:
        """Start with nothing folded.

        Args:
            detector: The detector.
            model: Its bets.
            labels: Counter that counts labels.
            scheduled: Counter that sums scheduled person-time.
        """
        self.detector = detector
        self._model = model
        self._labels, self._scheduled = labels, scheduled
        self._kept: list[_Kept] = []
        self._from_ms = 0

    def touch(self, tier: int, pane_ms: int) -> bool:
        """Forget the states from a changed pane on, or from where a changed hour is history."""
        if tier != _HOUR_TIER:
            return tier == _QUARTER_TIER  # quarters are those of the present hour, folded anew with every reading
        while pane_ms < self._from_ms:
            pane_ms += WEEK_MS
        while self._kept and self._kept[-1].pane_ms >= pane_ms:
            self._kept.pop()
        return True

    def read(self, panes: Panes, watermark_ms: int) -> Reading:
        """Fold what has changed and return what the detector says; a function of the panes and the watermark."""
        from_ms = first_pane_ms(watermark_ms, WEEK_MS)
        if from_ms != self._from_ms:
            self._from_ms = from_ms
            self._kept.clear()
        last = self._kept[-1] if self._kept else _Kept(from_ms - HOUR_MS, begin(self._model.bets), 0.0, 0)
        for pane_ms in range(last.pane_ms + HOUR_MS, watermark_ms - _QUARTER_MS + 1, HOUR_MS):
            quarters = min(4, (watermark_ms - pane_ms) // _QUARTER_MS)
            last = self._fold(last, pane_ms, panes, quarters)
            if quarters == 4:
                self._kept.append(last)
        self._kept = thinned(self._kept)
        return reading_of(last.state, self.detector)

    def _fold(self, last: _Kept, pane_ms: int, panes: Panes, quarters: int) -> _Kept:
        phi = (last.scatter + _PRIOR_PHI * _PRIOR_HOURS) / (last.hours + _PRIOR_HOURS)
        pane = self._compared(panes, pane_ms, quarters, max(1.0, phi))
        if pane is None:
            return last._replace(pane_ms=pane_ms)
        state = last.state
        if last.hours >= _WARM_UP_HOURS:
            state, _ = fold_pane(self._model, state, pane_ms, pane, self.detector.bar)
        return _Kept(pane_ms, state, last.scatter + pane.scatter, last.hours + 1)

    def _compared(self, panes: Panes, hour_ms: int, quarters: int, phi: float) -> Compared | None:
        """Return an hour beside its past; None where there is nothing to judge by.

        Weeks with a roster are compared by scheduled time. If they have one and nobody is scheduled for this hour, it
        is not judged: a holiday is not a drop.
        """
        weeks = self._weeks(panes, hour_ms)
        scheduled = [(week, time) for week in weeks if (time := week.get(self._scheduled, 0)) > 0]
        if scheduled:
            past = sum(week.get(self._labels, 0) for week, _ in scheduled)
            exposure = self._sum(panes, hour_ms, quarters, self._scheduled)
            past_exposure = sum(time for _, time in scheduled)
        else:
            past = sum(week.get(self._labels, 0) for week in weeks)
            exposure, past_exposure = quarters, 4 * len(weeks)
        if not past or exposure <= 0:
            return None
        return Compared(self._sum(panes, hour_ms, quarters, self._labels), exposure, past, past_exposure, phi)

    def _sum(self, panes: Panes, hour_ms: int, quarters: int, counter: int) -> int:
        """Return a counter of an hour, or of its first quarters."""
        if quarters == 4:
            return panes.counters(_HOUR_TIER, hour_ms).get(counter, 0)
        starts = range(hour_ms, hour_ms + quarters * _QUARTER_MS, _QUARTER_MS)
        return sum(panes.counters(_QUARTER_TIER, start).get(counter, 0) for start in starts)

    def _weeks(self, panes: Panes, hour_ms: int) -> list[Counters]:
        """Return the same hour in the weeks before.

        The number of weeks is what is certainly kept for the oldest hour in use, so that an hour always has the same
        weeks.
        """
        held = (panes.kept_ms(_HOUR_TIER) - WEEK_MS) // WEEK_MS
        known = panes.starts(_HOUR_TIER)
        befores = [hour_ms - k * WEEK_MS for k in range(1, held + 1)]
        return [panes.counters(_HOUR_TIER, before) for before in befores if before in known]
