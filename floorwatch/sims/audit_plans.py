"""Whether audit plans keep what they promise when they are carried out: drawn by the plan's own drawing, estimated by the product.

Strata are a floor of the kind people have: vendors of unlike size and policies of unlike difficulty, each with a flagged and an
approved part. Labels are drawn each by itself, as ``drawing`` does, verdicts fall by chance, and the estimate is that of the product.
The keyed hash is measured, too, and the acceptance plans of ISO 2859-1 are run on lots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from floorwatch.analysis.audits.allocation import AuditStratum, Plan, Planned, for_half_width, for_power, narrowest
from floorwatch.analysis.audits.drawing import label_number
from floorwatch.analysis.audits.iso2859 import Severity, acceptance_plan
from floorwatch.analysis.audits.operating import characteristic
from floorwatch.analysis.audits.recall import FlaggedWork, least_probability
from floorwatch.analysis.audits.sizes import audits_for_half_width, audits_for_power, half_width
from floorwatch.sims.lines import ReportLine, of_share
from streams.core.binomial import WeightClass, judged_below
from streams.core.counters import NANO, sampling_class
from streams.core.estimates import accuracy_share
from streams.core.proportions import recall_of

CPU_S = 12.0

WANTED = 0.9
"""The chance that a half-width holds, and below which, by chance alone, a line is told."""

_SLACK = 0.01
"""How far the quantile of a sum of unlike weights may be off: the gamma variable that stands for it is not exact."""


class CarriedOut(NamedTuple):
    """What came of a plan in many runs.

    Attributes:
        half_widths: Of the 95% interval shown, as ratios.
        covered: Share of runs in which it holds the true accuracy.
        below: Share of runs in which the work is judged below the target.
    """

    half_widths: np.ndarray
    covered: float
    below: float


def carried_out(
    plan: Plan, rng: np.random.Generator, runs: int, *, worse: float = 1.0, target: float = 0.0
) -> CarriedOut:
    """Carry a plan out and estimate as the rows of the tables do: each label is drawn by itself, so the number audited varies.

    Args:
        plan: The plan.
        rng: Chance.
        runs: How often.
        worse: The error rates times this.
        target: What to judge against, 0..1.
    """
    rates = [min(1.0, one.stratum.wrong * worse) for one in plan.strata]
    labels = sum(one.stratum.labels for one in plan.strata)
    truth = 1 - sum(one.stratum.labels * rate for one, rate in zip(plan.strata, rates, strict=True)) / labels
    widths, covered, below = np.empty(runs), 0, 0
    for run_ in range(runs):
        found = accuracy_share(row_of(plan.strata, rates, rng))
        if found is None:
            widths[run_] = 0.5
            continue
        widths[run_] = (found.estimate.high - found.estimate.low) / 2
        covered += found.estimate.low <= truth <= found.estimate.high
        below += found.limits()[1] < target
    return CarriedOut(widths, covered / runs, below / runs)


def row_of(planned: Sequence[Planned], rates: Sequence[float], rng: np.random.Generator) -> dict[str, Any]:
    """Return what a row of the accuracy table counts of a plan that was carried out, by class of sampling probability."""
    classes: dict[str, dict[str, float]] = {"sample_audited": {}, "sample_wrong": {}, "sample_weight": {}}
    correct = weight_correct = 0.0
    for one, rate in zip(planned, rates, strict=True):
        audits, weight = int(rng.binomial(one.stratum.labels, one.probability)), 1 / one.probability
        wrong = int(rng.binomial(audits, rate))
        name = str(sampling_class(round(weight * NANO)))
        for field, amount in zip(classes, (audits, wrong, audits * weight), strict=True):
            classes[field][name] = classes[field].get(name, 0) + amount
        correct, weight_correct = correct + audits - wrong, weight_correct + (audits - wrong) * weight
    return {
        "labels": sum(one.stratum.labels for one in planned),
        "audited": sum(classes["sample_audited"].values()),
        "correct": correct,
        "weight_sum": sum(classes["sample_weight"].values()),
        "weight_correct": weight_correct,
        **classes,
    }


def floor_of(rng: np.random.Generator, vendors: int, policies: int, labels: int) -> list[AuditStratum]:
    """Return the strata of a floor: volumes of vendors lognormal, error rates of each stratum beta with its side's mean."""
    sizes = rng.lognormal(0, 1, vendors)
    found = []
    for vendor, part in enumerate(sizes / sizes.sum()):
        for policy in range(policies):
            for side, share, mean in (("flagged", 0.12, 0.15), ("approved", 0.88, 0.02)):
                number = max(20, round(labels * part * share / policies))
                wrong = float(rng.beta(4, 4 / mean - 4))
                found.append(AuditStratum((f"v{vendor}", f"p{policy}", side), number, wrong))
    return found


FLOORS = (
    ("one vendor, one policy, 10,000 labels", 1, 1, 10_000),
    ("4 vendors, 3 policies, 20,000 labels", 4, 3, 20_000),
    ("8 vendors, 5 policies, 60,000 labels", 8, 5, 60_000),
)


