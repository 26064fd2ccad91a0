"""Stale guidelines: labellers agree with each other while appeals against their decisions succeed more and more.

People who decide alike follow one rule. If their decisions are overturned more and more often, the rule itself no
longer matches what those who decide appeals hold to be right. Low agreement with many overturns has another cause: an
unclear rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from floorwatch.analysis.quality.agreement import FEW_UNITS, TENTATIVE, Agreement, agreement, one_per_rater
from floorwatch.analysis.quality.counts import Counts, Key, section
from floorwatch.analysis.quality.judged_labels import JudgedLabel
from streams.core.policy import DAY_MS
from streams.core.proportions import Interval, Trend, proportion, share_trend

FEW_APPEALS = 20
"""Fewer decided appeals carry no trend: with 10 in each half, 1 against 6 overturned is the least that stands out."""

HIGH_RAW = 0.9
"""Raw agreement that counts as high where values are so skewed that α cannot be (95 of 100 unanimous can give α ≈ 0)."""

_LEVEL = 0.01


def count(labels: Sequence[JudgedLabel]) -> Iterator[tuple[Key, int]]:
    """Yield what the labels of one item count for, per policy and version; time is counted in days of the label."""
    by_version: dict[tuple[str, str], list[JudgedLabel]] = {}
    for judged in labels:
        by_version.setdefault((judged.policy, judged.version or ""), []).append(judged)
        day = judged.label.time_ms // DAY_MS
        for what, amount in (("decided", len(judged.decided)), ("overturned", judged.overturned)):
            if amount:
                yield ("guide", judged.policy, judged.version or "", day, what), amount
    for (policy, version), same in by_version.items():
        kept = one_per_rater(same)
        if len(kept) > 1:
            yield ("guide-unit", policy, version, *sorted(judged.label.values for judged in kept)), 1


@dataclass(frozen=True)
class Guideline:
    """One version of one policy.

    Attributes:
        policy: The policy; empty where nobody said.
        version: Its version; empty where nobody said.
        agreement: Of labellers on items several of them decided.
        decided: Appeals decided.
        overturned: Overturned of those.
        early: Overturned of the decided in the first half of the days.
        late: In the second half.
        trend: Cochran–Armitage trend of the overturned share over days; None where it cannot be had.
        state: ``stale`` (high agreement, overturns rising), ``unclear`` (low agreement, overturns rising), ``steady``, or
            ``too few`` items or appeals to say.
    """

    policy: str
    version: str
    agreement: Agreement
    decided: int
    overturned: Interval | None
    early: Interval | None
    late: Interval | None
    trend: Trend | None
    state: str


def guidelines(counts: Counts) -> list[Guideline]:
    """Return every version of every policy, stale ones first.

    Overturns rise where the one-sided Cochran–Armitage test (Armitage, Biometrics 11, 1955) of their share over days is
    significant at 1% divided by the number of versions tested (Bonferroni).
    """
    days: dict[tuple[str, str], dict[int, list[int]]] = {}
    units: dict[tuple[str, str], list[tuple[Key, int]]] = {}
    for (policy, version, day, what), amount in section(counts, "guide"):
        days.setdefault((str(policy), str(version)), {}).setdefault(int(day), [0, 0])[what == "decided"] = amount
    for key, amount in section(counts, "guide-unit"):
        units.setdefault((str(key[0]), str(key[1])), []).append((key[2:], amount))
    tested = sum(sum(n for _, n in by_day.values()) >= FEW_APPEALS for by_day in days.values())
    bar = NormalDist().inv_cdf(1 - _LEVEL / max(1, tested))
    found = [
        _guideline(*name, agreement(units.get(name, [])), days.get(name, {}), bar)
        for name in days.keys() | units.keys()
    ]
    order = ("stale", "unclear", "steady", "too few")
    return sorted(found, key=lambda g: (order.index(g.state), g.policy, g.version))


def _guideline(policy: str, version: str, agreed: Agreement, by_day: dict[int, list[int]], bar: float) -> Guideline:
    first, last = min(by_day, default=0), max(by_day, default=-1)
    buckets = [(0, 0)] * (last - first + 1)
    for day, (overturned, decided) in by_day.items():
        buckets[day - first] = (overturned, decided)
    half = (len(buckets) + 1) // 2
    decided = sum(n for _, n in buckets)
    trend = share_trend(buckets)
    if agreed.units < FEW_UNITS or decided < FEW_APPEALS:
        state = "too few"
    elif trend is None or trend.z < bar:
        state = "steady"
    else:
        state = "stale" if _is_high(agreed) else "unclear"
    early, late = _sum(buckets[:half]), _sum(buckets[half:])
    total = (early[0] + late[0], early[1] + late[1])
    return Guideline(
        policy, version, agreed, decided, proportion(*total), proportion(*early), proportion(*late), trend, state
    )


def _sum(buckets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(k for k, _ in buckets), sum(n for _, n in buckets)


def _is_high(agreed: Agreement) -> bool:
    alpha, raw = agreed.alpha, agreed.raw_ratio
    return (alpha is not None and alpha.value >= TENTATIVE) or (raw is not None and raw >= HIGH_RAW)
