"""Decisions: precision, recall and confusion per policy value, error classes, audit kinds, first pass, appeals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streams.core import cells as c
from streams.core.people.proportions import Interval, proportion, wilson_of
from streams.core.quality.counts import Counts, Key, section
from streams.core.quality.judged import Judged, overturned_audit

FEW_AUDITS = 30
"""Fewer audits say too little: at 30 flawless ones the true accuracy may still be 89% (Wilson)."""

AUDIT_KINDS = ("gold", "blind", "open")


def count(judged: Judged) -> Iterator[tuple[Key, int]]:
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
    yield ("kind", _kind(judged), right), 1
    yield ("first", int(_first_pass(judged))), 1
    yield from _confusion(judged)


def _kind(judged: Judged) -> str:
    """Return what kind of audit the verdict rests on; a gold item is gold however it was shown."""
    audit = judged.audits[-1]
    return "gold" if audit.gold else "blind" if audit.blind else "open"


def _first_pass(judged: Judged) -> bool:
    """Tell whether the label was right at its first audit, appeals against it heard, and still is: no rework."""
    if judged.verdict is None or judged.verdict.wrong:
        return False
    first = judged.audits[0]
    return first.wrong == overturned_audit(judged, first)


def _confusion(judged: Judged) -> Iterator[tuple[Key, int]]:
    verdict, given = judged.verdict, judged.label.values
    if verdict is None or not given:
        return
    weight = verdict.weight_nano
    yield ("confusion", judged.policy, given, verdict.truth, "n"), 1
    if weight:
        yield ("confusion", judged.policy, given, verdict.truth, "w"), weight
    if verdict.truth == c.UNKNOWN_TRUTH:
        return
    mine = set(filter(None, given.split(c.VALUE_SEPARATOR)))
    truth = set(filter(None, verdict.truth.split(c.VALUE_SEPARATOR)))
    for value in mine | truth:
        outcome = "fn" if value not in mine else "tp" if value in truth else "fp"
        yield ("value", judged.policy, value, outcome, "n"), 1
        if weight:
            yield ("value", judged.policy, value, outcome, "w"), weight
            yield ("value", judged.policy, value, outcome, "w2"), weight * weight


@dataclass(frozen=True)
class Share:
    """A share from sampled audits.

    Attributes:
        estimate: The share and its 95% interval; None without audits.
        audits: How many audits it rests on.
        worth: How many plain audits those are worth: (Σw)²/Σw².
    """

    estimate: Interval | None
    audits: int
    worth: float

    @property
    def enough(self) -> bool:
        """Whether it rests on enough to say anything."""
        return self.worth >= FEW_AUDITS


@dataclass(frozen=True)
class ValueQuality:
    """One value of one policy.

    Attributes:
        policy: The policy.
        value: The decision value.
        tp: Given and right, in audits.
        fp: Given and not right.
        fn: Right and not given.
        precision: Of what was given, how much is right.
        recall: Of what is right, how much was given. It hangs on weighted audits of all other values.
        weighted: Whether both are weighted by 1/π; else no audit named its sampling probability and they are raw.
    """

    policy: str
    value: str
    tp: int
    fp: int
    fn: int
    precision: Share
    recall: Share
    weighted: bool


def value_quality(counts: Counts) -> list[ValueQuality]:
    """Return precision and recall per policy and value.

    precision = TP/(TP+FP), recall = TP/(TP+FN), each count weighted by w = 1/π (Hájek, 1971); the interval is Wilson's at
    the effective number of audits (Σw)²/Σw² (Kish, Survey Sampling, 1965; Korn & Graubard, Survey Methodology 24, 1998).
    """
    sums: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for (policy, value, outcome, what), amount in section(counts, "value"):
        sums.setdefault((str(policy), str(value)), {})[str(outcome), str(what)] = amount
    found = []
    for (policy, value), of in sorted(sums.items()):
        weighted = any(what == "w" for _, what in of)
        tp, fp, fn = (of.get((outcome, "n"), 0) for outcome in ("tp", "fp", "fn"))
        precision, recall = _share(of, "fp", weighted), _share(of, "fn", weighted)
        found.append(ValueQuality(policy, value, tp, fp, fn, precision, recall, weighted))
    return found


def _share(of: dict[tuple[str, str], int], against: str, weighted: bool) -> Share:
    audits = of.get(("tp", "n"), 0) + of.get((against, "n"), 0)
    if not weighted:
        return Share(proportion(of.get(("tp", "n"), 0), audits), audits, float(audits))
    right, wrong = of.get(("tp", "w"), 0), of.get((against, "w"), 0)
    squares = of.get(("tp", "w2"), 0) + of.get((against, "w2"), 0)
    total = right + wrong
    if not total:
        return Share(None, audits, 0.0)
    worth = total * total / squares
    share = right / total
    return Share(Interval(share, *wilson_of(share, worth)), audits, worth)


@dataclass(frozen=True)
class Confused:
    """One pair of given and right value."""

    policy: str
    given: str
    truth: str
    audits: int
    weight_nano: int


def confusion(counts: Counts) -> list[Confused]:
    """Return the pairs of given and right value, most frequent first; right is ``?`` where the auditor did not say."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for (policy, given, truth, what), amount in section(counts, "confusion"):
        sums.setdefault((str(policy), str(given), str(truth)), [0, 0])[what == "w"] = amount
    found = [Confused(*pair, audits, weight) for pair, (audits, weight) in sums.items()]
    return sorted(found, key=lambda pair: (-pair.audits, pair.policy, pair.given, pair.truth))


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
        accuracy: correct/audited.
        first_pass: First-pass yield: audited labels right at their first audit and still right, of all audited. What was
            found wrong, reworked and then right is not in it. (First time yield of quality engineering: good units out
            without rework over units in; Juran's Quality Handbook, 7th edition, 2017.)
        overturned: Overturned of all decided appeals.
        appeals: Appeals opened, per label.
        kinds: Accuracy by the kind of audit: gold items, blind audits, open ones; a kind without audits is None.
        errors: Wrong labels by (error class, severity), most first.
        technical: Of those, technical ones: shown, not held against a person.
    """

    labels: int
    audited: int
    accuracy: Interval | None
    first_pass: Interval | None
    overturned: Interval | None
    decided: int
    appeals: Interval | None
    kinds: dict[str, tuple[Interval | None, int]]
    errors: list[tuple[str, str, int]]
    technical: int

    @property
    def enough(self) -> bool:
        """Whether there are enough audits to say anything."""
        return self.audited >= FEW_AUDITS


def overview(counts: Counts) -> Overview:
    """Return the shares of a group's labels, each with its Wilson interval."""
    labels = counts.get(("labels",), 0)
    correct, audited = share_of(counts, "audited")
    opened, decided = counts.get(("appeal", "opened"), 0), counts.get(("appeal", "decided"), 0)
    errors = [(str(error), str(severity), n) for (error, severity), n in section(counts, "error")]
    kinds = {}
    for kind in AUDIT_KINDS:
        good, total = share_of(counts, "kind", kind)
        kinds[kind] = (proportion(good, total), total)
    return Overview(
        labels,
        audited,
        proportion(correct, audited),
        proportion(*share_of(counts, "first")),
        proportion(counts.get(("appeal", "overturned"), 0), decided),
        decided,
        proportion(min(opened, labels), labels),
        kinds,
        sorted(errors, key=lambda error: (-error[2], error[0], error[1])),
        sum(n for error, _, n in errors if error == "technical"),
    )
