"""Accuracy and recall as rows show them, where flagged work is audited more often: how often their intervals hold the truth.

The verdicts of a row are drawn, counted as an effective verdict is, and shown by the code that makes the rows of the accuracy table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from floorwatch.sims.intervals import CLAIMED, DESIGNS, Design
from floorwatch.sims.lines import ReportLine, of_share
from streams.core import counters as c
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import decision_counters
from streams.core.row_layout import parts_of
from streams.core.tables import accuracy

ROWS = (2, 6)
CPU_S = 40.0

_WRONG = c.ERROR_CLASSES.index("wrong_selection")
_MINOR = c.SEVERITIES.index("minor")


class Audited(NamedTuple):
    """Audited labels that are alike.

    Attributes:
        audits: How many.
        given: The value of the label.
        truth: The right one.
        probability: π of the audit.
    """

    audits: int
    given: str
    truth: str
    probability: float


def row_of(audits: Iterable[Audited], labels: int) -> dict[str, Any]:
    """Return the accuracy row of so many labels of which some were audited."""
    sums: c.Counters = {c.LABELS: labels}
    for count, given, truth, probability in audits:
        if count:
            verdict = LabelVerdict(given != truth, _WRONG, _MINOR, truth, round(c.NANO / probability), False, 0)
            flat = decision_counters(given, verdict)
            for counter, amount in zip(flat[::2], flat[1::2], strict=True):
                sums[counter] = sums.get(counter, 0) + int(amount) * count
    return accuracy(parts_of(sums))


class Flagging(NamedTuple):
    """Items of which some deserve a value, and how those that got it and the others are audited.

    Attributes:
        items: How many.
        prevalence: Part of them that deserves the value.
        recall: Part of these that gets it.
        precision: Of those that get it, the part that deserves it.
        given: π of the audits of items that got it.
        others: π of the audits of the others.
    """

    items: int
    prevalence: float
    recall: float
    precision: float = 0.9
    given: float = 0.2
    others: float = 0.01

    def row(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the row of one run."""
        deserving = int(rng.binomial(self.items, self.prevalence))
        right = int(rng.binomial(deserving, self.recall))
        wrong = min(self.items - deserving, int(rng.poisson(right * (1 - self.precision) / self.precision)))
        missed = deserving - right
        rest = self.items - right - wrong - missed
        audits = (
            Audited(int(rng.binomial(right, self.given)), "bad", "bad", self.given),
            Audited(int(rng.binomial(wrong, self.given)), "bad", "ok", self.given),
            Audited(int(rng.binomial(missed, self.others)), "ok", "bad", self.others),
            Audited(int(rng.binomial(rest, self.others)), "ok", "ok", self.others),
        )
        return row_of(audits, self.items)


FLAGGINGS = {
    "20,000 items, 5% deserve it, true recall 90%": Flagging(20_000, 0.05, 0.9),
    "20,000 items, 2% deserve it, true recall 90%": Flagging(20_000, 0.02, 0.9),
    "20,000 items, 5% deserve it, true recall 80%": Flagging(20_000, 0.05, 0.8),
    "100,000 items, 5% deserve it, true recall 90%": Flagging(100_000, 0.05, 0.9),
}


def any_flagging(rng: np.random.Generator) -> Flagging:
    """Return one of many: volumes, shares and π as they come."""
    return Flagging(
        int(rng.integers(8_000, 80_000)),
        *(float(rng.uniform(*ends)) for ends in ((0.01, 0.08), (0.7, 0.97), (0.7, 0.95))),
        *(float(np.exp(rng.uniform(*np.log(ends)))) for ends in ((0.1, 0.6), (0.005, 0.05))),
    )


def any_design(rng: np.random.Generator) -> Design:
    """Return one of many: kinds of work of unlike size, error and π."""
    kinds = int(rng.integers(2, 7))
    parts = rng.dirichlet(np.ones(kinds))
    wrong = rng.beta(1.0, 15.0, kinds)
    chances = np.exp(rng.uniform(np.log(0.01), np.log(0.5), kinds))
    rows = tuple(zip(parts.tolist(), wrong.tolist(), chances.tolist(), strict=True))
    return Design("", int(rng.integers(3_000, 30_000)), rows)


def accuracy_row(rng: np.random.Generator, design: Design) -> dict[str, Any]:
    """Return the row of one run of a design."""
    labels = rng.multinomial(design.labels, [part for part, _, _ in design.kinds])
    audits = []
    for n, (_, wrong, probability) in zip(labels.tolist(), design.kinds, strict=True):
        bad = int(rng.binomial(n, wrong))
        for count, truth in ((n - bad, "ok"), (bad, "bad")):
            audits.append(Audited(int(rng.binomial(count, probability)), "ok", truth, probability))
    return row_of(audits, design.labels)


def _recall(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    lines = []
    full = 0
    for name, fixed in {**FLAGGINGS, "volumes, shares and π as they come": None}.items():
        held = said = 0
        for _ in range(runs):
            flagging = any_flagging(rng) if fixed is None else fixed
            shown = flagging.row(rng)["values"].get("bad", {})
            low, high = shown.get("recall_low_ratio"), shown.get("recall_high_ratio")
            full += shown.get("recall_ratio") == 1.0
            if low is not None:
                said += 1
                held += low <= flagging.recall <= high
        lines.append(of_share(f"recall covers: {name}", held, max(1, said), "at least", 0.95, row=2))
    total = runs * (len(FLAGGINGS) + 1)
    lines.append(of_share("recall of 100% shown", full, total, "at most", 0.0, row=2))
    return lines


def _accuracy(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    lines = []
    for fixed in (*DESIGNS, None):
        held = 0
        for _ in range(runs):
            design = any_design(rng) if fixed is None else fixed
            shown = accuracy_row(rng, design)
            held += shown["accuracy_low_ratio"] <= design.accuracy <= shown["accuracy_high_ratio"]
        name = "kinds, shares and π as they come" if fixed is None else fixed.name
        lines.append(of_share(f"accuracy covers: {name}", held, runs, "at least", CLAIMED, row=6))
    return lines


def run(scale: float, seed: int) -> list[ReportLine]:
    """Return the coverage in rows (2,000 of each design at scale 1)."""
    rng = np.random.default_rng([seed, 13])
    runs = max(40, round(2_000 * scale))
    return [*_recall(rng, runs), *_accuracy(rng, runs)]