def _allocations(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for name, vendors, policies, labels in FLOORS:
        strata = floor_of(rng, vendors, policies, labels)
        for wanted in (0.02, 0.01):
            plan = for_half_width(strata, wanted, minimum=5)
            found = carried_out(plan, rng, runs)
            hits, what = int((found.half_widths <= wanted + 1e-9).sum()), f"{name}, {plan.audits:,} audits"
            yield of_share(f"± {100 * wanted:g} points: {what}", hits, runs, "at least", WANTED - _SLACK, "planned 90%")
            yield of_share(f"covers: {what}", round(found.covered * runs), runs, "at least", 0.925)
        accuracy = narrowest(strata, 500).accuracy
        target, see = accuracy + 0.005, accuracy - 0.02
        power = for_power(strata, see, target, minimum=5)
        below = carried_out(power, rng, runs, worse=(1 - see) / (1 - accuracy), target=target).below
        what = f"{name}, {power.audits:,} audits"
        yield of_share(
            f"drop of 2.5 points seen: {what}", round(below * runs), runs, "at least", 0.8 - _SLACK, "planned 80%"
        )
        met = carried_out(power, rng, runs, worse=(1 - target) / (1 - accuracy), target=target).below
        yield of_share(f"on target, judged below in error: {what}", round(met * runs), runs, "at most", 0.025)


def _plain_sizes(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for accuracy, wanted in ((0.95, 0.02), (0.9, 0.03), (0.99, 0.01)):
        audits = audits_for_half_width(accuracy, wanted)
        wrong = rng.binomial(audits, 1 - accuracy, runs)
        hits = sum(half_width(int(one), audits) <= wanted for one in wrong)
        yield of_share(
            f"size: {audits:,} audits, ± {100 * wanted:g} points at {accuracy:.0%}", hits, runs, "at least", WANTED
        )
    for accuracy, target in ((0.92, 0.95), (0.9, 0.95), (0.97, 0.98)):
        audits = audits_for_power(accuracy, target)
        wrong = rng.binomial(audits, 1 - accuracy, runs)
        hits = sum(judged_below(audits - int(one), audits, target) for one in wrong)
        yield of_share(f"size: {audits:,} audits see {accuracy:.0%} below {target:.0%}", hits, runs, "at least", 0.8)


RECALLS = (
    ("20,000 labels, 5% flagged, recall 90%", FlaggedWork(1_000, 0.9, 0.2, 19_000, 0.0052), 0.7, None),
    ("20,000 labels, 5% flagged, recall 90%", FlaggedWork(1_000, 0.9, 0.2, 19_000, 0.0052), None, 0.12),
    ("50,000 labels, 12% flagged, recall 80%", FlaggedWork(6_000, 0.85, 0.1, 44_000, 0.029), 0.7, None),
)


def _recalls(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for name, work, low, width in RECALLS:
        plan = least_probability(work, at_least=low, half_width=width)
        kept = covered = 0
        for _ in range(runs):
            flagged = int(rng.binomial(work.flagged, work.flagged_probability))
            approved = int(rng.binomial(work.approved, plan.probability))
            found = recall_of(
                [WeightClass(flagged, int(rng.binomial(flagged, 1 - work.right)), flagged / work.flagged_probability)],
                [WeightClass(approved, int(rng.binomial(approved, work.missed)), approved / plan.probability)],
            )
            if found is None:
                continue
            kept += (low is None or found.low >= low) and (width is None or found.high - found.low <= 2 * width)
            covered += found.low <= work.recall <= found.high
        goal = f"at least {low:.0%}" if low is not None else f"± {100 * (width or 0):.0f} points"
        what = f"{name}, approved audited at {plan.probability:.2%}"
        yield of_share(f"recall {goal}: {what}", kept, runs, "at least", WANTED - _SLACK, "planned 90%")
        yield of_share(f"recall covers: {what}", covered, runs, "at least", 0.925)


def _lots(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for lot, aql, severity in (
        (1_150, 1.0, Severity.normal),
        (1_150, 1.0, Severity.tightened),
        (12_000, 2.5, Severity.normal),
        (400, 4.0, Severity.reduced),
    ):
        plan = acceptance_plan(lot, aql, severity=severity)
        curve = characteristic(plan)
        for share, expected in ((aql / 100, 1 - curve.risk_at_aql), (curve.shares[0.1], 0.1)):
            wrong = rng.binomial(lot, share, runs)
            in_sample = rng.hypergeometric(wrong, lot - wrong, plan.size)
            hits = int((in_sample <= plan.accept).sum())
            name = f"lot of {lot:,}, AQL {aql:g}, {severity}: accepted at {share:.2%} wrong"
            yield of_share(name, hits, runs, "about", expected, "operating characteristic")


def _drawing(labels: int, seed: int) -> Iterator[ReportLine]:
    key = seed.to_bytes(16, signed=True)
    numbers = [label_number(key, f"task-{at // 2}", f"label-{at}") for at in range(labels)]
    for probability in (0.01, 0.2):
        hits = sum(one < probability for one in numbers)
        yield of_share(f"drawn by the keyed hash at π {probability}", hits, labels, "about", probability, "its π")
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    both = sum(one < 0.2 and other < 0.2 for one, other in pairs)
    yield of_share("both labels of a task drawn at π .2", both, len(pairs), "about", 0.04, "independent")


def run(scale: float, seed: int) -> list[ReportLine]:
    """Return how well plans keep their promises.

    Args:
        scale: Multiplies the 2,000 runs of each plan; lots and labels are cheap and take ten times as many.
        seed: Of the runs.
    """
    rng = np.random.default_rng(seed)
    runs = max(100, round(2_000 * scale))
    return [
        *_plain_sizes(10 * runs, rng),
        *_allocations(runs, rng),
        *_recalls(runs, rng),
        *_lots(10 * runs, rng),
        *_drawing(20 * runs, seed),
    ]
