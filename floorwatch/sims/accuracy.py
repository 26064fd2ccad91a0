"""Accuracy alarms: the table of rules, delays at four levels, weighted and clustered audits, critical errors."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from floorwatch.sims.lines import ReportLine, Z, of_median, of_run_length, of_share
from floorwatch.sims.rivals import RULES, Bits, Flags
from streams.core.detectors.bets import CRITICAL_RATIOS, ShareBets
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fold import PaneFold
from streams.core.detectors.many import ManyFolds, batch_shares, share_factors, share_walks
from streams.core.detectors.watch import HOUR_MS

BAR = 200_000.0
AUDITS = 20_000
BEFORE = 5_000
AFTER = 5_000
TARGET = 0.95
_BLOCK = 200

_TABLE: dict[str, tuple[float, float, float, float]] = {
    "raw point estimate, last 200": (1.00, 1.00, 35, 21),
    "Wilson 95%, last 200": (1.00, 0.82, 133, 76),
    "Wilson 95%, cumulative": (0.35, 0.10, 1695, 824),
    "betting e-process, 1/α=20": (0.036, 0.007, 2382, 1089),
    "Bernoulli CUSUM, ARL 206k": (0.10, 0.002, 302, 123),
    "e-SR, A=200,000": (0.067, 0.002, 354, 122),
}
"""Reference figures (docs/statistics.md): ever a false alarm on target and one point above; median audits to detect .90 and .85."""


def esr(wrong: Bits, bets: ShareBets | None = None, bar: float = BAR) -> Flags:
    """The product's detector over a matrix of audits, as the rules of ``rivals`` are given: on from its first firing."""
    bets = ShareBets.of(1.0 - TARGET) if bets is None else bets
    folds = ManyFolds(wrong.shape[0], len(bets.ratios), bar, math.inf)
    on = np.zeros(wrong.shape, dtype=bool)
    for at, column in enumerate(np.ascontiguousarray(wrong.T, dtype=np.float64)):
        folds.observe(share_factors(bets, column), *share_walks(bets, column))
        on[:, at] = folds.firing
    return on


def _audits(rng: np.random.Generator, runs: int, *parts: tuple[int, float]) -> Bits:
    """Return a matrix of audits: runs of so many at such an accuracy, one after the other."""
    return np.concatenate([rng.random((runs, n)) >= accuracy for n, accuracy in parts], axis=1).astype(np.uint8)


def _blocks(runs: int) -> list[int]:
    return [min(_BLOCK, runs - at) for at in range(0, runs, _BLOCK)]


