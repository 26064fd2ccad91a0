"""The fold of one scope's panes: its score, and the episodes in which it fired."""

from __future__ import annotations

from bisect import bisect_left
from typing import Generic, NamedTuple, Protocol, TypeVar

from streams.core.detectors.summary import CAP, Summary

Pane = TypeVar("Pane")
Pane_contra = TypeVar("Pane_contra", contravariant=True)


Known = tuple[int, Summary]
"""A pane's summary and the weight that counted as 1 when it was made."""


class Model(Protocol[Pane_contra]):
    """What the fold needs of ``ShareBets`` and ``CountBets``."""

    @property
    def bets(self) -> int:
        """Number of bets K."""

    @property
    def resolve_level(self) -> float:
        """Value of the resolve counter that ends an episode."""

    def top_of(self, pane: Pane_contra) -> int:
        """Return the greatest weight of a pane."""

    def summarise(self, pane_ms: int, pane: Pane_contra, top_nano: int) -> Summary:
        """Summarise a pane given the greatest weight of all panes."""


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
        better: Value of the resolve counter; 0 unless firing.
        firing: The open episode, or None.
        episodes: How many episodes were resolved before.
        top_nano: Greatest weight 1/π so far in 10⁻⁹: the one that counts as 1.
        observations: Observations so far, of all panes.
    """

    r: tuple[float, ...]
    since: float = 0.0
    since_ms: int | None = None
    since_units: int = 0
    since_bad: int = 0
    better: float = 0.0
    firing: Episode | None = None
    episodes: int = 0
    top_nano: int = 0
    observations: int = 0

    @property
    def score(self) -> float:
        """The evidence: the mean of the R_k, "score : 1".

        Source: the e-SR detector of Shin, Ramdas, Rinaldo, E-detectors, arXiv 2203.03532 (2022), averaged over bets
        as there.
        """
        return sum(self.r) / len(self.r)


def begin(bets: int) -> FoldState:
    """Return the state before the first pane."""
    return FoldState((0.0,) * bets)


def advance(
    state: FoldState, pane_ms: int, summary: Summary, *, bar: float, resolve_level: float
) -> tuple[FoldState, Episode | None]:
    """Fold one pane: R ← P·R + Q, then fire or resolve at the pane's end.

    The mean of the R_k minus the number of observations is a supermartingale while the target is met, so the mean time to
    a false alarm is at least ``bar`` observations (arXiv 2203.03532). The resolve counter starts at 0 when the
    episode does; at ``resolve_level`` the episode ends and R starts anew from 0.

    Args:
        state: The state before the pane.
        pane_ms: Start of the pane, after all panes folded before.
        summary: The pane's summary.
        bar: Score that fires.
        resolve_level: Value of the resolve counter that ends an episode.

    Returns:
        The state after the pane, and the episode that ended in it, if one did.
    """
    r = tuple([min(CAP, p * held + q) for p, q, held in zip(summary.gain, summary.gathered, state.r, strict=True)])
    if state.since > 0.0 and state.since + summary.since_low > 0.0:
        since = state.since + summary.since_sum
        tail = (state.since_ms, state.since_units + summary.units, state.since_bad + summary.bad)
    else:
        since = summary.since_top
        tail = (summary.tail_ms, summary.tail_units, summary.tail_bad)
    firing, better, ended = state.firing, 0.0, None
    if firing is not None:
        better = max(summary.better_top, state.better + summary.better_sum)
        if better >= resolve_level:
            ended, firing, better = firing._replace(resolved_ms=pane_ms), None, 0.0
            r = (0.0,) * len(r)
    elif sum(r) / len(r) >= bar:
        firing = Episode(pane_ms if tail[0] is None else tail[0], pane_ms)
    episodes = state.episodes + (ended is not None)
    observations = state.observations + summary.observations
    return FoldState(r, since, *tail, better, firing, episodes, state.top_nano, observations), ended


def fold_pane(
    model: Model[Pane], state: FoldState, pane_ms: int, pane: Pane, bar: float, known: Known | None = None
) -> tuple[FoldState, Episode | None, Known]:
    """Summarise and fold one pane.

    The weight that counts as 1 is the greatest one met up to and with this pane. Probabilities are fixed before outcomes,
    so it is known when the bet is made; where a sampling plan is given (``ShareBets.top_nano``) it is that plan's.

    Args:
        model: What the pane means.
        state: The state before.
        pane_ms: Start of the pane.
        pane: The pane.
        bar: Score that fires.
        known: The pane's summary, if it was made before.

    Returns:
        What ``advance`` returns, and the summary to give next time while the pane does not change.
    """
    top_nano = max(state.top_nano, model.top_of(pane))
    if known is None or known[0] != top_nano:
        known = (top_nano, model.summarise(pane_ms, pane, top_nano))
    if top_nano != state.top_nano:
        state = state._replace(top_nano=top_nano)
    state, ended = advance(state, pane_ms, known[1], bar=bar, resolve_level=model.resolve_level)
    return state, ended, known


class PaneFold(Generic[Pane]):
    """A scope's detector over the panes it holds: a pure function of the set of (pane start, pane) and the bar.

    Panes may come, change and go in any order. Changed panes are summarised again and folded from the first change on,
    so a correction, a replay and an uninterrupted run give the same bits. Cost: O(panes after the first change) when
    read.

    ``forget_before`` folds old panes into the base state, of constant size; they can no longer be corrected.
    """

    __slots__ = ("_clean", "_closed", "_known", "_panes", "_starts", "_states", "bar", "base", "model")

    def __init__(self, model: Model[Pane], bar: float, base: FoldState | None = None) -> None:
        """Start with no panes.

        Args:
            model: What the panes mean.
            bar: Score that fires, in observations per false alarm.
            base: State after the panes folded before, if any.
        """
        self.model = model
        self.bar = bar
        self.base = begin(model.bets) if base is None else base
        self._panes: dict[int, Pane] = {}
        self._starts: list[int] = []
        self._known: dict[int, Known] = {}
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
        self._known.pop(pane_ms, None)
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
            self._known.pop(start, None)
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
            state, ended, known = fold_pane(
                self.model, state, pane_ms, self._panes[pane_ms], self.bar, self._known.get(pane_ms)
            )
            self._known[pane_ms] = known
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

    def summaries(self) -> list[tuple[int, Summary]]:
        """Return (pane start, summary) of the panes held, in order."""
        self._settle()
        return [(ms, self._known[ms][1]) for ms in self._starts]

    def state_at(self, pane_ms: int) -> FoldState:
        """Return the state after the last pane that starts at or before a time."""
        self._settle()
        at = bisect_left(self._starts, pane_ms + 1)
        return self._states[at - 1] if at else self.base
