"""The quality report in words and tables for a terminal. A number that rests on too little is not shown; the report says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from floorwatch.analysis.quality.agreement import FEW_UNITS, RELIABLE, TENTATIVE, Agreement
from floorwatch.analysis.quality.calibration import FEW_REVIEWS, Auditor
from floorwatch.analysis.quality.decisions import FEW_AUDITS, Overview, PolicyValueQuality, SampledShare
from floorwatch.analysis.quality.guidelines import FEW_APPEALS, HIGH_RAW, Guideline
from floorwatch.output.terminal import MISSING, DataTable
from floorwatch.replay.fact_text import shown as shown_value
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.analysis.quality.comparison import Comparison, VendorStanding
    from floorwatch.analysis.quality.quality_report import GroupQuality, QualityReport
    from streams.core.proportions import Interval

TOO_FEW = "too few to say"
CANNOT_SAY = "cannot say"
_VALUES_SHOWN = 25
_KAPPAS_SHOWN = 5
_STRATA_SHOWN = 3


def percent(share: Interval | None, *, enough: bool = True) -> str:
    """Return ``94.1% (92.0–95.7)``, or that it is too little to say."""
    if share is None:
        return MISSING
    if not enough:
        return TOO_FEW
    return f"{100 * share.value:.1f}% ({100 * share.low:.1f}–{100 * share.high:.1f})"


def coefficient(value: Interval | None) -> str:
    """Return ``0.84 (0.79–0.88)``; ``n/a`` where it is undefined."""
    return MISSING if value is None else f"{value.value:.2f} ({value.low:.2f}–{value.high:.2f})"


def render(report: QualityReport) -> Iterator[str | DataTable]:
    """Yield the report's paragraphs and tables in the order of reading."""
    whole = report.groups[0].overview
    yield f"{plural(whole.labels, 'label')}, {whole.audited:,} of them audited."
    if not whole.enough:
        yield f"Too few random audits to say anything of accuracy: at least {FEW_AUDITS} are needed."
    yield _overview(report)
    yield from _drawn_words(whole)
    yield from _stand_for_words(whole)
    if whole.errors:
        errors = ", ".join(f"{error} {severity} {n}" for error, severity, n in whole.errors)
        yield f"Wrong labels: {errors}." + (
            f" {whole.technical} of them are technical: the tool's fault, not a person's." if whole.technical else ""
        )
    if report.values:
        yield from _values(report.values)
    yield from _agreement(report.groups)
    yield from _auditors(report)
    yield from _guidelines(report.guidelines)
    yield from _vendors(report.comparison)


def _table(title: str, columns: Iterable[str], left: int = 1) -> DataTable:
    table = DataTable(title)
    headings = list(columns)
    table.add_names(*headings[:left])
    table.add_numbers(*headings[left:])
    return table


def _overview(report: QualityReport) -> DataTable:
    columns = (report.by or "labels", "audited", "accuracy", "right at first pass", "planted", "blind", "open")
    table = _table("Accuracy, with 95% intervals", (*columns, "overturned on appeal"))
    for group in report.groups:
        of = group.overview
        kinds = [percent(share, enough=n >= FEW_AUDITS) for share, n in (of.gold, *of.kinds.values())]
        cells = (f"{of.audited:,}", percent(of.accuracy, enough=of.enough), percent(of.first_pass, enough=of.enough))
        table.add_row(_named(group), *cells, *kinds, percent(of.overturned, enough=of.decided >= FEW_REVIEWS))
    return table


def _drawn_words(whole: Overview) -> Iterator[str]:
    """Yield what accuracy rests on, where that is not random audits with a known probability alone."""
    said = []
    if whole.assumed:
        said.append(f"{plural(whole.assumed, 'audit')} say nothing of sampling and are assumed random")
    if whole.targeted:
        said.append(f"{plural(whole.targeted, 'targeted audit')} are not in it")
    if said:
        yield f"Accuracy is of {plural(whole.random, 'random audit')}: {', '.join(said)}."


def _stand_for_words(whole: Overview) -> Iterator[str]:
    """Yield what to say where audits stand for few of the labels, or for more than there are."""
    labels = f"{whole.weight_sum:,.0f} of {plural(whole.labels, 'label')}"
    if whole.audits_stand_for == "few":
        yield (
            f"Awaits audits: those with a known probability stand for about {labels} so far. Most are still to come, or most work is "
            "never audited; flagged work is often audited first, so judge nobody by these numbers. Look again when audits are in, or "
            "take a longer --window."
        )
    elif whole.audits_stand_for == "many":
        yield (
            f"Audits stand for {whole.weight_sum:,.0f} labels (Σ1/probability), and there are {whole.labels:,}: a probability is named "
            "wrongly. Send with each audit the label's chance of being audited by any programme (docs/meaning.md)."
        )


