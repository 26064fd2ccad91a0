"""What a scorecard says of one person whose truth is known: against the target, and against the window before.

The audits are those that mislead: targeted ones beside random ones, flagged work audited more often, another share of audits than
in the window before. The labels go through the functions that make a scorecard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from floorwatch.analysis.people.accuracy import TargetStanding, accuracy_of
from floorwatch.analysis.people.coaching import CoachingStep, State, Told, coaching_of
from floorwatch.analysis.people.peers import expected_accuracy, tally_works
from floorwatch.analysis.people.scorecard import trend_of
from floorwatch.analysis.people.standing_labels import StandingLabel, StandingVerdict
from floorwatch.sims.intervals import chances
from floorwatch.sims.lines import ReportLine, of_mean, of_share
from floorwatch.sims.people import BASE_MS, POLICY, AuditDesign, audited
from streams.core.binomial import TAIL
from streams.core.policy import DAY_MS

ROWS = (7, 8, 12)
CPU_S = 10.0
"""About what it takes at scale 1."""

_BEFORE, _NOW = (BASE_MS - 7 * DAY_MS, BASE_MS), (BASE_MS, BASE_MS + 7 * DAY_MS)
_NOT_WRONG = StandingVerdict(False, False, "", "", "", 0, False)

TARGETS = (0.95, 0.97, 0.98, 0.99, 0.995)
SIZES = (30, 35, 40, 45, 50)


def picked(wrong: int, right: int) -> list[StandingLabel]:
    """Return targeted audits of the present window: what they say they were picked for has no probability."""
    at_ms = _NOW[0] + DAY_MS
    bad = _NOT_WRONG._replace(wrong=True, severity="minor")
    return [
        StandingLabel(f"x{n}", f"x{n}", "p", "", "", "", "q0", "P", at_ms + n, None, None, "x", verdict)
        for n, verdict in enumerate([bad] * wrong + [_NOT_WRONG] * right)
    ]


def plain(wrong: int, audits: int) -> list[StandingLabel]:
    """Return audits of one probability in the present window, so many of them wrong."""
    good = _NOT_WRONG._replace(weight_nano=20 * 10**9)
    bad = good._replace(wrong=True, severity="minor")
    return [
        StandingLabel(
            f"t{n}", f"t{n}", "p", "", "", "", "q0", "P", _NOW[0] + n, None, None, "x", bad if n < wrong else good
        )
        for n in range(audits)
    ]


def _standings(rng: np.random.Generator, runs: int) -> Iterator[ReportLine]:
    said = few = below = 0
    for _ in range(runs):
        standing = accuracy_of(plain(int(rng.binomial(25, 0.04)), 25) + picked(10, 10), POLICY).standing
        few += standing is TargetStanding.too_few
        wrong = float(rng.uniform(0.03, 0.05))
        labels = round(float(np.exp(rng.normal(np.log(1_500), 0.5))))
        works = audited(rng, "p", _NOW, labels, wrong, AuditDesign(0.1, 1, 50))
        standing = accuracy_of(works + picked(int(rng.integers(0, 20)), 5), POLICY).standing
        said += standing is not TargetStanding.too_few
        below += standing is TargetStanding.below
    yield of_share(
        "25 random audits and 20 targeted, half of them wrong: too few to say", few, runs, "at least", 1.0, row=7
    )
    name = "95 to 97% right, a flagged tenth all audited, the rest at 2%, some picked: below the target"
    yield of_share(name, below, max(1, said), "at most", TAIL, row=7)


def _changes(rng: np.random.Generator, runs: int) -> Iterator[ReportLine]:
    """Nothing changes but who is audited: before one label in ten, now the flagged ones far more, and some picked."""
    steps = [Told(BASE_MS, step, "") for step in (CoachingStep.alerted, CoachingStep.coached)]
    policy = replace(POLICY, recovery_ms=7 * DAY_MS, accuracy_target_ratio=0.9)
    worse = better = told = bad = judged = 0
    expected = []
    for _ in range(runs):
        wrong = float(rng.uniform(0.02, 0.08))
        labels = max(400, round(float(np.exp(rng.normal(np.log(1_500), 0.5)))))
        design = AuditDesign(0.2, int(rng.choice((1, 2, 5))), int(rng.choice((20, 50))))
        before = audited(rng, "p", _BEFORE, labels, wrong, AuditDesign(0.2, 10, 10))
        now = sorted(
            audited(rng, "p", _NOW, labels, wrong, design) + picked(int(rng.integers(0, 15)), 3),
            key=lambda work: work.time_ms,
        )
        change = trend_of(before + now, *_NOW).change
        if change is not None:
            told += 1
            worse += change.high < 0
            better += change.low > 0
        found = coaching_of(steps, before + now, _NOW[1], policy)
        if found.recovery is not None and not found.recovery.missing:
            judged += 1
            bad += found.state is State.not_recovered
        peers = audited(rng, "p", _NOW, 5 * labels, wrong, design) + picked(10, 3)
        of_peers = expected_accuracy(tally_works(before), tally_works(peers))
        if of_peers is not None:
            expected.append(of_peers - (1 - wrong))
    words = "only the audits changed"
    yield of_share(f"{words}: worse than before", worse, told, "at most", TAIL, row=8)
    yield of_share(f"{words}: better than before", better, told, "at most", TAIL, row=8)
    yield of_share(
        f"{words}: coached, 92 to 98%, target 90%: not recovered", bad, max(1, judged), "at most", TAIL, row=8
    )
    high = of_mean(f"{words}: expected from peers, less the truth", expected, "at most", 0.0, row=8)
    low = of_mean(
        f"{words}: the truth less what is expected from peers", [-one for one in expected], "at most", 0.0, row=8
    )
    yield from (high, low)


def _beyond_chance() -> Iterator[ReportLine]:
    """Every number of wrong audits with its chance where the truth is the target."""
    for target in TARGETS:
        policy = replace(POLICY, accuracy_target_ratio=target)
        worst = {TargetStanding.below: 0.0, TargetStanding.on_target: 0.0}
        for audits in SIZES:
            errors = dict.fromkeys(worst, 0.0)
            for wrong, chance in enumerate(chances(audits, target)):
                if chance > 1e-9:
                    standing = accuracy_of(plain(wrong, audits), policy).standing
                    if standing in errors:
                        errors[standing] += chance
            worst = {standing: max(worst[standing], error) for standing, error in errors.items()}
        for standing, error in worst.items():
            word = "below" if standing is TargetStanding.below else "at or above"
            name = f"scorecard, exactly at a target of {target:.1%}, 30 to 50 audits: {word} it beyond chance"
            yield ReportLine(name, "at most", TAIL, error, error, error, "enumerated", row=12)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run people against a target and against the window before (400 at scale 1), and enumerate what is beyond chance."""
    rng = np.random.default_rng([seed, 7])
    runs = max(40, round(400 * scale))
    return [*_standings(rng, runs), *_changes(rng, runs), *_beyond_chance()]
