"""Strata and their expected error rates, from the labels of the last days.

Source: Hájek's weighted shares (``streams.core.proportions``), shrunk by empirical Bayes (Kleinman 1973).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from floorwatch.analysis.audits.allocation import AuditStratum
from floorwatch.analysis.audits.planned_labels import PlannedLabel

FLAGGED, APPROVED = "flagged", "approved"

MOST_STRATA = 2_000
"""More are refused: a plan for so many kinds of work would have too few audits of each."""

_LEAST_PRIOR, _MOST_PRIOR = 20.0, 2_000.0


class TooManyStrata(ValueError):
    """The dimensions asked for have more combinations than ``MOST_STRATA``."""


@dataclass
class StratumCounts:
    """What is counted of one stratum.

    Attributes:
        labels: Labels.
        audited: Those drawn at random with a known probability, technical errors left out.
        weight: Σ1/π over them.
        squares: Σ1/π² over them.
        wrong_weight: Σ1/π over the wrong ones.
        assumed: Audits that are assumed to be random.
        assumed_wrong: The wrong ones of these.
        missed: Of the wrong ones, by weight: they deserved to be flagged and were not, or the other way round.
        assumed_missed: The same of the assumed ones.
        targeted: Audits that say nothing of the rest; they are left out.
    """

    labels: int = 0
    audited: int = 0
    weight: float = 0.0
    squares: float = 0.0
    wrong_weight: float = 0.0
    assumed: int = 0
    assumed_wrong: int = 0
    missed: float = 0.0
    assumed_missed: int = 0
    targeted: int = 0

    def add(self, label: PlannedLabel, *, missed: bool) -> None:
        """Count one label.

        Args:
            label: The label.
            missed: Its verdict says that it belongs on the other side, flagged or approved.
        """
        self.labels += 1
        verdict = label.verdict
        if verdict is None or verdict.technical:
            return
        if verdict.weight:
            self.audited += 1
            self.weight += verdict.weight
            self.squares += verdict.weight * verdict.weight
            self.wrong_weight += verdict.wrong * verdict.weight
            self.missed += missed * verdict.weight
        elif verdict.assumed:
            self.assumed += 1
            self.assumed_wrong += verdict.wrong
            self.assumed_missed += missed
        else:
            self.targeted += 1

    def merge(self, other: StratumCounts) -> None:
        """Add the counts of another time."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def evidence(self, *, weighted: bool, of_missed: bool = False) -> WrongShare:
        """Return how often labels are wrong (or on the wrong side) and how many plain audits that rests on.

        Args:
            weighted: By the audits with a known probability; else by those assumed to be random.
            of_missed: Count labels on the wrong side alone.
        """
        if weighted:
            bad = self.missed if of_missed else self.wrong_weight
            return WrongShare(bad / self.weight, self.weight**2 / self.squares) if self.weight else WrongShare(0.0, 0.0)
        bad = self.assumed_missed if of_missed else self.assumed_wrong
        return WrongShare(bad / self.assumed, float(self.assumed)) if self.assumed else WrongShare(0.0, 0.0)


class WrongShare(NamedTuple):
    """A share of wrong ones and the number of plain audits it is worth."""

    share: float
    worth: float


@dataclass
class StrataTally:
    """Counts labels by stratum.

    Attributes:
        dimensions: Which places in ``PlannedLabel.dims`` make the strata.
        counts: By stratum: the values of these dimensions, then flagged or approved.
        labels: Labels counted.
    """

    dimensions: tuple[int, ...]
    counts: dict[tuple[str, ...], StratumCounts] = field(default_factory=dict)
    labels: int = 0

    def key_of(self, label: PlannedLabel, *, flagged: bool) -> tuple[str, ...]:
        """Return the stratum of a label."""
        return (*(label.dims[at] for at in self.dimensions), FLAGGED if flagged else APPROVED)

    def add(self, label: PlannedLabel, *, flagged: bool, deserved: bool | None) -> None:
        """Count one label.

        Args:
            label: The label.
            flagged: Whether it is.
            deserved: Whether its verdict says that it should be; None where nobody said.

        Raises:
            TooManyStrata: It would begin one stratum too many.
        """
        self.labels += 1
        self._of(self.key_of(label, flagged=flagged)).add(label, missed=deserved is not None and deserved != flagged)

    def merge(self, other: StrataTally) -> None:
        """Add the counts of another time.

        Raises:
            TooManyStrata: They are of too many strata together.
        """
        self.labels += other.labels
        for key, counts in other.counts.items():
            self._of(key).merge(counts)

    def _of(self, key: tuple[str, ...]) -> StratumCounts:
        counts = self.counts.get(key)
        if counts is None:
            if len(self.counts) >= MOST_STRATA:
                raise TooManyStrata(f"more than {MOST_STRATA:,} strata")
            counts = self.counts[key] = StratumCounts()
        return counts

    @property
    def weighted(self) -> bool:
        """Whether any audit has a known probability."""
        return any(one.audited for one in self.counts.values())

    @property
    def audits(self) -> int:
        """Audits that the rates rest on."""
        return sum(one.audited if self.weighted else one.assumed for one in self.counts.values())


