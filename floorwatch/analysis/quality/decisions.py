"""Decisions: precision, recall and confusion per policy value, error classes, audit kinds, first pass, appeals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from floorwatch.analysis.quality.counts import Counts, Key, section
from floorwatch.analysis.quality.judged_labels import JudgedLabel, overturned_audit
from streams.core import counters as c
from streams.core.binomial import Weighed, share_limits
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import decision_counters
from streams.core.estimates import accuracy_drawn, accuracy_share
from streams.core.facts import Audit
from streams.core.proportions import Interval, proportion
from streams.core.row_layout import parts_of
from streams.core.stand_for import StandFor
from streams.core.tables import accuracy

FEW_AUDITS = 30
"""Fewer audits say too little: at 30 flawless ones the true accuracy may still be 90%."""

AUDIT_KINDS = ("blind", "open")


def count(judged: JudgedLabel) -> Iterator[tuple[Key, int]]:
    """Yield what one standing label counts for."""
    yield ("labels",), 1
    for name, amount in (
        ("opened", judged.opened),
        ("decided", len(judged.decided)),
        ("overturned", judged.overturned),
    ):
        if amount:
            yield ("appeal", name), amount
    verdict = judged.verdict
    if verdict is None:
        return
    right = int(not verdict.wrong)
    yield ("audited", right), 1
    if verdict.wrong:
        yield ("error", c.ERROR_CLASSES[verdict.error_code], c.SEVERITIES[verdict.severity_code]), 1
    yield from _row(("row",), verdict)
    yield from _row(("first",), _at_first(judged, verdict))
    if judged.audits[0].gold:
        yield ("gold", right), 1
    elif judged.drawn is not None:
        yield from _row(("kind", "blind" if judged.drawn.blind else "open"), _said_by(judged, judged.drawn, verdict))
    yield from _confusion(judged)


def _row(key: Key, verdict: LabelVerdict) -> Iterator[tuple[Key, int]]:
    """Yield what a verdict counts for in an accuracy row."""
    flat = decision_counters("", verdict)
    yield from (((*key, int(counter)), int(amount)) for counter, amount in zip(flat[::2], flat[1::2], strict=True))


def _at_first(judged: JudgedLabel, verdict: LabelVerdict) -> LabelVerdict:
    """Return the verdict that counts at first pass: right at the first audit, after appeals against it, and still right."""
    return verdict if verdict.wrong else _said_by(judged, judged.audits[0], verdict)


def _said_by(judged: JudgedLabel, audit: Audit, verdict: LabelVerdict) -> LabelVerdict:
    """Return what one audit of a label says, after appeals against it, with the weight of the audit that drew the label."""
    wrong = audit.wrong != overturned_audit(judged, audit)
    error, severity = (audit.error_code, audit.severity_code) if wrong and audit.wrong else (0, 0)
    return verdict._replace(wrong=wrong, error_code=error, severity_code=severity)


def _confusion(judged: JudgedLabel) -> Iterator[tuple[Key, int]]:
    verdict, given = judged.verdict, judged.label.values
    if verdict is None or not given:
        return
    yield ("confusion", judged.policy, given, verdict.truth, "n"), 1
    if verdict.weight_nano:
        yield ("confusion", judged.policy, given, verdict.truth, "w"), verdict.weight_nano
    mine = c.values_of(given)
    yield from _audit(("checked", judged.policy), verdict)
    if verdict.truth == c.UNKNOWN_TRUTH:
        for value in mine:
            yield from _audit(("value", judged.policy, value, "unsaid"), verdict)
            if len(mine) == 1:
                yield from _audit(("value", judged.policy, value, "alone"), verdict)
        yield from _audit(("unsaid", judged.policy), verdict)
        return
    truth = c.values_of(verdict.truth)
    for value in mine | truth:
        outcome = "fn" if value not in mine else "tp" if value in truth else "fp"
        yield from _audit(("value", judged.policy, value, outcome), verdict)


def _audit(key: Key, verdict: LabelVerdict) -> Iterator[tuple[Key, int]]:
    """Yield one audit: how many of all, and of those assumed random or with a π; of the latter the weight and the square of it."""
    yield (*key, "n"), 1
    if verdict.assumed:
        yield (*key, "assumed"), 1
    if verdict.weight_nano:
        yield (*key, "known"), 1
        yield (*key, "w"), verdict.weight_nano
        yield (*key, "w2"), verdict.weight_nano * verdict.weight_nano


@dataclass(frozen=True)
class SampledShare:
    """A share from sampled audits.

    Attributes:
        estimate: The share and its 95% interval, which holds whatever the unsaid ones may be; None without audits, where
            the unsaid ones are too many, and for a recall without a miss seen: that is no 100%.
        audits: How many audits it rests on.
        worth: How many plain audits those are worth that could have shown a failure, (Σw)²/Σw²: for precision those of
            the labels that gave the value, for recall those of the labels that did not.
        unsaid: Audits beside them that found a label wrong and do not name the right value.
        at_least: Of a recall without a miss seen: the lower end of its 95% interval.
    """

    estimate: Interval | None
    audits: int
    worth: float
    unsaid: int = 0
    at_least: float | None = None

    @property
    def enough(self) -> bool:
        """Whether it rests on enough to say anything."""
        return self.worth >= FEW_AUDITS and not self.cannot_say

    @property
    def cannot_say(self) -> bool:
        """Whether too many audits do not name the right value: an unknown value is not a right one."""
        return self.estimate is None and self.at_least is None and self.unsaid > 0


@dataclass(frozen=True)
class PolicyValueQuality:
    """One value of one policy.

    Attributes:
        policy: The policy.
        value: The decision value.
        tp: Given and right, in audits.
        fp: Given and not right.
        fn: Right and not given.
        precision: Of what was given, how much is right.
        recall: Of what is right, how much was given. It hangs on audits of labels that did not give the value.
        weighted: Whether both are weighted by 1/π; else no audit named its sampling probability, and they are of those assumed random.
    """

    policy: str
    value: str
    tp: int
    fp: int
    fn: int
    precision: SampledShare
    recall: SampledShare
    weighted: bool


def value_quality(counts: Counts) -> list[PolicyValueQuality]:
    """Return precision and recall per policy and value.

    precision = TP/(TP+FP), recall = TP/(TP+FN), each count weighted by w = 1/π (Hájek, 1971); the intervals are those of
    ``streams.core.binomial``. What recall does not know lies in the labels that did not give the value: their audits say how much
    one more miss would weigh, and whether there are enough to speak of it.
    Labels that were picked or planted are in neither. A wrong label of one value counts against its precision also where nobody
    names the right value. Still such audits could be either: the interval reaches from all of them against it to all of them for
    it (Manski, Partial Identification of Probability Distributions, 2003, chapter 1). Of the recall of a value these are all of
    its policy, for each may hide one that was missed.
    """
    missing, checked = (_by_policy(counts, name) for name in ("unsaid", "checked"))
    sums: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for (policy, value, outcome, what), amount in section(counts, "value"):
        sums.setdefault((str(policy), str(value)), {})[str(outcome), str(what)] = amount
    found = []
    for (policy, value), of in sorted(sums.items()):
        weighted = any(what == "w" for _, what in of)
        tp, fp, fn = (of.get((outcome, "n"), 0) for outcome in ("tp", "fp", "fn"))
        given = {what: sum(of.get((out, what), 0) for out in ("tp", "fp", "unsaid")) for what in _WHATS}
        others = {what: checked.get(policy, {}).get(what, 0) - given[what] for what in _WHATS}
        own = {what: of.get(("unsaid", what), 0) for what in _WHATS}
        precision = _share(of, "fp", own, given, weighted)
        recall = _share(of, "fn", missing.get(policy, {}), others, weighted)
        if recall.estimate is not None and not fn:
            recall = replace(recall, estimate=None, at_least=recall.estimate.low)
        found.append(PolicyValueQuality(policy, value, tp, fp, fn, precision, recall, weighted))
    return found


_WHATS = ("n", "assumed", "known", "w", "w2")


def _by_policy(counts: Counts, name: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (policy, what), amount in section(counts, name):
        found.setdefault(str(policy), {})[str(what)] = amount
    return found


def _share(
    of: dict[tuple[str, str], int], against: str, unsaid: dict[str, int], looked_at: dict[str, int], weighted: bool
) -> SampledShare:
    """Return TP of TP and what stands against it.

    Args:
        of: Amounts by outcome and ``n``, ``assumed``, ``known``, ``w`` or ``w2``; ``alone`` are the unsaid
            ones of labels without another value.
        against: ``fp`` or ``fn``.
        unsaid: Amounts of the audits that may be either.
        looked_at: Amounts of all audits that could have shown one that stands against it.
        weighted: Whether to weigh by 1/π.
    """
    number, what, squared = ("known", "w", "w2") if weighted else ("assumed", "assumed", "assumed")
    right, wrong, open_ones, all_ones = (
        Weighed(amounts[0], amounts[1], 0.0)
        for amounts in (
            (of.get(("tp", what), 0), of.get(("tp", squared), 0)),
            (of.get((against, what), 0), of.get((against, squared), 0)),
            (unsaid.get(what, 0), unsaid.get(squared, 0)),
            (looked_at[what], looked_at[squared]),
        )
    )
    audits = of.get(("tp", number), 0) + of.get((against, number), 0)
    total = right.total + wrong.total
    surely = of.get(("alone", what), 0) if against == "fp" else 0
    worth = all_ones.total * all_ones.total / all_ones.squares if all_ones.total else 0.0
    open_n = unsaid.get(number, 0)
    if not total or not worth or c.unsaid_too_often(int(open_ones.total), int(total)):
        return SampledShare(None, audits, worth, open_n)
    each, typical = all_ones.squares / all_ones.total, (right.squares + wrong.squares) / total
    low, _ = share_limits(right._replace(largest=typical), _both(wrong, open_ones, each))
    _, high = share_limits(_both(right, open_ones, typical), wrong._replace(largest=each))
    return SampledShare(Interval(right.total / (total + surely), low, high), audits, worth, open_n)


def _both(one: Weighed, other: Weighed, largest: float) -> Weighed:
    return Weighed(one.total + other.total, one.squares + other.squares, largest)


@dataclass(frozen=True)
class Confused:
    """One pair of given and right decision, for people (``hate+spam``); ``truth`` is None where the auditor did not say."""

    policy: str
    given: str
    truth: str | None
    audits: int
    weight_nano: int


def confusion(counts: Counts) -> list[Confused]:
    """Return the pairs of given and right value, most frequent first."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for (policy, given, truth, what), amount in section(counts, "confusion"):
        sums.setdefault((str(policy), str(given), str(truth)), [0, 0])[what == "w"] = amount
    return [
        Confused(policy, c.readable(given), None if truth == c.UNKNOWN_TRUTH else c.readable(truth), audits, weight)
        for (policy, given, truth), (audits, weight) in sorted(sums.items(), key=lambda one: (-one[1][0], one[0]))
    ]


