"""One person's audits as a sample of the person's work: weighed where sampling probabilities are known, never the targeted ones."""

from __future__ import annotations

from collections.abc import Iterable

from floorwatch.analysis.people.standing_labels import StandingLabel, StandingVerdict
from streams.core.binomial import Weighed
from streams.core.counters import NANO
from streams.core.proportions import Interval, WeightedShare, difference_of, weighted_share
from streams.core.remainder import SampledTotal


class SampledAudits:
    """Audited labels that were drawn at random, technical errors left out, in the two classes that are never added up.

    Attributes:
        sampled_counts: [right, judged] over those whose sampling probability is known.
        assumed_counts: [right, judged] over those assumed to be random, for their audits say nothing of sampling.
    """

    __slots__ = ("_largest", "_right", "_unit", "_wrong", "assumed_counts", "sampled_counts")

    def __init__(self, works: Iterable[StandingLabel] = ()) -> None:
        """Count some labels; those without a verdict, or with a technical error, are passed over."""
        self.sampled_counts = [0, 0]
        self.assumed_counts = [0, 0]
        self._right, self._wrong = [0, 0], [0, 0]
        self._largest = self._unit = 0
        for work in works:
            if work.judged is not None and not work.judged.technical:
                self.add(work.judged)

    def add(self, verdict: StandingVerdict) -> None:
        """Count one verdict that is no technical error; one of a targeted label changes nothing."""
        if verdict.targeted:
            return
        weight, right = verdict.weight_nano, not verdict.wrong
        counts = self.sampled_counts if weight else self.assumed_counts
        counts[0] += right
        counts[1] += 1
        side = self._right if right else self._wrong
        side[0] += weight
        side[1] += weight * weight
        self._largest = max(self._largest, weight)
        self._unit += weight * max(0, weight - NANO)

    @property
    def sampled(self) -> bool:
        """Whether any sampling probability is known."""
        return self.sampled_counts[1] > 0

    def stand_for(self) -> SampledTotal:
        """Return for how many labels the audits stand whose sampling probability is known, Σ1/π.

        Source: Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47, 1952.
        """
        total = self._right[0] + self._wrong[0]
        return SampledTotal(total / NANO, self._unit / total / NANO if total else 0.0)

    def share(self, *, weighted: bool) -> WeightedShare | None:
        """Return the accuracy, None without audits.

        Source: ``streams.core.binomial``.

        Args:
            weighted: From the audits whose sampling probability is known; else from those assumed to be random, counted alike.
        """
        if weighted:
            right_side, wrong_side = (Weighed(side[0], side[1], self._largest) for side in (self._right, self._wrong))
            return weighted_share(right_side, wrong_side)
        right, judged = self.assumed_counts
        return weighted_share(Weighed.plain(right), Weighed.plain(judged - right))

    def counts(self, *, weighted: bool) -> tuple[int, int]:
        """Return (right, judged) of the audits that ``share`` is of."""
        right, judged = self.sampled_counts if weighted else self.assumed_counts
        return right, judged


def change_between(
    before: SampledAudits, after: SampledAudits, scatter: tuple[float, float] = (1.0, 1.0)
) -> Interval | None:
    """Return how the accuracy rose, with the 95% interval to judge by; None where a side has no audits to say it by.

    If any sampling probability is known on either side, only such audits count, weighed; else those assumed to be random. When
    only the audits change, in number, in what they look at or in how many are targeted, the accuracy has not.

    Source: ``streams.core.proportions.difference_of``.

    Args:
        before: The earlier audits.
        after: The later ones.
        scatter: How many times as much the accuracy of each scatters as with independent audits.
    """
    weighted = before.sampled or after.sampled
    sides = [(side.share(weighted=weighted), times) for side, times in zip((before, after), scatter, strict=True)]
    found = [
        Interval(side.estimate.value, *side.limits(scatter=times))
        for side, times in reversed(sides)
        if side is not None
    ]
    return difference_of(*found) if len(found) == 2 else None
