"""Rows under the audits people run: flagged work audited at 20%, the rest at 1%, and labels picked because they looked wrong beside.

Each run is a week of one queue. Its labellers differ in volume (lognormal, σ 1) and in how often they err (Beta, mean 5%, sd 3%).
In the queues of two tools the tools err unlike: one sends π with its audits, the other says nothing of sampling.
Verdicts become counters and counters become a row as in a worker; what is measured is what the row shows and a rule would judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from floorwatch.sims.lines import ReportLine, of_mean, of_share
from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import decision_counters
from streams.core.estimates import accuracy_share
from streams.core.row_layout import parts_of
from streams.core.tables import accuracy

ROWS = (2, 6)
CPU_S = 13.0

COVERED, RECALL_COVERED, TAIL = 0.925, 0.95, 0.025

FLAGGED, PASSED = 0.2, 0.01
"""Probabilities of an audit of a label that flags its item, and of one that passes it."""

FLAG, PASS = "spam", "safe"


class SampledQueue(NamedTuple):
    """A queue.

    Attributes:
        name: In words.
        items: Labels of the week.
        prevalence: Part of the items that deserve the flag.
        targeted: Labels that are looked at because they looked wrong; three in four of them are.
        silent: Part of the labels that come from a tool whose audits, of one label in 20, say nothing of sampling.
        labelers: People.
    """

    name: str
    items: int
    prevalence: float
    targeted: int = 0
    silent: float = 0.0
    labelers: int = 12


FLOORS = (
    SampledQueue("5% violating, 20,000 items", 20_000, 0.05),
    SampledQueue("2% violating, 20,000 items", 20_000, 0.02),
    SampledQueue("5% violating, 5,000 items", 5_000, 0.05),
    SampledQueue("5% violating, and 400 targeted audits", 20_000, 0.05, targeted=400),
    SampledQueue("2% violating, and 400 targeted audits", 20_000, 0.02, targeted=400),
    SampledQueue(
        "5% violating, three in ten labels by a tool that says nothing and errs alike", 20_000, 0.05, silent=0.3
    ),
)


class LabelingTool(NamedTuple):
    """Labels of one tool.

    Attributes:
        labels: How many, on average.
        probability: π of their audits.
        wrong: Part of the labels that are wrong.
    """

    labels: int
    probability: float
    wrong: float


TWO_TOOLS = (
    (LabelingTool(1_000, 0.02, 0.01), LabelingTool(200, 0.3, 0.4)),
    (LabelingTool(2_500, 0.02, 0.02), LabelingTool(500, 0.2, 0.25)),
    (LabelingTool(1_000, 0.05, 0.02), LabelingTool(300, 0.2, 0.3)),
    (LabelingTool(1_000, 0.02, 0.4), LabelingTool(200, 0.3, 0.01)),
    (LabelingTool(4_000, 0.1, 0.05), LabelingTool(400, 0.1, 0.3)),
)
"""The tool that sends π, and the one that says nothing."""


@cache
def _flat(given: str, truth: str, probability: float, how: str) -> tuple[tuple[c.Counter, int], ...]:
    weight_nano = round(c.NANO / probability) if how == "drawn" else 0
    verdict = LabelVerdict(given != truth, 0, 0, truth, weight_nano, False, 0, how == "assumed")
    flat = decision_counters(given, verdict)
    return tuple((counter, int(amount)) for counter, amount in zip(flat[::2], flat[1::2], strict=True))


@dataclass
class Week:
    """One run: its row, and what is true of the people's work.

    Attributes:
        row: The accuracy row.
        accuracy: Their accuracy on items such as these.
        recall: Of the items that deserve the flag, the part they flag.
    """

    row: dict[str, Any]
    accuracy: float
    recall: float


def week(floor: SampledQueue, rng: np.random.Generator) -> Week:
    """Return one run."""
    volumes = rng.lognormal(0, 1, floor.labelers)
    shares = volumes / volumes.sum()
    wrong = rng.beta(2.589, 49.19, floor.labelers)  # mean .05, standard deviation .03
    missed, fussy = np.minimum(0.6, 2 * wrong), 0.2 * wrong
    miss, fuss = float(shares @ missed), float(shares @ fussy)
    counters: Counters = {c.LABELS: floor.items}
    for silent, part in ((False, 1 - floor.silent), (True, floor.silent)):
        if part:
            by_person = rng.multinomial(round(floor.items * part), shares)
            _audited(floor, by_person, missed, fussy, counters, rng, silent=silent)
    bad = int(rng.binomial(floor.targeted, 0.75))
    for given, truth, count in (
        (FLAG, PASS, bad // 2),
        (PASS, FLAG, bad - bad // 2),
        (PASS, PASS, floor.targeted - bad),
    ):
        _add(counters, _flat(given, truth, 1.0, "targeted"), count)
    right = 1 - floor.prevalence * miss - (1 - floor.prevalence) * fuss
    return Week(accuracy(parts_of(counters)), right, 1 - miss)


def _audited(
    floor: SampledQueue,
    by_person: np.ndarray[Any, Any],
    missed: np.ndarray[Any, Any],
    fussy: np.ndarray[Any, Any],
    counters: Counters,
    rng: np.random.Generator,
    *,
    silent: bool,
) -> None:
    deserving = rng.binomial(by_person, floor.prevalence)
    not_flagged = rng.binomial(deserving, missed)
    flagged_too = rng.binomial(by_person - deserving, fussy)
    kinds = (
        (FLAG, FLAG, deserving - not_flagged),
        (PASS, FLAG, not_flagged),
        (FLAG, PASS, flagged_too),
        (PASS, PASS, by_person - deserving - flagged_too),
    )
    for given, truth, labels in kinds:
        probability = 0.05 if silent else FLAGGED if given == FLAG else PASSED
        audits = int(rng.binomial(int(labels.sum()), probability))
        _add(counters, _flat(given, truth, probability, "assumed" if silent else "drawn"), audits)


def two_tools(told: LabelingTool, silent: LabelingTool, rng: np.random.Generator) -> Week:
    """Return one run of a queue that two tools label; a fifth of the items deserves the flag."""
    labels = told.labels + silent.labels
    first = int(rng.binomial(labels, told.labels / labels))
    counters: Counters = {c.LABELS: labels}
    for tool, count, how in ((told, first, "drawn"), (silent, labels - first, "assumed")):
        audits = int(rng.binomial(count, tool.probability))
        right, wrong = 1 - tool.wrong, tool.wrong
        kinds = (
            (FLAG, FLAG, 0.2 * right),
            (PASS, FLAG, 0.2 * wrong),
            (FLAG, PASS, 0.8 * wrong),
            (PASS, PASS, 0.8 * right),
        )
        drawn = rng.multinomial(audits, [part for _, _, part in kinds])
        for (given, truth, _), times in zip(kinds, drawn.tolist(), strict=True):
            _add(counters, _flat(given, truth, tool.probability, how), times)
    accurate = 1 - (told.labels * told.wrong + silent.labels * silent.wrong) / labels
    return Week(accuracy(parts_of(counters)), accurate, accurate)


def _add(counters: Counters, flat: tuple[tuple[c.Counter, int], ...], times: int) -> None:
    if times:
        for counter, amount in flat:
            counters[counter] = counters.get(counter, 0) + amount * times


def run(scale: float, seed: int) -> list[ReportLine]:
    """Return how often what rows show of accuracy and recall holds the truth.

    Args:
        scale: Multiplies the 400 runs of each queue, and the 1,000 of two tools.
        seed: Of the runs.
    """
    rng = np.random.default_rng(seed)
    runs = max(40, round(400 * scale))
    lines = [line for floor in FLOORS for line in _lines(floor, runs, rng)]
    apart = np.random.default_rng([seed, 6])
    runs = max(100, round(1_000 * scale))
    return [*lines, *(line for tools in TWO_TOOLS for line in _lines_of_two(*tools, runs, apart))]


def _lines_of_two(
    told: LabelingTool, silent: LabelingTool, runs: int, rng: np.random.Generator
) -> Iterator[ReportLine]:
    covered = below = above = recalled = seen = 0
    for _ in range(runs):
        one = two_tools(told, silent, rng)
        share = accuracy_share(one.row)
        if share is None:
            continue
        seen += 1
        covered += one.row["accuracy_low_ratio"] <= one.accuracy <= one.row["accuracy_high_ratio"]
        low, high = share.limits(TAIL)
        below += high < one.accuracy
        above += low > one.accuracy
        flag = one.row["values"].get(FLAG, {})
        least, most = flag.get("recall_low_ratio"), flag.get("recall_high_ratio")
        recalled += least is None or least <= one.recall <= most
    name = (
        f"{told.labels:,} labels with π {told.probability}, {told.wrong:.0%} wrong, and {silent.labels:,} of a silent tool "
        f"audited at {silent.probability}, {silent.wrong:.0%} wrong"
    )
    yield of_share(f"{name}: the row's interval holds the accuracy", covered, seen, "at least", COVERED, row=6)
    yield of_share(f"{name}: judged below its accuracy in error", below, seen, "at most", TAIL, row=6)
    yield of_share(f"{name}: judged above its accuracy in error", above, seen, "at most", TAIL, row=6)
    yield of_share(f"{name}: recall's interval holds the recall", recalled, seen, "at least", COVERED, row=2)


def _lines(floor: SampledQueue, runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    weeks = [week(floor, rng) for _ in range(runs)]
    errors, covered, below, recalled, certain = [], 0, 0, 0, 0
    for one in weeks:
        row, share = one.row, accuracy_share(one.row)
        if share is None:
            continue
        errors.append(row["accuracy_estimate_ratio"] - one.accuracy)
        covered += row["accuracy_low_ratio"] <= one.accuracy <= row["accuracy_high_ratio"]
        below += share.limits(TAIL)[1] < one.accuracy
        flag = row["values"][FLAG]
        recalled += (
            flag["recall_low_ratio"] is None or flag["recall_low_ratio"] <= one.recall <= flag["recall_high_ratio"]
        )
        certain += flag["recall_ratio"] == 1.0
    name = floor.name
    yield of_share(f"{name}: the row's interval holds the accuracy", covered, runs, "at least", COVERED, row=6)
    yield of_share(f"{name}: judged below its accuracy in error", below, runs, "at most", TAIL, row=6)
    mean = of_mean(
        f"{name}: estimate less accuracy, in points, plus 1", [1 + 100 * error for error in errors], "about", 1.0, row=6
    )
    yield mean
    yield of_share(f"{name}: recall's interval holds the recall", recalled, runs, "at least", RECALL_COVERED, row=2)
    yield of_share(f"{name}: recall read as 100%", certain, runs, "at most", 0.0, row=2)