def _values(values: list[PolicyValueQuality]) -> Iterator[str | DataTable]:
    weighted = (
        "weighted by 1/probability" if any(one.weighted for one in values) else "audits assumed random, each alike"
    )
    table = _table(f"Decision values ({weighted})", ("policy", "value", "precision", "recall", "audits"), left=2)
    busiest = sorted(values, key=lambda one: (-(one.tp + one.fp + one.fn), one.policy, one.value))
    for one in sorted(busiest[:_VALUES_SHOWN], key=lambda one: (one.policy, one.value)):
        precision, recall = _share(one.precision), _share(one.recall)
        table.add_row(one.policy or "–", shown_value(one.value), precision, recall, f"{one.tp + one.fp + one.fn:,}")
    yield table
    if len(values) > _VALUES_SHOWN:
        yield f"… and {len(values) - _VALUES_SHOWN} more values (--json has all)."
    if any(one.precision.cannot_say or one.recall.cannot_say for one in values):
        yield (
            f"{CANNOT_SAY}: more than 5% of the audits a share hangs on found a label wrong and do not name the right value. "
            "Send `values` with audits that say incorrect."
        )


_MARKS = {None: "", "few": " (awaits audits)", "many": " (audits stand for too many labels)"}


def _named(group: GroupQuality) -> str:
    name = "(not given)" if group.name is None else group.name or "all"
    return name + _MARKS[group.overview.audits_stand_for]


def _share(share: SampledShare) -> str:
    if share.cannot_say:
        return CANNOT_SAY
    if share.at_least is not None:
        return f"at least {100 * share.at_least:.0f}%" if share.enough else TOO_FEW
    return percent(share.estimate, enough=share.enough)


def agreement_words(agreed: Agreement) -> str:
    """Return what an agreement means, in words."""
    if not agreed.units:
        return "nothing was labelled by two people"
    if not agreed.enough:
        return f"too few items to say: {agreed.units}, at least {FEW_UNITS} are needed"
    raw = agreed.raw_ratio or 0.0
    if agreed.alpha is None:
        return "everybody always gave the same value, so chance cannot be told from agreement"
    if agreed.alpha.value >= RELIABLE:
        return "reliable"
    if agreed.alpha.value >= TENTATIVE:
        return "good enough for tentative conclusions"
    if raw >= HIGH_RAW:
        return "one value is so common that α says little; look at AC1 and the raw agreement"
    return "not reliable: people decide the same items differently"


def _agreement(groups: list[GroupQuality]) -> Iterator[str | DataTable]:
    if not groups[0].agreement.units:
        yield "Agreement: no item was labelled by two people, so nothing can be said."
        return
    columns = ("labels", "items", "all agree", "raw", "Krippendorff's α", "Gwet's AC1", "in words")
    table = _table("Agreement on items that several people labelled", columns)
    for group in groups:
        agreed = group.agreement
        raw = MISSING if agreed.raw_ratio is None else f"{100 * agreed.raw_ratio:.1f}%"
        coefficients = (coefficient(agreed.alpha), coefficient(agreed.ac1))
        numbers = (percent(agreed.unanimous), raw, *coefficients) if agreed.enough else (TOO_FEW,) * 4
        table.add_row(_named(group), f"{agreed.units:,}", *numbers, agreement_words(agreed))
    yield table
    known = [pair for pair in groups[0].kappas if pair[2] >= FEW_UNITS][:_KAPPAS_SHOWN]
    if known:
        pairs = "; ".join(f"{one} and {other} {coefficient(value)} on {n}" for one, other, n, value in known)
        yield f"Cohen's κ of the pairs with most items in common: {pairs}."


