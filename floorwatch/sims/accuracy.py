"""Accuracy alarms: the table of rules, weighted and clustered audits, critical errors.

Where the table's rules look after every audit, evidence looks after every hour of ``PER_HOUR`` audits, with the fold a worker runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, Z, of_median, of_run_length, of_share
from floorwatch.sims.rivals import RULES, Bits, Flags
from streams.core.detectors.bets import CRITICAL_RATIOS, ShareBets, merge_classes
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.models.timestamps import HOUR_MS

CPU_S = 150.0
BAR = 200_000.0
AUDITS = 20_000
BEFORE = 5_000
AFTER = 5_000
TARGET = 0.95
PER_HOUR = 25
_BLOCK = 200
_KNOWN_TIMES = 1.5
"""How many times as long as with a known φ of 1 it may take once φ is learnt."""
_NEW_TIMES = 3.5
"""The same in a scope that is new."""

_TABLE: dict[str, tuple[float, float, float, float]] = {
    "raw point estimate, last 200": (1.00, 1.00, 35, 21),
    "Wilson 95%, last 200": (1.00, 0.82, 133, 76),
    "Wilson 95%, cumulative": (0.35, 0.10, 1695, 824),
    "betting e-process, 1/α=20": (0.036, 0.007, 2382, 1089),
    "Bernoulli CUSUM, ARL 206k": (0.10, 0.002, 302, 123),
    "e-SR, A=200,000": (0.067, 0.002, 354, 122),
}
"""Reference figures (docs/statistics.md): ever a false alarm on target and one point above; median audits to detect .90 and .85.

Those of e-SR are of a detector that knows that errors come one by one (φ = 1).
"""

EVIDENCE = "e-SR, A=200,000"


def folded(bets: ShareBets, hours: Iterable[tuple[PaneClass, ...]], bar: float = BAR) -> Iterator[FoldState]:
    """Yield the deployed fold's state after each hour."""
    state = begin(bets.bets)
    for hour, pane in enumerate(hours):
        if pane:
            state, _ = fold_pane(bets, state, hour * HOUR_MS, pane, bar)
        yield state


def esr(wrong: Bits, bets: ShareBets | None = None, bar: float = BAR) -> Flags:
    """The deployed fold over a matrix of audits, as the rules of ``rivals`` are given: on at the audits after which it fires."""
    bets = ShareBets.of(1.0 - TARGET) if bets is None else bets
    on = np.zeros(wrong.shape, dtype=bool)
    hours = wrong.shape[1] // PER_HOUR
    counts = wrong[:, : hours * PER_HOUR].reshape(len(wrong), hours, PER_HOUR).sum(axis=2)
    for row, of_hours in enumerate(counts.tolist()):
        panes = ((PaneClass(NANO, PER_HOUR, bad),) for bad in of_hours)
        for hour, state in enumerate(folded(bets, panes, bar), start=1):
            if state.firing is not None:
                on[row, hour * PER_HOUR - 1 : (hour + 1) * PER_HOUR - 1] = True
    return on


def _audits(rng: np.random.Generator, runs: int, *parts: tuple[int, float]) -> Bits:
    """Return a matrix of audits: runs of so many at such an accuracy, one after the other."""
    return np.concatenate([rng.random((runs, n)) >= accuracy for n, accuracy in parts], axis=1).astype(np.uint8)


def _blocks(runs: int) -> list[int]:
    return [min(_BLOCK, runs - at) for at in range(0, runs, _BLOCK)]


