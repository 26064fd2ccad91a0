"""Pace: compares throughput with the usual pace of the hour, per scheduled hour if a roster is sent.

The expected number is itself a count that scatters, and days differ in level. Neither is taken as known: the first is added to φ,
the second is a level that follows the counts of the day. A drop is what such a day cannot explain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from streams.core.detectors.awaited import Awaited
from streams.core.detectors.bets import RESOLVE_COUNT_NATS
from streams.core.detectors.day_level import Level, follow, fresh
from streams.core.detectors.dispersion import NOT_LEARNT, Dispersion
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.core.detectors.summary import DetectorStep, Summary, on_grid, summarise
from streams.core.detectors.usual_pace import HOUR_TIER, PastHours, Usual
from streams.core.detectors.watch import (
    Detector,
    Panes,
    Reading,
    first_pane_ms,
    reading_of,
    thinned,
)
from streams.models.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

WEEK_MS = 7 * DAY_MS
_QUARTER_MS = 15 * MINUTE_MS
_QUARTER_TIER = 1

PACE_BELOW = (0.2, 0.4, 0.6)
"""Shares of the usual pace that the bets on a sudden drop are made for."""

PACE_BELOW_FOR_DAYS = (0.6, 0.8)
"""The same of the bets on a lasting one, whose days differ as the usual ones do."""

_SUDDEN = 0.8
"""Share of the stake that is on sudden drops."""

_STAKE = 3.0
"""What is staked with each hour. By theorem false alarms come at least ``bar``/3 hours apart on average while bets are fair; where days
differ by 5 to 10% they come more rarely than once in ``bar`` hours, as measured (``floorwatch sims throughput``)."""

DAY_SPREAD = 0.12
"""Standard deviation of a day's level against the usual one, before any is known: days that differ by 11%, against some of them."""

_DAY_PRIOR = 6.0
"""Weight of ``DAY_SPREAD``, in days."""

_PRIOR_HOURS = 4
_PRIOR_PHI = 2.0
"""Prior overdispersion within a day, and its weight in hours."""

_WARM_UP_HOURS = 24
"""Hours that are used only to learn from, before the first bet."""

_SINCE_DROP = 0.7


class Compared(NamedTuple):
    """One hour and what was expected of it.

    Attributes:
        done: Labels in the hour so far.
        expected: μ, what the past leads to expect in the time so far, above 0.
        past: Labels that μ rests on.
        phi: Variance of a count over its mean while the level is the same, 1 or more.
        logs: Log of the factor of each bet.
    """

    done: int
    expected: float
    past: int
    phi: float
    logs: tuple[float, ...] = ()

    @property
    def scatter(self) -> float:
        """How many times as much as a Poisson count a count scatters around μ: φ, and the part that comes of not knowing μ.

        Source: φμ(1 + μ/H) is the variance for an expectation from H labels (predictive variance, delta method).
        """
        return self.phi * (1.0 + self.expected / self.past)


@dataclass(frozen=True, slots=True)
class PaceBets:
    """Bets against "the pace is the usual one, times the level of the day", for drops.

    F_k = p_k(N)/p_0(N), both negative binomial: p_0 with the level that follows the day (``day_level``), so its mean is 1 whatever
    the level. A bet on a sudden drop has for p_k a level of ρ_k that is drawn anew with every hour; a bet on a lasting one has a level
    that follows the counts as p_0 does, from days around ρ_k. Counts and expectations are divided by ``Compared.scatter``
    (quasi-likelihood: Wedderburn, Biometrika 61, 1974).

    Attributes:
        resolve_level: Log likelihood ratio of recovery that ends an alarm.
    """

    resolve_level: float = RESOLVE_COUNT_NATS

    @property
    def bets(self) -> int:
        """Number of bets K."""
        return len(PACE_BELOW) + len(PACE_BELOW_FOR_DAYS)

    def top_of(self, pane: Compared) -> int:  # noqa: ARG002
        """Return 0: counts are not weighted."""
        return 0

    @property
    def period_ms(self) -> int:
        """Recovery is looked at after every pane."""
        return 0

    def learn(self, known: Dispersion, pane_ms: int, pane: Compared, top_nano: int) -> Dispersion:  # noqa: ARG002
        """Return what is known: the watch learns for it."""
        return known

    def await_audits(
        self,
        before: Awaited,
        pane: Compared,  # noqa: ARG002
        labels: float,  # noqa: ARG002
        top_nano: int,  # noqa: ARG002
        known: Dispersion,  # noqa: ARG002
    ) -> Awaited:
        """Return what was awaited before: a count awaits no audits."""
        return before

    def summarise(
        self,
        pane_ms: int,
        pane: Compared,
        top_nano: int,  # noqa: ARG002
        known: Dispersion = NOT_LEARNT,  # noqa: ARG002
        fired_bet: int = 0,  # noqa: ARG002
    ) -> Summary:
        """Summarise one pane, with its stakes: R ← (stake + R)·F, where the stakes of all bets have mean ``_STAKE``.

        Source: the e-SR detector with stakes of unequal bets (arXiv 2203.03532).
        """
        since = (pane.done * math.log(_SINCE_DROP) + pane.expected * (1.0 - _SINCE_DROP)) / pane.scatter
        since = on_grid(since)
        expected = round(pane.expected)
        factors = tuple([math.exp(min(230.0, log)) for log in pane.logs])
        found = summarise(
            pane_ms, [DetectorStep(factors, since, -since, expected, expected - pane.done)], len(pane.logs)
        )
        return found._replace(gathered=tuple([stake * one for stake, one in zip(_STAKES, factors, strict=True)]))