def share_of(counts: Counts, *prefix: str | int) -> tuple[int, int]:
    """Return (good, total) of a section counted as (…, 1 or 0)."""
    good, bad = counts.get((*prefix, 1), 0), counts.get((*prefix, 0), 0)
    return good, good + bad


@dataclass(frozen=True)
class Overview:
    """The shares of one group of labels.

    Attributes:
        labels: Standing labels.
        audited: Those audited.
        accuracy: The accuracy of the work, estimated from random audits as in the accuracy table; None without any.
        random: Labels that random audits drew, those with technical errors left out: what it rests on.
        assumed: Audited labels that are only assumed to be drawn at random.
        targeted: Audited labels that were picked; in no estimate.
        raw: correct/audited of all audits alike.
        first_pass: First-pass yield: labels right at their first audit and still right, estimated from the audits and with the weights
            of ``accuracy``. What was found wrong, reworked and then right is not in it. (First time yield of quality engineering:
            good units out without rework over units in; Juran's Quality Handbook, 7th edition, 2017.)
        overturned: Overturned of all decided appeals.
        appeals: Appeals opened, per label.
        gold: Right of the planted items, whose answers are known, and how many: a test of people, no sample of the work.
        kinds: The accuracy that the audits which drew the labels say, by their kind: blind ones, open ones; and how many these
            are. Estimated from those with a known probability, where there are none from those assumed random; None without any.
        errors: Wrong labels by (error class, severity), most first.
        technical: Of those, technical ones: shown, not held against a person.
        weight_sum: For how many labels the audits stand whose sampling probability is known, Σ1/π.
        audits_stand_for: ``few`` where that is surely less than half of the labels, so that nothing may be judged yet, ``many`` where
            it is surely far more than there are (``streams.core.stand_for``).
    """

    labels: int
    audited: int
    accuracy: Interval | None
    random: int
    assumed: int
    targeted: int
    raw: Interval | None
    first_pass: Interval | None
    overturned: Interval | None
    decided: int
    appeals: Interval | None
    gold: tuple[Interval | None, int]
    kinds: dict[str, tuple[Interval | None, int]]
    errors: list[tuple[str, str, int]]
    technical: int
    weight_sum: float
    audits_stand_for: StandFor | None

    @property
    def enough(self) -> bool:
        """Whether there are enough random audits to say anything of accuracy."""
        return self.random >= FEW_AUDITS


