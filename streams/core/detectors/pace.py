"""Pace: throughput against what the same hour of the week gave before."""

from __future__ import annotations

from typing import NamedTuple

from streams.core.detectors.bets import NANO, Count, CountBets
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.core.detectors.watch import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
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
_PRIOR_PANES = 32
_PRIOR_PHI = 2.0
"""Scatter believed in before it has been seen, and how many panes that belief is worth."""


class _Kept(NamedTuple):
    """The state after a pane, and the scatter of the panes up to it: Σ(N - μ)²/μ and their number."""

    pane_ms: int
    state: FoldState
    scatter: float
    panes: int


class PaceWatch:
    """A throughput detector on one scope.

    Every quarter hour that is over is compared with a quarter of the labels of the same hour in the weeks before (as many
    as hour panes are kept); hours without history are not judged. φ is Pearson's estimate over the panes before,
    shrunk to 2, so that a bet never looks at its own outcome.
    """

    __slots__ = ("_from_ms", "_kept", "_labels", "_model", "detector")

    def __init__(self, detector: Detector, model: CountBets, labels: int) -> None:
        """Start with nothing folded.

        Args:
            detector: The detector.
            model: Its bets.
            labels: Cell that counts labels.
        """
        self.detector = detector
        self._model = model
        self._labels = labels
        self._kept: list[_Kept] = []
        self._from_ms = 0

    def touch(self, tier: int, pane_ms: int) -> bool:
        """Forget the states from a changed pane on, or from where a changed hour is history."""
        if tier == _HOUR_TIER:
            pane_ms += WEEK_MS
        elif tier != _QUARTER_TIER:
            return False
        while self._kept and self._kept[-1].pane_ms >= pane_ms >= self._from_ms:
            self._kept.pop()
        return True

    def read(self, panes: Panes, watermark_ms: int) -> Reading:
        """Fold what has changed and return what the detector says; a function of the panes and the watermark."""
        from_ms = first_pane_ms(watermark_ms, panes.kept_ms(_QUARTER_TIER))
        if from_ms != self._from_ms:
            self._from_ms = from_ms
            self._kept.clear()
        last = self._kept[-1] if self._kept else _Kept(from_ms - _QUARTER_MS, begin(self._model.bets), 0.0, 0)
        expected: dict[int, int] = {}
        for pane_ms in range(last.pane_ms + _QUARTER_MS, watermark_ms - _QUARTER_MS + 1, _QUARTER_MS):
            hour_ms = pane_ms - pane_ms % HOUR_MS
            if hour_ms not in expected:
                expected[hour_ms] = self._expected_nano(panes, hour_ms)
            last = self._fold(last, pane_ms, panes, expected[hour_ms])
            self._kept.append(last)
        self._kept = thinned(self._kept)
        return reading_of(last.state, self.detector.bar)

    def _fold(self, last: _Kept, pane_ms: int, panes: Panes, expected_nano: int) -> _Kept:
        if not expected_nano:
            return last._replace(pane_ms=pane_ms)
        done = panes.cells(_QUARTER_TIER, pane_ms).get(self._labels, 0)
        phi = (last.scatter + _PRIOR_PHI * _PRIOR_PANES) / (last.panes + _PRIOR_PANES)
        pane = Count(done, expected_nano, max(NANO, round(phi * NANO)))
        state, _, _ = fold_pane(self._model, last.state, pane_ms, pane, self.detector.bar)
        expected = expected_nano / NANO
        return _Kept(pane_ms, state, last.scatter + (done - expected) ** 2 / expected, last.panes + 1)

    def _expected_nano(self, panes: Panes, hour_ms: int) -> int:
        """Return μ of a quarter of an hour in 10⁻⁹: a fourth of the mean of the same hour in the weeks before.

        As many weeks as are surely kept for the oldest quarter looked at, so that the same pane always sees the same weeks.
        """
        held = (panes.kept_ms(_HOUR_TIER) - panes.kept_ms(_QUARTER_TIER)) // WEEK_MS
        known = panes.starts(_HOUR_TIER)
        weeks = [before for k in range(1, held + 1) if (before := hour_ms - k * WEEK_MS) in known]
        total = sum(panes.cells(_HOUR_TIER, before).get(self._labels, 0) for before in weeks)
        return total * NANO // (4 * len(weeks)) if weeks else 0