def pooled(counts: Iterable[StratumCounts], *, weighted: bool, of_missed: bool = False) -> WrongShare:
    """Return the evidence of several strata together."""
    whole = StratumCounts()
    for one in counts:
        whole.merge(one)
    return whole.evidence(weighted=weighted, of_missed=of_missed)


def expected_rates(tally: StrataTally, assumed_wrong: float) -> dict[tuple[str, ...], float]:
    """Return the expected share of wrong ones of each stratum, shrunk to that of the flagged or the approved ones together.

    A stratum with few audits takes the common share, one with many its own: the mean of a beta distribution whose weight is found from
    how much more the strata differ than chance alone would have them (method of moments; Kleinman, JASA 68, 1973). Half a wrong one
    is added to the common share, so no rate is 0.

    Args:
        tally: The counts.
        assumed_wrong: The share to expect where there is no audit at all, 0..1.
    """
    weighted = tally.weighted
    everything = pooled(tally.counts.values(), weighted=weighted)
    rates: dict[tuple[str, ...], float] = {}
    for side in (FLAGGED, APPROVED):
        own = {key: one.evidence(weighted=weighted) for key, one in tally.counts.items() if key[-1] == side}
        common = pooled((one for key, one in tally.counts.items() if key[-1] == side), weighted=weighted)
        base = common if common.worth else everything
        share = (base.share * base.worth + 0.5) / (base.worth + 1) if base.worth else assumed_wrong
        weight = _prior_weight(own.values(), share)
        rates |= {key: (one.share * one.worth + share * weight) / (one.worth + weight) for key, one in own.items()}
    return rates


def _prior_weight(own: Iterable[WrongShare], share: float) -> float:
    """Return how many audits the common share counts as."""
    known = [one for one in own if one.worth >= 1]
    spread = share * (1 - share)
    if len(known) < 2 or spread <= 0:
        return _LEAST_PRIOR
    between = variance_between(known, spread)
    return _MOST_PRIOR if between <= 0 else min(_MOST_PRIOR, max(_LEAST_PRIOR, spread / between - 1))


def variance_between(known: Sequence[WrongShare], spread: float) -> float:
    """Return the variance of the true shares of strata, as the method of moments estimates it; 0 or less where chance explains all.

    Source: Kleinman, JASA 68 (1973), with weights n: Σn(share − mean)² expects p(1 − p)(k − 1), and γ(Σn − Σn²/Σn − (k − 1)) more,
    if the true shares vary by γ·p(1 − p). k − 1, because the mean is that of the same strata.

    Args:
        known: At least two strata.
        spread: p(1 − p) of the common share.
    """
    worth = sum(one.worth for one in known)
    mean = sum(one.worth * one.share for one in known) / worth
    seen = sum(one.worth * (one.share - mean) ** 2 for one in known)
    free = len(known) - 1
    room = worth - sum(one.worth**2 for one in known) / worth - free
    return (seen - spread * free) / room if room > 0 else 0.0


def strata_of(
    tally: StrataTally, rates: Mapping[tuple[str, ...], float], costs: Mapping[str, float], least: Mapping[str, float]
) -> list[AuditStratum]:
    """Return the strata of a tally, in order of name, each with its labels, its expected rate and its bounds.

    Args:
        tally: The counts.
        rates: Expected share wrong of each.
        costs: What one audit costs, by a value of the stratum's key; 1 where none is named, the product where several are.
        least: Least probability by the last part of the key, flagged or approved.
    """
    found = []
    for key in sorted(tally.counts):
        cost = 1.0
        for part in key:
            cost *= costs.get(part, 1.0)
        found.append(AuditStratum(key, tally.counts[key].labels, rates[key], cost, least.get(key[-1], 0.0)))
    return found


def grouped(strata: Sequence[AuditStratum], places: Sequence[int]) -> dict[tuple[str, ...], list[AuditStratum]]:
    """Return the strata by some parts of their key."""
    found: dict[tuple[str, ...], list[AuditStratum]] = {}
    for one in strata:
        found.setdefault(tuple(one.key[at] for at in places), []).append(one)
    return found
