"""A fleet of 500 scopes on an unchanged floor for 30 days against its budget of false alarms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, of_count, of_share
from floorwatch.sims.rivals import Bits, Flags, raw_window, wilson_window
from streams.core.detectors.bets import ShareBets, uniform_batch
from streams.core.detectors.fleet import bar_for, watch_list
from streams.core.detectors.fold import PaneFold
from streams.core.detectors.many import ManyFolds, share_factors, share_walks

SCOPES = 500
AUDITS_PER_DAY = 21_000
DAYS = 30
DAYS_PER_FALSE_ALARM = 7.0
TARGET = 0.95
QUARTER_MS = 900_000
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


def esr_firings(wrong: Bits, audits: Ints, bar: float) -> tuple[int, int]:
    """Return (firings, resolutions) of the product's detectors, one a row, each over its first ``audits`` audits."""
    bets = ShareBets.of(1.0 - TARGET)
    folds = ManyFolds(len(audits), bets.bets, bar, bets.resolve_level)
    for at, column in enumerate(np.ascontiguousarray(wrong.T, dtype=np.float64)):
        folds.observe(share_factors(bets, column), *share_walks(bets, column), audits > at)
    return int(folds.fired.sum()), int(folds.resolved.sum())


def rule_firings(on: Flags, audits: Ints) -> int:
    """Return how often a rule's alarm goes on within each row's first ``audits`` audits."""
    alive = on & (np.arange(on.shape[1])[None, :] < audits[:, None])
    return int(alive[:, 0].sum() + (alive[:, 1:] & ~alive[:, :-1]).sum())


def pane_firings(rng: np.random.Generator, days: int) -> int:
    """Return the firings of one fleet through ``PaneFold``, pane by pane, as the product runs it.

    Audits of a scope fall on quarter hours at random and on 30 labellers; those of one labeller in one quarter are a batch.
    """
    bets = ShareBets.of(1.0 - TARGET)
    bar = bar_for(AUDITS_PER_DAY, DAYS_PER_FALSE_ALARM)
    fired = 0
    for audits in volumes(rng, 1, days)[0]:
        panes: dict[int, dict[int, list[int]]] = {}
        quarters, people = rng.integers(0, days * 96, audits), rng.integers(0, 30, audits)
        for quarter, labeler, wrong in zip(
            quarters.tolist(), people.tolist(), (rng.random(audits) >= TARGET).tolist(), strict=True
        ):
            counts = panes.setdefault(quarter, {}).setdefault(labeler, [0, 0])
            counts[0] += 1
            counts[1] += wrong
        fold: PaneFold[tuple[object, ...]] = PaneFold(bets, bar)  # type: ignore[arg-type]
        for quarter, batches in panes.items():
            fold.apply(quarter * QUARTER_MS, tuple(uniform_batch(key, *batches[key]) for key in sorted(batches)))
        fired += len(fold.episodes)
    return fired


def _watch(rng: np.random.Generator, fleets: int) -> tuple[int, int, int]:
    """Return, after 10 days with ten scopes at .90: bad scopes named, bad scopes over the bar, good scopes named."""
    bets = ShareBets.of(1.0 - TARGET)
    bar = bar_for(AUDITS_PER_DAY, DAYS_PER_FALSE_ALARM)
    named = over = wrongly = 0
    for _ in range(fleets):
        folds = ManyFolds(SCOPES, bets.bets, np.inf, bets.resolve_level)
        level = np.full(SCOPES, TARGET)
        level[:_BAD] = 0.90
        for _ in range(10 * AUDITS_PER_DAY // SCOPES):
            column = (rng.random(SCOPES) >= level).astype(np.float64)
            folds.observe(share_factors(bets, column), *share_walks(bets, column))
        scores = folds.score
        found = {int(scope) for scope in watch_list({f"{i:03}": float(score) for i, score in enumerate(scores)}, bar)}
        named += len(found & set(range(_BAD)))
        over += int((scores[:_BAD] >= bar).sum())
        wrongly += len(found - set(range(_BAD)))
    return named, over, wrongly


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run fleets (20 at scale 1) of 500 scopes exactly on target, the hardest unchanged floor."""
    rng = np.random.default_rng([seed, 2])
    fleets = max(1, round(20 * scale))
    bar = bar_for(AUDITS_PER_DAY, DAYS_PER_FALSE_ALARM)
    budget = DAYS / DAYS_PER_FALSE_ALARM
    fired = resolved = raw = wilson = 0
    for audits in volumes(rng, fleets):
        wrong = (rng.random((SCOPES, int(audits.max()))) >= TARGET).astype(np.uint8)
        counts = esr_firings(wrong, audits, bar)
        fired, resolved = fired + counts[0], resolved + counts[1]
        raw += rule_firings(raw_window(wrong), audits)
        wilson += rule_firings(wilson_window(wrong), audits)
    words = "500 scopes on target, 30 days"
    days = 30 if scale >= 0.5 else 7
    named, over, wrongly = _watch(rng, fleets)
    return [
        of_count(f"{words}: e-SR false firings a fleet (A={bar:,.0f})", fired, fleets, "at most", budget, "1 a week"),
        of_count(f"{words}: raw threshold, firings a fleet", raw, fleets, "at least", 1_000, "reference 1,683"),
        of_count(f"{words}: Wilson last 200, firings a fleet", wilson, fleets, "at least", 100, "reference 122"),
        of_count(
            f"one fleet through PaneFold with batch means, {days} days: firings",
            pane_firings(rng, days),
            1.0,
            "at most",
            days / DAYS_PER_FALSE_ALARM,
            "1 a week",
        ),
        of_share(
            "watch list: share of ten scopes at .90 named after 10 days",
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
