"""Calibration of auditors: checks the quality of audits.

An auditor is judged by two things: how often later reviews reverse the auditor's verdicts, and how far auditors of the
    same label agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from floorwatch.analysis.quality.agreement import Agreement, agreement, kappa, pair_tables
from floorwatch.analysis.quality.counts import Counts, Key, section
from floorwatch.analysis.quality.judged_labels import JudgedLabel, overturned_audit
from streams.core.facts import Audit
from streams.core.proportions import Interval, proportion, wilson_of

FEW_REVIEWS = 10
"""Fewer reviewed verdicts of one auditor say too little: at 10 with none reversed the rate may still be 28% (Wilson)."""

_LEVEL = 0.05


def count(judged: JudgedLabel) -> Iterator[tuple[Key, int]]:
    """Yield what the audits of one label count for.

    A verdict is *reviewed* when an appeal against it was decided, when another auditor judged the label later, or, for
    the verdict in force, when an appeal against the label was decided. It is *reversed* when that said otherwise.
    """
    audits = judged.audits
    for at, audit in enumerate(audits):
        auditor = audit.auditor
        if auditor is None:
            continue
        yield ("auditor", auditor, "audits"), 1
        reviewed, is_reversed = _review(judged, at)
        if reviewed:
            yield ("auditor", auditor, "reviewed"), 1
        if is_reversed:
            yield ("auditor", auditor, "strict" if audit.wrong else "lenient"), 1
    latest = {audit.auditor: audit.wrong for audit in audits if audit.auditor is not None}
    if len(latest) < 2:
        return
    verdicts = sorted((auditor, _word(wrong)) for auditor, wrong in latest.items() if auditor is not None)
    yield ("audit-unit", *sorted(word for _, word in verdicts)), 1
    for at, (auditor, word) in enumerate(verdicts):
        for other, its in verdicts[at + 1 :]:
            yield ("audit-pair", auditor, other, word, its), 1


def _word(wrong: bool) -> str:
    return "incorrect" if wrong else "correct"


def _review(judged: JudgedLabel, at: int) -> tuple[bool, bool]:
    """Return whether an audit was reviewed and whether that reversed it."""
    audit = judged.audits[at]
    appealed = any(a.of_audit and a.target_id == audit.audit_id for a in judged.decided)
    is_reversed = overturned_audit(judged, audit)
    later = _later(judged.audits[at + 1 :], audit)
    if later is not None:
        is_reversed = is_reversed or later.wrong != audit.wrong
    against_label = False
    if at == len(judged.audits) - 1:
        label_appeals = [a for a in judged.decided if not a.of_audit]
        against_label = bool(label_appeals)
        is_reversed = is_reversed or (not audit.wrong and any(a.overturned for a in label_appeals))
    return appealed or later is not None or against_label, is_reversed


def _later(after: tuple[Audit, ...], audit: Audit) -> Audit | None:
    """Return the next audit of the label by somebody else."""
    return next((other for other in after if other.auditor is not None and other.auditor != audit.auditor), None)


@dataclass(frozen=True)
class Auditor:
    """One auditor.

    Attributes:
        auditor: Id.
        audits: Standing audits.
        reviewed: Those somebody looked at later.
        strict: Reversed ones that had said incorrect.
        lenient: Reversed ones that had said correct.
        reversed_ratio: Reversed of the reviewed, with its Wilson interval. Reviews are not a sample: appeals pick what
            looks wrong, so this compares auditors with each other and is not an error rate.
        stands_out: ``high`` or ``low`` where the interval, widened for the number of auditors compared (Bonferroni),
            leaves out the rate of all others together; else None.
    """

    auditor: str
    audits: int
    reviewed: int
    strict: int
    lenient: int
    reversed_ratio: Interval | None
    stands_out: str | None

    @property
    def enough(self) -> bool:
        """Whether enough verdicts were reviewed to say anything."""
        return self.reviewed >= FEW_REVIEWS


@dataclass(frozen=True)
class Calibration:
    """Auditors, and their agreement on labels that several of them judged.

    Attributes:
        auditors: By how often they are reversed, highest first; those with too few reviews last.
        agreement: Of verdicts on the same label.
        pairs: κ of each pair with items in common: (auditor, auditor, items, κ), most items first.
    """

    auditors: list[Auditor]
    agreement: Agreement
    pairs: list[tuple[str, str, int, Interval | None]]


def calibration(counts: Counts) -> Calibration:
    """Return what the counts say of auditors.

    Intervals are widened for the number of auditors (Bonferroni; Dunn 1961).
    """
    by_auditor: dict[str, dict[str, int]] = {}
    for (auditor, what), amount in section(counts, "auditor"):
        by_auditor.setdefault(str(auditor), {})[str(what)] = amount
    reviewed = sum(of.get("reviewed", 0) for of in by_auditor.values())
    reversals = sum(of.get("strict", 0) + of.get("lenient", 0) for of in by_auditor.values())
    compared = sum(of.get("reviewed", 0) >= FEW_REVIEWS for of in by_auditor.values())
    z = NormalDist().inv_cdf(1 - _LEVEL / (2 * max(1, compared)))
    auditors = [_auditor(name, of, reviewed, reversals, z) for name, of in by_auditor.items()]
    auditors.sort(key=_worst_first)
    pairs = [
        (first, second, sum(table.values()), kappa(table))
        for (first, second), table in pair_tables(section(counts, "audit-pair")).items()
    ]
    return Calibration(auditors, agreement(section(counts, "audit-unit")), pairs)


def _worst_first(auditor: Auditor) -> tuple[bool, float, str]:
    rate = auditor.reversed_ratio.value if auditor.reversed_ratio is not None else 0.0
    return not auditor.enough, -rate, auditor.auditor


def _auditor(name: str, of: dict[str, int], reviewed: int, reversals: int, z: float) -> Auditor:
    mine, strict, lenient = of.get("reviewed", 0), of.get("strict", 0), of.get("lenient", 0)
    others = reviewed - mine
    stands_out = None
    if mine >= FEW_REVIEWS and others:
        low, high = wilson_of((strict + lenient) / mine, mine, z)
        rate = (reversals - strict - lenient) / others
        stands_out = "high" if rate < low else "low" if rate > high else None
    ratio = proportion(strict + lenient, mine)
    return Auditor(name, of.get("audits", 0), mine, strict, lenient, ratio, stands_out)