def _false_alarms(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    rules = {**RULES, "e-SR, A=200,000": esr}
    lines = []
    for place, (accuracy, words) in enumerate(((TARGET, "on target"), (TARGET + 0.01, "one point above"))):
        hits = dict.fromkeys(rules, 0)
        for block in _blocks(runs):
            wrong = _audits(rng, block, (AUDITS, accuracy))
            for name, rule in rules.items():
                hits[name] += int(rule(wrong).any(axis=1).sum())
        for name in rules:
            what = f"{name}: ever a false alarm in 20,000 audits, {words}"
            lines.append(_near_share(what, hits[name], runs, _TABLE[name][place]))
        bound = f"Ville: {AUDITS:,}/A"
        name = "e-SR, A=200,000"
        lines.append(of_share(f"{name}: bound, {words}", hits[name], runs, "at most", AUDITS / BAR, bound))
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
    rules = {**RULES, "e-SR, A=200,000": esr}
    lines = []
    for place, accuracy in ((2, 0.90), (3, 0.85)):
        found: dict[str, list[float]] = {name: [] for name in rules}
        for block in _blocks(runs):
            wrong = _audits(rng, block, (BEFORE, TARGET + 0.01), (AFTER, accuracy))
            for name, rule in rules.items():
                found[name] += first_after(rule(wrong), BEFORE)
        for name, delays in found.items():
            what = f"{name}: median audits to detect {accuracy:.2f}"
            lines.append(of_median(what, delays, "about", _TABLE[name][place], "reference"))
    return lines


def first_after(on: Flags, change: int) -> list[float]:
    """Return, per run, how many audits after a change the alarm is first on; infinity where it never is."""
    after = on[:, change:]
    first: npt.NDArray[np.float64] = np.where(after.any(axis=1), after.argmax(axis=1) + 1.0, math.inf)
    return first.tolist()  # type: ignore[no-any-return]


def expected_delay(bets: ShareBets, accuracy: float, bar: float) -> float:
    """Return log(K·A) over the best bet's growth per audit: what a start from nothing needs on average.

    Wald's identity; exact to first order for large bars (Lorden, Annals of Mathematical Statistics 42, 1971).
    """
    wrong = 1.0 - accuracy
    growth = [
        wrong * math.log(1 + bet * (1 - bets.allowed)) + accuracy * math.log(1 - bet * bets.allowed)
        for bet in bets.lambdas
    ]
    return math.log(len(bets.ratios) * bar) / max(growth)


def _levels(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    bets = ShareBets.of(1.0 - TARGET)
    lines = []
    for accuracy in (0.93, 0.90, 0.85, 0.80):
        on = esr(_audits(rng, runs, (BEFORE, TARGET), (AFTER, accuracy)))
        delays = [delay for delay, early in zip(first_after(on, BEFORE), on[:, BEFORE - 1], strict=True) if not early]
        bound = expected_delay(bets, accuracy, BAR)
        name = f"e-SR, A=200,000: median audits to detect {accuracy:.2f} from on target"
        lines.append(of_median(name, delays, "at most", bound, "log(K·A)/growth"))
    return lines


def clustered_alarms(rng: np.random.Generator, streams: int, audits: int, *, size: int, correlation: float) -> int:
    """Count alarms on target, audit by audit, when the errors of a batch depend on each other (beta-binomial).

    Args:
        rng: Source of chance.
        streams: How many scopes.
        audits: Audits of each.
        size: Audits of a batch.
        correlation: Correlation of two audits of a batch.
    """
    bets = ShareBets.of(1.0 - TARGET)
    folds = ManyFolds(streams, len(bets.ratios), BAR, math.inf)
    spread = 1 / correlation - 1
    alarms = 0
    for _ in range(audits // size):
        chance = rng.beta((1 - TARGET) * spread, TARGET * spread, streams)
        for _ in range(size):
            wrong = (rng.random(streams) < chance).astype(np.float64)
            fired = folds.observe(share_factors(bets, wrong), *share_walks(bets, wrong))
            alarms += int(fired.sum())
            folds.r[fired], folds.firing[fired] = 0.0, False
    return alarms


def tempered_alarms(rng: np.random.Generator, streams: int, audits: int, *, size: int, correlation: float) -> int:
    """Count the alarms of the deployed fold, which learns φ, on such batches, an hour each."""
    spread = 1 / correlation - 1
    alarms = 0
    for _ in range(streams):
        fold: PaneFold[tuple[PaneClass, ...]] = PaneFold(ShareBets.of(1.0 - TARGET), BAR)
        chances = rng.beta((1 - TARGET) * spread, TARGET * spread, audits // size)
        for at, bad in enumerate(rng.binomial(size, chances).tolist()):
            fold.apply(at * HOUR_MS, (PaneClass(NANO, size, bad),))
        alarms += len(fold.episodes)
    return alarms


def _clustered(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    lines = []
    independent = 0
    bets = ShareBets.of(1.0 - TARGET)
    folds = ManyFolds(runs, len(bets.ratios), BAR, math.inf)
    for _ in range(AUDITS * 2):
        wrong = (rng.random(runs) >= TARGET).astype(np.float64)
        fired = folds.observe(share_factors(bets, wrong), *share_walks(bets, wrong))
        independent += int(fired.sum())
        folds.r[fired], folds.firing[fired] = 0.0, False
    total = float(runs * AUDITS * 2)
    name = "e-SR on target, independent audits: audits per false alarm"
    lines.append(of_run_length(name, total, independent, "at least", BAR, "ARL >= A"))
    kinds = {"size": 10, "correlation": 0.1}
    alarms = clustered_alarms(rng, runs, AUDITS, **kinds)  # type: ignore[arg-type]
    name = "the same, batches of 10 with correlation .1, audit by audit"
    lines.append(of_run_length(name, float(runs * AUDITS), alarms, "about", 5_400, "reference"))
    few = max(20, runs // 10)
    alarms = tempered_alarms(rng, few, AUDITS, **kinds)  # type: ignore[arg-type]
    name = "the same through the deployed fold, φ learnt"
    lines.append(of_run_length(name, float(few * AUDITS), alarms, "at least", BAR, "the budget"))
    return lines


def weighted_alarms(
    rng: np.random.Generator, streams: int, audits: int, *, weighted: bool, worse: float = 1.0
) -> list[float]:
    """Return when each scope first fires where risky work is audited ten times as often.

    One label in ten is risky (wrong with 23%, audited with π = .5), the others are wrong with 3% and audited with
    π = .05: 5% of all labels are wrong, but 13.5% of the audited ones.

    Args:
        rng: Source of chance.
        streams: How many scopes.
        audits: Audits of each.
        weighted: Whether the detector is told the probabilities.
        worse: Multiplies both error shares.

    Returns:
        Audits to the first alarm per scope, infinity where there was none.
    """
    bets = ShareBets.of(1.0 - TARGET, top_nano=20 * NANO if weighted else 0)
    folds = ManyFolds(streams, len(bets.ratios), BAR, math.inf)
    risky_share = 0.1 * 0.5 / (0.1 * 0.5 + 0.9 * 0.05)
    first = np.full(streams, math.inf)
    for at in range(audits):
        risky = rng.random(streams) < risky_share
        wrong = (rng.random(streams) < np.where(risky, 0.23, 0.03) * worse).astype(np.float64)
        ones = np.ones(streams)
        x, u = batch_shares(bets, wrong, ones, 20.0)
        if weighted:
            x_risky, u_risky = batch_shares(bets, wrong, ones, 2.0)
            x, u = np.where(risky, x_risky, x), np.where(risky, u_risky, u)
        fired = folds.observe(share_factors(bets, x, u), *share_walks(bets, x, u))
        first[fired] = at + 1.0
        if np.isfinite(first).all():
            break
    return [float(value) for value in first]


def _weighted(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    blind = weighted_alarms(rng, runs, AUDITS // 4, weighted=False)
    told = weighted_alarms(rng, runs, AUDITS, weighted=True)
    found = weighted_alarms(rng, runs, AUDITS, weighted=True, worse=2.0)
    return [
        of_share(
            "risky work audited more, weights ignored: ever a false alarm",
            _finite(blind),
            runs,
            "at least",
            0.95,
            "shown",
        ),
        of_share(
            "risky work audited more, weighted: ever a false alarm",
            _finite(told),
            runs,
            "at most",
            AUDITS / BAR,
            "Ville",
        ),
        of_share("risky work audited more, weighted: .90 detected", _finite(found), runs, "at least", 0.99, "shown"),
    ]


def _finite(values: list[float]) -> int:
    return sum(math.isfinite(value) for value in values)


def _critical(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    bets = ShareBets.of(0.005, CRITICAL_RATIOS)
    on = esr(_audits(rng, runs, (AUDITS, 0.995)), bets)
    name = "critical errors, .5% allowed, A=200,000: ever a false alarm in 20,000 audits"
    lines = [of_share(name, int(on[:, -1].sum()), runs, "at most", AUDITS / BAR, "Ville")]
    for share in (0.01, 0.02, 0.05):
        delays = first_after(esr(_audits(rng, runs, (AFTER * 2, 1.0 - share)), bets), 0)
        name = f"critical errors: median audits to detect {share:.0%}"
        lines.append(of_median(name, delays, "at most", expected_delay(bets, 1.0 - share, BAR), "log(K·A)/growth"))
    return lines


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run all of them.

    Args:
        scale: Multiplies the numbers of runs (1,000 at scale 1).
        seed: Seed.
    """
    rng = np.random.default_rng([seed, 1])
    runs = max(50, round(1000 * scale))
    return [
        *_false_alarms(rng, runs),
        *_delays(rng, runs),
        *_levels(rng, max(50, runs // 2)),
        *_clustered(rng, runs),
        *_weighted(rng, max(50, runs // 2)),
        *_critical(rng, max(50, runs // 2)),
    ]