def overview(counts: Counts) -> Overview:
    """Return the shares of a group's labels, each with its 95% interval."""
    labels = counts.get(("labels",), 0)
    correct, audited = share_of(counts, "audited")
    opened, decided = counts.get(("appeal", "opened"), 0), counts.get(("appeal", "decided"), 0)
    errors = [(str(error), str(severity), n) for (error, severity), n in section(counts, "error")]
    gold, planted = share_of(counts, "gold")
    row = _accuracy_row(counts, "row")
    return Overview(
        labels,
        audited,
        _estimate(row),
        accuracy_drawn(row).audits,
        row["assumed"],
        row["targeted"],
        proportion(correct, audited),
        _estimate(_accuracy_row(counts, "first")),
        proportion(counts.get(("appeal", "overturned"), 0), decided),
        decided,
        proportion(min(opened, labels), labels),
        (proportion(gold, planted), planted),
        {kind: _of_kind(counts, kind) for kind in AUDIT_KINDS},
        sorted(errors, key=lambda error: (-error[2], error[0], error[1])),
        sum(n for error, _, n in errors if error == "technical"),
        row["weight_sum"],
        row["audits_stand_for"],
    )


def _accuracy_row(counts: Counts, *prefix: str) -> dict[str, Any]:
    """Return the row of the accuracy table that verdicts counted under a prefix make."""
    of: dict[c.Counter, int] = {int(key[-1]): n for key, n in section(counts, prefix[0]) if key[:-1] == prefix[1:]}
    return accuracy(parts_of(of | {c.LABELS: counts.get(("labels",), 0)}))


def _of_kind(counts: Counts, kind: str) -> tuple[Interval | None, int]:
    """Return the accuracy that audits of a kind say, and how many. What those assumed random stand for is not known by kind."""
    row = _accuracy_row(counts, "kind", kind)
    if row["assumed"] < row["audited"] - row["targeted"]:
        row |= {"audited": row["audited"] - row["assumed"], "assumed": 0, "assumed_correct": 0, "assumed_technical": 0}
    return _estimate(row), accuracy_drawn(row).audits


def _estimate(row: dict[str, Any]) -> Interval | None:
    share = accuracy_share(row)
    return None if share is None else share.estimate
