"""Calibration of auditors: checks the quality of audits.

An auditor is judged by two things: how often later reviews reverse the auditor's verdicts, and how far auditors of the
    same label agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from floorwatch.analysis.quality.agreement import Agreement, agreement, kappa, pair_tables
from floorwatch.analysis.quality.counts import Counts, Key, section
from floorwatch.analysis.quality.judged_labels import JudgedLabel, overturned_audit
from streams.core.facts import Audit
from streams.core.multiplicity import holm
from streams.core.proportions import Interval, difference_of, judged_share, proportion

FEW_REVIEWS = 10
"""Fewer reviewed verdicts of one auditor say too little: at 10 with none reversed the rate may still be 28%."""


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
        reversed_ratio: Reversed of the reviewed, with its 95% interval. Reviews are not a sample: appeals pick what
            looks wrong, so this compares auditors with each other and is not an error rate.
        stands_out: ``high`` or ``low`` where the rate differs from that of all others together beyond chance, with at most 5%
            for any wrong word on all auditors compared (Holm); else None.
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

    Source of the words: the exact limits of ``streams.core.binomial``, by Holm's rule over the auditors with enough reviews.
    """
    by_auditor: dict[str, dict[str, int]] = {}
    for (auditor, what), amount in section(counts, "auditor"):
        by_auditor.setdefault(str(auditor), {})[str(what)] = amount
    words = _stand_out(by_auditor)
    auditors = [_auditor(name, of, words.get(name)) for name, of in by_auditor.items()]
    auditors.sort(key=_worst_first)
    pairs = [
        (first, second, sum(table.values()), kappa(table))
        for (first, second), table in pair_tables(section(counts, "audit-pair")).items()
    ]
    return Calibration(auditors, agreement(section(counts, "audit-unit")), pairs)


def _worst_first(auditor: Auditor) -> tuple[bool, float, str]:
    rate = auditor.reversed_ratio.value if auditor.reversed_ratio is not None else 0.0
    return not auditor.enough, -rate, auditor.auditor


def _differs(mine: tuple[int, int], others: tuple[int, int], level: float) -> bool:
    """Tell whether two rates, as (reversed, reviewed), differ with an error of at most ``level``, both sides together."""
    found = difference_of(judged_share(*mine, level / 2), judged_share(*others, level / 2))
    return not found.low <= 0 <= found.high


def _stand_out(by_auditor: dict[str, dict[str, int]]) -> dict[str, str]:
    """Return who is reversed more or less often than the others together: ``high`` or ``low`` by auditor."""
    turned = {name: of.get("strict", 0) + of.get("lenient", 0) for name, of in by_auditor.items()}
    reviewed = {name: of.get("reviewed", 0) for name, of in by_auditor.items()}
    all_turned, all_reviewed = sum(turned.values()), sum(reviewed.values())
    compared = {
        name: ((turned[name], n), (all_turned - turned[name], all_reviewed - n))
        for name, n in reviewed.items()
        if FEW_REVIEWS <= n < all_reviewed
    }
    clear = holm([partial(_differs, *both) for both in compared.values()])
    return {
        name: "high" if mine[0] * others[1] > others[0] * mine[1] else "low"
        for (name, (mine, others)), stands in zip(compared.items(), clear, strict=True)
        if stands
    }


def _auditor(name: str, of: dict[str, int], stands_out: str | None) -> Auditor:
    mine, strict, lenient = of.get("reviewed", 0), of.get("strict", 0), of.get("lenient", 0)
    ratio = proportion(strict + lenient, mine)
    return Auditor(name, of.get("audits", 0), mine, strict, lenient, ratio, stands_out)