def _stakes() -> tuple[float, ...]:
    sudden, lasting = len(PACE_BELOW), len(PACE_BELOW_FOR_DAYS)
    whole = _STAKE * (sudden + lasting)
    return (whole * _SUDDEN / sudden,) * sudden + (whole * (1.0 - _SUDDEN) / lasting,) * lasting


_STAKES = _stakes()


class _Day(NamedTuple):
    """The day under way: labels, those expected, and the variance of the expectation."""

    done: int = 0
    expected: float = 0.0
    unsure: float = 0.0


class _Kept(NamedTuple):
    """The state after an hour that is over, and what the hours up to it have shown.

    Attributes:
        pane_ms: Start of the hour.
        state: The detector's state.
        hours: Hours compared.
        scatter: Sum of the squares of their standardised errors.
        levels: The level of the day, then that of each bet on a lasting drop.
        variance: Between days, by what was known when the day began.
        day: The day under way.
        days: Days over, and the sum of the squared logs of their levels less what chance makes.
    """

    pane_ms: int
    state: FoldState
    hours: int
    scatter: float
    levels: tuple[Level, ...]
    variance: float
    day: _Day
    days: tuple[int, float]

    @property
    def phi(self) -> float:
        """φ while the level is the same: Pearson's estimate shrunk to ``_PRIOR_PHI``, 1 or more.

        Source: McCullagh, Nelder, Generalized Linear Models, 1989.
        """
        return max(1.0, (self.scatter + _PRIOR_PHI * _PRIOR_HOURS) / (self.hours + _PRIOR_HOURS))

    def next_day(self) -> _Kept:
        """Return what is kept when a day is over. Its level is learnt from unless an alarm is open.

        Source: one-way random effects by moments (Cochran, Biometrics 10, 1954), shrunk to ``DAY_SPREAD``.
        """
        done, expected, unsure = self.day
        days, squares = self.days
        if done and self.state.firing is None:
            by_chance = self.phi / done + unsure / expected**2
            days, squares = days + 1, squares + math.log(done / expected) ** 2 - by_chance
        variance = (max(0.0, squares) + _DAY_PRIOR * DAY_SPREAD**2) / (days + _DAY_PRIOR)
        return self._replace(levels=_fresh(variance), variance=variance, day=_Day(), days=(days, squares))

    def compare(self, done: int, expected: float, past: int) -> tuple[Compared, _Kept]:
        """Return an hour with the factors of its bets, and what is kept after it but for the detector's state."""
        pane = Compared(done, expected, past, self.phi)
        count, mean = done / pane.scatter, expected / pane.scatter
        anew, level = _fresh(self.variance), self.levels[0]
        usual, *lasting = [follow(one, new, count, mean) for one, new in zip(self.levels, anew, strict=True)]
        logs = [fresh(pace, self.variance).log_chance(count, mean) - usual[0] for pace in PACE_BELOW]
        logs += [log - usual[0] for log, _ in lasting]
        here = expected * level.mean
        variance = here * (1.0 + here / level.shape + here / past)
        day = _Day(self.day.done + done, self.day.expected + expected, self.day.unsure + expected * expected / past)
        kept = self._replace(
            hours=self.hours + 1,
            scatter=self.scatter + (done - here) ** 2 / variance,
            levels=(usual[1], *[after for _, after in lasting]),
            day=day,
        )
        return pane._replace(logs=tuple(logs)), kept


def _fresh(variance: float) -> tuple[Level, ...]:
    return tuple([fresh(pace, variance) for pace in (1.0, *PACE_BELOW_FOR_DAYS)])