def _false_alarms(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    rules = {**RULES, EVIDENCE: esr}
    lines = []
    for place, (accuracy, words) in enumerate(((TARGET, "on target"), (TARGET + 0.01, "one point above"))):
        hits = dict.fromkeys(rules, 0)
        for block in _blocks(runs):
            wrong = _audits(rng, block, (AUDITS, accuracy))
            for name, rule in rules.items():
                hits[name] += int(rule(wrong).any(axis=1).sum())
        for name in RULES:
            what = f"{name}: ever a false alarm in 20,000 audits, {words}"
            lines.append(_near_share(what, hits[name], runs, _TABLE[name][place]))
        name = f"{EVIDENCE}: ever a false alarm in 20,000 audits, {words}"
        lines.append(of_share(name, hits[EVIDENCE], runs, "at most", AUDITS / BAR, f"Ville: {AUDITS:,}/A"))
    return lines


def _near_share(name: str, hits: int, runs: int, expected: float) -> ReportLine:
    """Compare a share with its reference figure. That was simulated with 1,000 runs too, so both errors count."""
    line = of_share(name, hits, runs, "about", expected, "reference")
    slack = Z * math.sqrt(max(expected * (1 - expected), 0.001) / 1000)
    return ReportLine(
        line.name, "about", expected, line.measured, max(0.0, line.low - slack), line.high + slack, line.source, 0.0
    )


def _delays(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    """Audits from the change to the first alarm after it; runs already firing when it comes have missed nothing."""
    rules = {**RULES, EVIDENCE: esr}
    lines = []
    for place, accuracy in ((2, 0.90), (3, 0.85)):
        found: dict[str, list[float]] = {name: [] for name in rules}
        for block in _blocks(runs):
            wrong = _audits(rng, block, (BEFORE, TARGET + 0.01), (AFTER, accuracy))
            for name, rule in rules.items():
                found[name] += first_after(rule(wrong), BEFORE)
        for name, delays in found.items():
            what, reference = f"{name}: median audits to detect {accuracy:.2f}", _TABLE[name][place]
            if name == EVIDENCE:
                bound = _KNOWN_TIMES * reference + PER_HOUR
                lines.append(
                    of_median(what, delays, "at most", bound, f"{_KNOWN_TIMES:g} x {reference:g}, and an hour")
                )
            else:
                lines.append(of_median(what, delays, "about", reference, "reference"))
    return lines


def first_after(on: Flags, change: int) -> list[float]:
    """Return, per run, how many audits after a change the alarm is first on; infinity where it never is."""
    after = on[:, change:]
    first: npt.NDArray[np.float64] = np.where(after.any(axis=1), after.argmax(axis=1) + 1.0, math.inf)
    return first.tolist()  # type: ignore[no-any-return]


def clustered_alarms(rng: np.random.Generator, streams: int, audits: int, *, size: int, correlation: float) -> int:
    """Count alarms on target when the errors of an hour's audits depend on each other (beta-binomial).

    Args:
        rng: Source of chance.
        streams: How many scopes.
        audits: Audits of each.
        size: Audits of an hour.
        correlation: Correlation of two audits of an hour; 0 for independent ones.
    """
    bets, alarms = ShareBets.of(1.0 - TARGET), 0
    for _ in range(streams):
        chances = np.full(audits // size, 1 - TARGET)
        if correlation:
            spread = 1 / correlation - 1
            chances = rng.beta((1 - TARGET) * spread, TARGET * spread, audits // size)
        hours = ((PaneClass(NANO, size, bad),) for bad in rng.binomial(size, chances).tolist())
        *_, state = folded(bets, hours)
        alarms += state.episodes + (state.firing is not None)
    return alarms


def _clustered(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    lines = []
    for correlation, words in ((0.0, "independent"), (0.1, "with a correlation of .1 within an hour")):
        alarms = clustered_alarms(rng, runs, 2 * AUDITS, size=10, correlation=correlation)
        name = f"e-SR on target, ten audits an hour, {words}: audits per false alarm"
        lines.append(of_run_length(name, runs * 2.0 * AUDITS, alarms, "at least", BAR, "the budget"))
    return lines


def weighted_alarms(rng: np.random.Generator, streams: int, audits: int, *, weighted: bool, worse: float = 1.0) -> int:
    """Count the scopes that ever fire where risky work is audited ten times as often.

    One label in ten is risky (wrong with 23%, audited with π = .5), the others are wrong with 3% and audited with
    π = .05: 5% of all labels are wrong, but 13.5% of the audited ones.

    Args:
        rng: Source of chance.
        streams: How many scopes.
        audits: Audits of each.
        weighted: Whether the detector is told the probabilities.
        worse: Multiplies both error shares.
    """
    bets, fired = ShareBets.of(1.0 - TARGET), 0
    risky_share = 0.1 * 0.5 / (0.1 * 0.5 + 0.9 * 0.05)
    heavy, light = (20 * NANO, 2 * NANO) if weighted else (NANO, NANO)
    for _ in range(streams):
        risky = rng.binomial(PER_HOUR, risky_share, audits // PER_HOUR)
        wrong, usual = rng.binomial(risky, 0.23 * worse), rng.binomial(PER_HOUR - risky, 0.03 * worse)
        hours = (
            merge_classes((PaneClass(light, many, bad), PaneClass(heavy, PER_HOUR - many, lost)))
            for many, bad, lost in zip(risky.tolist(), wrong.tolist(), usual.tolist(), strict=True)
        )
        fired += any(state.firing is not None for state in folded(bets, hours))
    return fired


def _weighted(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    name = "risky work audited more"
    blind = weighted_alarms(rng, runs, AUDITS // 4, weighted=False)
    told = weighted_alarms(rng, runs, AUDITS, weighted=True)
    found = weighted_alarms(rng, runs, AUDITS, weighted=True, worse=2.0)
    return [
        of_share(f"{name}, weights ignored: ever a false alarm", blind, runs, "at least", 0.95, "shown"),
        of_share(f"{name}, weighted: ever a false alarm", told, runs, "at most", AUDITS / BAR, "Ville"),
        of_share(f"{name}, weighted: .90 detected", found, runs, "at least", 0.99, "shown"),
    ]


def expected_delay(bets: ShareBets, accuracy: float, bar: float) -> float:
    """Return log(K·A) over the best bet's growth per audit: what a start from nothing needs on average, were φ known to be 1.

    Wald's identity; exact to first order for large bars (Lorden, Annals of Mathematical Statistics 42, 1971).
    """
    wrong = 1.0 - accuracy
    growth = [
        wrong * math.log(1 + bet * (1 - bets.allowed)) + accuracy * math.log(1 - bet * bets.allowed)
        for bet in bets.lambdas
    ]
    return math.log(len(bets.ratios) * bar) / max(growth)


def _critical(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    bets = ShareBets.of(0.005, CRITICAL_RATIOS)
    on = esr(_audits(rng, runs, (AUDITS, 0.995)), bets)
    name = "critical errors, .5% allowed, A=200,000: ever a false alarm in 20,000 audits"
    lines = [of_share(name, int(on[:, -1].sum()), runs, "at most", AUDITS / BAR, "Ville")]
    for share in (0.02, 0.05):
        delays = first_after(esr(_audits(rng, runs, (AFTER * 2, 1.0 - share)), bets), 0)
        name, least = (
            f"critical errors, new scope: median audits to detect {share:.0%}",
            expected_delay(bets, 1.0 - share, BAR),
        )
        lines.append(of_median(name, delays, "at most", _NEW_TIMES * least, f"{_NEW_TIMES:g} x log(K·A)/growth"))
    return lines


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run all of them.

    Args:
        scale: Multiplies the numbers of runs (400 at scale 1).
        seed: Seed.
    """
    rng = np.random.default_rng([seed, 1])
    runs = max(20, round(400 * scale))
    few = max(5, round(200 * scale))
    return [
        *_false_alarms(rng, runs),
        *_delays(rng, runs),
        *_clustered(rng, few),
        *_weighted(rng, few),
        *_critical(rng, few),
    ]