def _auditors(report: QualityReport) -> Iterator[str | DataTable]:
    found = report.calibration
    if not found.auditors:
        yield "Auditors: no audit names who made it."
        return
    agreed = found.agreement
    judged = f"{plural(agreed.units, 'label')} {'was' if agreed.units == 1 else 'were'} judged by several auditors: "
    yield f"Auditors: {judged}{agreement_words(agreed)}" + (
        f" (all agree on {percent(agreed.unanimous)}, α {coefficient(agreed.alpha)}, AC1 {coefficient(agreed.ac1)})."
        if agreed.enough
        else "."
    )
    said = [auditor for auditor in found.auditors if auditor.enough]
    if said:
        columns = ("auditor", "audits", "reviewed", "reversed", "too strict", "too lenient", "in words")
        table = _table("Verdicts that a later audit or appeal reversed", columns)
        for one in said:
            counts = (f"{one.strict:,}", f"{one.lenient:,}")
            row = (f"{one.audits:,}", f"{one.reviewed:,}", percent(one.reversed_ratio), *counts)
            table.add_row(one.auditor, *row, _auditor_words(one))
        yield table
    rest = len(found.auditors) - len(said)
    if rest:
        yield f"Too few reviewed verdicts to say: {plural(rest, 'auditor')} (fewer than {FEW_REVIEWS})."


def _auditor_words(one: Auditor) -> str:
    if one.stands_out == "high":
        return "reversed more often than the others: calibrate"
    return "reversed less often than the others" if one.stands_out == "low" else "as the others"


def _guidelines(found: list[Guideline]) -> Iterator[str | DataTable]:
    told = [one for one in found if one.state in ("stale", "unclear")]
    for one in told:
        yield guideline_words(one)
    few = sum(one.state == "too few" for one in found)
    steady = sum(one.state == "steady" for one in found)
    if not told:
        yield f"Guidelines: none looks stale. {steady} versions steady, {few} with too few items or appeals to say."
    elif few:
        yield f"{few} other versions have too few items (fewer than {FEW_UNITS}) or appeals ({FEW_APPEALS}) to say."


def guideline_words(one: Guideline) -> str:
    """Return one sentence on a guideline that needs attention."""
    name = f"policy {one.policy or '–'}" + (f" version {one.version}" if one.version else "")
    rise = ""
    if one.early is not None and one.late is not None:
        rise = f" ({100 * one.early.value:.0f}% of the decided ones in the first half, {100 * one.late.value:.0f}% in the second)"
    if one.state == "stale":
        return (
            f"Guideline of {name} looks stale: people agree with each other ({100 * (one.agreement.raw_ratio or 0):.0f}% raw) "
            f"while appeals succeed more and more{rise}. They follow the text alike; review the text."
        )
    return (
        f"Guideline of {name} looks unclear: people disagree ({100 * (one.agreement.raw_ratio or 0):.0f}% raw) and appeals "
        f"succeed more and more{rise}. Clarify it and calibrate before judging people by it."
    )


def _vendors(found: Comparison) -> Iterator[str | DataTable]:
    if found.standings:
        columns = ("vendor", "raw accuracy", "on the common mix", "against the others", "audits", "in words")
        table = _table("Vendors on a common mix of queue, policy and market", columns)
        for one in found.standings:
            raw = MISSING if one.raw_ratio is None else f"{100 * one.raw_ratio:.1f}%"
            table.add_row(
                one.vendor,
                raw,
                percent(one.standardised, enough=one.enough),
                _points(one),
                f"{one.audits:,}",
                _standing_words(one),
            )
        yield table
        yield (
            f"Compared on work that holds {100 * found.coverage_ratio:.0f}% of all labels"
            + ("" if found.weighted else "; raw, no audit named its sampling probability")
            + "."
        )
    else:
        yield "Vendors cannot be compared fairly."
    for vendor, reason in found.left_out.items():
        yield f"{vendor} is left out: {reason}."
    for vendor, strata in found.empty.items():
        if strata and vendor not in found.left_out:
            some = ", ".join(f"{'/'.join(part or '–' for part in mix)}" for mix, _ in strata[:_STRATA_SHOWN])
            more = f" and {len(strata) - _STRATA_SHOWN} more" if len(strata) > _STRATA_SHOWN else ""
            missing = 100 * sum(share for _, share in strata)
            size = f"{missing:.0f}%" if missing >= 1 else "less than 1%"
            yield f"{vendor} has no sampled audits in {some}{more}: {size} of all labels."


def _points(one: VendorStanding) -> str:
    step = one.above_others
    if step is None or not one.enough:
        return TOO_FEW
    return f"{100 * step.value:+.1f} ({100 * step.low:+.1f} to {100 * step.high:+.1f}) points"


def _standing_words(one: VendorStanding) -> str:
    if not one.enough:
        return TOO_FEW
    return "no clear difference" if one.stands_out is None else f"{one.stands_out} than the others"