def first_judged_ms(watermark_ms: int) -> int:
    """Return the first hour that is judged: five to six days ago, since the day a week before it must still be kept."""
    return first_pane_ms(watermark_ms, WEEK_MS) + DAY_MS


def utc_day(at_ms: int) -> int:
    """Return the start of the UTC day of an instant."""
    return at_ms // DAY_MS * DAY_MS


class PaceWatch:
    """A throughput detector on one scope.

    Every hour of the last days, the present one as far as its quarters are over, is compared with the usual pace (``usual_pace``);
    hours without history are not judged, nor are hours with nobody scheduled if the same hour before had people.
    φ and the variance between days are those of the hours and days before, so that a bet never looks at its own outcome.
    """

    __slots__ = ("_from_ms", "_kept", "_labels", "_model", "_past", "_scheduled", "detector")

    def __init__(
        self,
        detector: Detector,
        model: PaceBets,
        labels: int,
        scheduled: int,
        day_of: Callable[[int], int] = utc_day,
    ) -> None:
        """Start with nothing folded.

        Args:
            detector: The detector.
            model: Its bets.
            labels: Counter that counts labels.
            scheduled: Counter that sums scheduled person-time.
            day_of: Returns the start of the scope's day that an instant lies in.
        """
        self.detector = detector
        self._model = model
        self._labels, self._scheduled = labels, scheduled
        self._past = PastHours(labels, scheduled, day_of)
        self._kept: list[_Kept] = []
        self._from_ms = 0

    def touch(self, tier: int, pane_ms: int, *, labels: bool = True) -> bool:  # noqa: ARG002 (scheduled hours count too)
        """Forget the states from a changed pane on: all of them, if it is history of the first."""
        if tier != HOUR_TIER:
            return tier == _QUARTER_TIER  # quarters are those of the present hour, folded anew with every reading
        self._past.forget(pane_ms)
        while self._kept and self._kept[-1].pane_ms >= pane_ms:
            self._kept.pop()
        return True

    def read(self, panes: Panes, watermark_ms: int) -> Reading:
        """Fold what has changed and return what the detector says; a function of the panes and the watermark."""
        from_ms = first_judged_ms(watermark_ms)
        if from_ms != self._from_ms:
            self._from_ms = from_ms
            self._kept.clear()
            self._past.forget_all()
        self._past.begin(panes)
        last = self._kept[-1] if self._kept else self._begin(from_ms)
        for pane_ms in range(last.pane_ms + HOUR_MS, watermark_ms - _QUARTER_MS + 1, HOUR_MS):
            quarters = min(4, (watermark_ms - pane_ms) // _QUARTER_MS)
            last = self._fold(last, pane_ms, panes, quarters)
            if quarters == 4:
                self._kept.append(last)
        self._kept = thinned(self._kept)
        return reading_of(last.state, self.detector)

    def _begin(self, from_ms: int) -> _Kept:
        variance = DAY_SPREAD**2
        state = begin(self._model.bets)
        return _Kept(from_ms - HOUR_MS, state, 0, 0.0, _fresh(variance), variance, _Day(), (0, 0.0))

    def _fold(self, last: _Kept, pane_ms: int, panes: Panes, quarters: int) -> _Kept:
        day_of = self._past.day_of
        if day_of(pane_ms) != day_of(last.pane_ms):
            last = last.next_day()
        last = last._replace(pane_ms=pane_ms)
        usual = self._past.usual(panes, pane_ms)
        exposure = 0 if usual is None else self._exposure(panes, pane_ms, quarters, usual)
        if usual is None or exposure <= 0:
            return last
        done = self._sum(panes, pane_ms, quarters, self._labels)
        pane, after = last.compare(done, usual.expected(exposure), usual.done)
        if last.hours < _WARM_UP_HOURS:
            return after
        state, _ = fold_pane(self._model, last.state, pane_ms, pane, self.detector.bar)
        return after._replace(state=state)

    def _exposure(self, panes: Panes, hour_ms: int, quarters: int, usual: Usual) -> int:
        """Return the time of an hour, or of its first quarters.

        If the same hour before had a roster and nobody is scheduled now, it is 0: a holiday is not a drop.
        """
        return self._sum(panes, hour_ms, quarters, self._scheduled) if usual.by_roster else quarters

    def _sum(self, panes: Panes, hour_ms: int, quarters: int, counter: int) -> int:
        """Return a counter of an hour, or of its first quarters."""
        if quarters == 4:
            return panes.counters(HOUR_TIER, hour_ms).get(counter, 0)
        starts = range(hour_ms, hour_ms + quarters * _QUARTER_MS, _QUARTER_MS)
        return sum(panes.counters(_QUARTER_TIER, start).get(counter, 0) for start in starts)
