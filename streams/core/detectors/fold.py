"""The fold of one scope's panes: its score, and the episodes in which it fired."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Generic, NamedTuple, Protocol, TypeVar

from streams.core.detectors.awaited import NOTHING_AWAITED, Awaited
from streams.core.detectors.dispersion import NANO, NOT_LEARNT, Dispersion, scaled
from streams.core.detectors.summary import CAP, Summary

Pane = TypeVar("Pane")
Pane_contra = TypeVar("Pane_contra", contravariant=True)


class Model(Protocol[Pane_contra]):
    """What the fold needs of ``ShareBets`` and ``PaceBets``."""

    @property
    def bets(self) -> int:
        """Number of bets K."""

    @property
    def resolve_level(self) -> float:
        """Value of the resolve counter that ends an episode."""

    @property
    def period_ms(self) -> int:
        """After how long recovery is looked at; 0 for after every pane."""

    def top_of(self, pane: Pane_contra) -> int:
        """Return the greatest weight of a pane."""

    def learn(self, known: Dispersion, pane_ms: int, pane: Pane_contra, top_nano: int) -> Dispersion:
        """Return what is known of the scatter after a pane outside an episode, given the greatest weight so far."""

    def summarise(self, pane_ms: int, pane: Pane_contra, top_nano: int, known: Dispersion, fired_bet: int) -> Summary:
        """Summarise a pane, given the greatest weight so far, the scatter before it, and the best bet of the open episode."""

    def await_audits(
        self, before: Awaited, pane: Pane_contra, labels: float, top_nano: int, known: Dispersion
    ) -> Awaited:
        """Return which labels await their audits after a pane that has so many labels."""


class Episode(NamedTuple):
    """One firing.

    Attributes:
        since_ms: Start of the pane in which the change began, by the since-counter; never after ``fired_ms``.
        fired_ms: Start of the pane at whose end the score reached the bar.
        resolved_ms: Start of the pane at whose end it was resolved; None while it lasts.
    """

    since_ms: int
    fired_ms: int
    resolved_ms: int | None = None


class FoldState(NamedTuple):
    """A scope's detector after some pane, of constant size.

    Attributes:
        r: R_k of each bet.
        since: Value of the since-counter.
        since_ms: When it last left 0, by pane start; None at 0.
        since_units: Units since then.
        since_bad: Bad ones since then.
        better: Value of the resolve counter. It begins anew when an episode does.
        period: Number of the period it was last looked at in; 0 where that is after every pane.
        recovered: Whether it has reached its level since the last episode began.
        fired_bet: Number of the bet that had won most when the last episode began.
        firing: The open episode, or None.
        episodes: How many episodes were resolved before.
        top_nano: Greatest weight 1/π so far in 10⁻⁹: the one that counts as 1.
        observations: Observations so far, of all panes.
        learnt: What the panes outside episodes have shown of the scatter.
        awaited: Labels that the audits so far do not stand for.
    """

    r: tuple[float, ...]
    since: float = 0.0
    since_ms: int | None = None
    since_units: int = 0
    since_bad: int = 0
    better: float = 0.0
    period: int = 0
    recovered: bool = False
    fired_bet: int = 0
    firing: Episode | None = None
    episodes: int = 0
    top_nano: int = 0
    observations: int = 0
    learnt: Dispersion = NOT_LEARNT
    awaited: Awaited = NOTHING_AWAITED

    @property
    def score(self) -> float:
        """The evidence: the mean of the R_k, "score : 1", awaited labels taken as right.

        Source: the e-SR detector of Shin, Ramdas, Rinaldo, E-detectors, arXiv 2203.03532 (2022), averaged over bets
        as there.
        """
        return _score(self.r, self.awaited)


def _score(r: tuple[float, ...], awaited: Awaited) -> float:
    if awaited.logs:
        r = tuple([one * math.exp(log) for one, log in zip(r, awaited.logs, strict=True)])
    return sum(r) / len(r)


def begin(bets: int) -> FoldState:
    """Return the state before the first pane."""
    return FoldState((0.0,) * bets)


Tail = tuple[int | None, int, int]
"""When the since-counter last left 0, and the units and bad ones since then."""


def _since(state: FoldState, summary: Summary) -> tuple[float, Tail]:
    """Return the since-counter after a pane, and what it has counted since it left 0."""
    if state.since > 0.0 and state.since + summary.since_low > 0.0:
        units, bad = state.since_units + summary.units, state.since_bad + summary.bad
        return state.since + summary.since_sum, (state.since_ms, units, bad)
    return summary.since_top, (summary.tail_ms, summary.tail_units, summary.tail_bad)


def advance(
    state: FoldState,
    pane_ms: int,
    summary: Summary,
    *,
    bar: float,
    resolve_level: float,
    period_ms: int = 0,
    awaited: Awaited = NOTHING_AWAITED,
) -> tuple[FoldState, Episode | None]:
    """Fold one pane: R ← P·R + Q, then fire or resolve at the pane's end.

    The mean of the R_k less the bets started is a supermartingale while the target is met, so the mean time to a false
    alarm is at least ``bar`` of them (arXiv 2203.03532). The resolve counter is Page's CUSUM of recovery, reflected at 0 and
    compared with its level at the first pane after each period; it starts at 0 when an episode does. At ``resolve_level`` the episode
    ends and R starts anew from 0.

    Args:
        state: The state before the pane.
        pane_ms: Start of the pane, after all panes folded before.
        summary: The pane's summary.
        bar: Score that fires.
        resolve_level: Value of the resolve counter that ends an episode.
        period_ms: Length of a period; 0 where every pane is one.
        awaited: Labels that await their audits after the pane.

    Returns:
        The state after the pane, and the episode that ended in it (or with the period before it), if one did.
    """
    firing, recovered, fired_bet = state.firing, state.recovered, state.fired_bet
    better, period = state.better, pane_ms // period_ms if period_ms else 0
    held, ended = state.r, None
    if period != state.period:
        recovered = recovered or better >= resolve_level
        better = min(max(better, 0.0), resolve_level)
        if firing is not None and recovered:
            ended, firing, held = firing._replace(resolved_ms=pane_ms), None, (0.0,) * len(held)
    grown = [p * one + q for p, q, one in zip(summary.gain, summary.gathered, held, strict=True)]
    r = tuple(grown if max(grown) <= CAP else [min(CAP, one) for one in grown])
    since, tail = _since(state, summary)
    if period_ms:
        better += summary.better_sum
    else:
        better = max(summary.better_top, better + summary.better_sum)
        recovered = recovered or better >= resolve_level
        if firing is not None and recovered:
            ended, firing, r = firing._replace(resolved_ms=pane_ms), None, (0.0,) * len(r)
            better = 0.0
    if firing is None and _score(r, awaited) >= bar:
        firing = Episode(pane_ms if tail[0] is None else tail[0], pane_ms)
        better, recovered, fired_bet = 0.0, False, max(range(len(r)), key=r.__getitem__) % max(1, len(r) // 2)
    found = FoldState(
        r,
        since,
        *tail,
        better,
        period,
        recovered,
        fired_bet,
        firing,
        state.episodes + (ended is not None),
        state.top_nano,
        state.observations + summary.observations,
        state.learnt,
        awaited,
    )
    return found, ended


def fold_pane(
    model: Model[Pane], state: FoldState, pane_ms: int, pane: Pane, bar: float, labels: float = 0.0
) -> tuple[FoldState, Episode | None]:
    """Summarise and fold one pane, then learn from it unless an episode is open.

    The weight that counts as 1 is the greatest one met up to and with this pane. Probabilities are fixed before outcomes,
    so it is known when the bet is made; where a sampling plan is given (``ShareBets.top_nano``) it is that plan's. The scatter
    is that of the panes before, so a bet never looks at its own outcome. It is kept in the weights of the bets: where audits are
    assumed to be random, which always count as 1, it is rescaled when a greater weight comes (docs/statistics.md).

    Args:
        model: What the pane means.
        state: The state before.
        pane_ms: Start of the pane.
        pane: The pane.
        bar: Score that fires.
        labels: Labels of the pane for which audits are expected to stand; 0 where that is not known.

    Returns:
        What ``advance`` returns.
    """
    top_nano = max(state.top_nano, model.top_of(pane))
    known = state.learnt
    if known.assumed and top_nano > (before := state.top_nano or NANO):
        known = scaled(known, top_nano / before)
    summary = model.summarise(pane_ms, pane, top_nano, known, state.fired_bet if state.firing is not None else 0)
    awaited = state.awaited
    if labels or awaited.labels:
        awaited = model.await_audits(awaited, pane, labels, top_nano, known)
    found, ended = advance(
        state, pane_ms, summary, bar=bar, resolve_level=model.resolve_level, period_ms=model.period_ms, awaited=awaited
    )
    learnt = model.learn(known, pane_ms, pane, top_nano) if found.firing is None else known
    return found._replace(top_nano=top_nano, learnt=learnt), ended


class PaneFold(Generic[Pane]):
    """A scope's detector over the panes it holds: a pure function of the set of (pane start, pane) and the bar.

    Panes may come, change and go in any order. They are folded again from the first change on, so a correction, a replay and an
    uninterrupted run give the same bits. Cost: O(panes after the first change) when read.

    ``forget_before`` folds old panes into the base state, of constant size; they can no longer be corrected.
    """

    __slots__ = ("_clean", "_closed", "_panes", "_starts", "_states", "bar", "base", "model")

    def __init__(self, model: Model[Pane], bar: float, base: FoldState | None = None) -> None:
        """Start with no panes.

        Args:
            model: What the panes mean.
            bar: Score that fires, in audits (of due tasks: quarters of an hour) per false alarm.
            base: State after the panes folded before, if any.
        """
        self.model = model
        self.bar = bar
        self.base = begin(model.bets) if base is None else base
        self._panes: dict[int, Pane] = {}
        self._starts: list[int] = []
        self._states: list[FoldState] = []
        self._closed: list[Episode] = []
        self._clean = 0

    def __len__(self) -> int:
        """Return how many panes are held."""
        return len(self._starts)

    def replace(self, pane_ms: int, pane: Pane | None) -> None:
        """Put a pane in place of what was there; None takes it away.

        Args:
            pane_ms: Start of the pane.
            pane: The whole pane as it is now known.
        """
        held = self._panes.get(pane_ms)
        if held == pane:
            return
        at = bisect_left(self._starts, pane_ms)
        if pane is None:
            del self._panes[pane_ms], self._starts[at]
        else:
            if held is None:
                self._starts.insert(at, pane_ms)
            self._panes[pane_ms] = pane
        self._clean = min(self._clean, at)

    apply = replace

    def set_bar(self, bar: float) -> None:
        """Judge by another bar, all panes held included."""
        if bar != self.bar:
            self.bar = bar
            self._clean = 0

    def forget_before(self, pane_ms: int) -> tuple[Episode, ...]:
        """Fold the panes that start before a time into the base state.

        Returns:
            The episodes that ended in them: they are no longer listed.
        """
        self._settle()
        at = bisect_left(self._starts, pane_ms)
        if not at:
            return ()
        gone = self._states[at - 1].episodes - self.base.episodes
        over = tuple(self._closed[:gone])
        self.base = self._states[at - 1]
        for start in self._starts[:at]:
            del self._panes[start]
        del self._starts[:at], self._states[:at], self._closed[:gone]
        self._clean = len(self._starts)
        return over

    def _settle(self) -> None:
        """Fold what has changed."""
        starts = self._starts
        if self._clean == len(starts) == len(self._states):
            return
        del self._states[self._clean :]
        state = self._states[-1] if self._states else self.base
        del self._closed[state.episodes - self.base.episodes :]
        for pane_ms in starts[self._clean :]:
            state, ended = fold_pane(self.model, state, pane_ms, self._panes[pane_ms], self.bar)
            self._states.append(state)
            if ended is not None:
                self._closed.append(ended)
        self._clean = len(starts)

    @property
    def state(self) -> FoldState:
        """The state after the last pane."""
        self._settle()
        return self._states[-1] if self._states else self.base

    @property
    def score(self) -> float:
        """The evidence after the last pane: "score : 1"."""
        return self.state.score

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Episodes that ended in the panes held, then the open one."""
        state = self.state
        return (*self._closed, state.firing) if state.firing is not None else tuple(self._closed)

    def state_at(self, pane_ms: int) -> FoldState:
        """Return the state after the last pane that starts at or before a time."""
        self._settle()
        at = bisect_left(self._starts, pane_ms + 1)
        return self._states[at - 1] if at else self.base
