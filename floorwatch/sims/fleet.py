"""A fleet of 500 scopes: what other rules do on an unchanged floor in 30 days, and whom the watch list names."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_count, of_share
from floorwatch.sims.rivals import Flags, raw_window, wilson_window
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fleet import bar_for, watch_list
from streams.core.detectors.fold import begin, fold_pane
from streams.core.policy import HOUR_MS

CPU_S = 60.0
SCOPES = 500
AUDITS_PER_DAY = 21_000
DAYS = 30
DAYS_PER_FALSE_ALARM = 7.0
TARGET = 0.95
_BAD = 10

Ints = npt.NDArray[np.int64]


def volumes(rng: np.random.Generator, fleets: int, days: int = DAYS) -> Ints:
    """Return the audits of each scope over all days: a few large scopes, many small ones.

    Source: ours; log-normal sizes, σ = 0.75.
    """
    sizes = np.exp(rng.normal(0.0, 0.75, (fleets, SCOPES)))
    shares = sizes / sizes.sum(axis=1, keepdims=True)
    found: Ints = np.round(shares * AUDITS_PER_DAY * days).astype(np.int64)
    return found


def rule_firings(on: Flags, audits: Ints) -> int:
    """Return how often a rule's alarm goes on within each row's first ``audits`` audits."""
    alive = on & (np.arange(on.shape[1])[None, :] < audits[:, None])
    return int(alive[:, 0].sum() + (alive[:, 1:] & ~alive[:, :-1]).sum())


def _watch(rng: np.random.Generator, fleets: int) -> tuple[int, int, int]:
    """Return, after 10 days with ten scopes at .80: bad scopes named, bad scopes over the bar, good scopes named."""
    bets = ShareBets.of(1.0 - TARGET)
    bar = bar_for(AUDITS_PER_DAY, DAYS_PER_FALSE_ALARM)
    named = over = wrongly = 0
    for _ in range(fleets):
        scores: dict[str, float] = {}
        for scope in range(SCOPES):
            units = rng.poisson(AUDITS_PER_DAY / SCOPES / 4, 40)
            wrong = rng.binomial(units, 0.20 if scope < _BAD else 1.0 - TARGET)
            state = begin(bets.bets)
            for place, (n, bad) in enumerate(zip(units.tolist(), wrong.tolist(), strict=True)):
                if n:
                    state, _ = fold_pane(bets, state, place * 6 * HOUR_MS, (PaneClass(NANO, n, bad),), math.inf)
            scores[f"{scope:03}"] = state.score
        found = {int(scope) for scope in watch_list(scores, bar)}
        named += len(found & set(range(_BAD)))
        over += sum(scores[f"{scope:03}"] >= bar for scope in range(_BAD))
        wrongly += len(found - set(range(_BAD)))
    return named, over, wrongly


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run fleets (5 at scale 1) of 500 scopes exactly on target, the hardest unchanged floor."""
    rng = np.random.default_rng([seed, 2])
    fleets = max(1, round(5 * scale))
    bar = bar_for(AUDITS_PER_DAY, DAYS_PER_FALSE_ALARM)
    raw = wilson = 0
    for audits in volumes(rng, fleets):
        wrong = (rng.random((SCOPES, int(audits.max()))) >= TARGET).astype(np.uint8)
        raw += rule_firings(raw_window(wrong), audits)
        wilson += rule_firings(wilson_window(wrong), audits)
    words = "500 scopes on target, 30 days"
    named, over, wrongly = _watch(rng, fleets)
    return [
        of_count(f"{words}: raw threshold, firings a fleet", raw, fleets, "at least", 1_000, "reference 1,683"),
        of_count(f"{words}: Wilson last 200, firings a fleet", wilson, fleets, "at least", 100, "reference 122"),
        of_share(
            "watch list: share of ten scopes at .80 named after 10 days",
            named,
            fleets * _BAD,
            "at least",
            over / (fleets * _BAD),
            "share over the bar",
        ),
        of_count(
            "watch list: scopes on target named, a fleet", wrongly, fleets, "at most", 10 * 420 * 500 / bar, "n·m·k/A"
        ),
    ]
