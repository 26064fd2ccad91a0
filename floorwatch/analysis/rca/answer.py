"""The whole answer to "why did it change": every cut by one dimension, and the telling one by two. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from floorwatch.analysis.rca.findings import PartFinding, RatioChange, change_of, findings, parts_words, summary
from streams.core.counters import NANO
from streams.core.formatting import plural
from streams.core.multiplicity import FAMILY_ERROR
from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.shift import Decomposition, Key, Part, decompose
from streams.core.rca.significance import ONE_DIMENSION, TWO_DIMENSIONS, effect_interval, judged
from streams.core.rca.slices import NOUNS, Measure

Cut = Callable[[tuple[str, ...]], tuple[Mapping[Key, RatioTally], Mapping[Key, RatioTally]]]
"""(before, after) by some dimensions."""


class RootCause(Struct, frozen=True):
    """What changed and what moved it.

    Attributes:
        measure: "accuracy" or "sla".
        scope: The scope explained.
        before, after: Good and all of the two windows.
        change: The change of the whole; None where either window counted nothing, or most of its audits are still to come.
        cuts: Ranked findings, one list per cut; by one dimension first.
        summary: The same in plain words.
    """

    measure: Measure
    scope: dict[str, str]
    before: RatioTally
    after: RatioTally
    change: RatioChange | None
    cuts: list[list[PartFinding]]
    summary: list[str]


def answer(measure: Measure, scope: Mapping[str, str], by: Sequence[str], cut: Cut, *, deep: bool = True) -> RootCause:
    """Explain a change.

    Two dimensions named are also crossed. With more, the dimension whose part is the most harmful beyond chance is
    crossed with each other one, and the cross with the strongest part is kept. That any part of any cut is called evident
    where nothing changed has at most the chance ``FAMILY_ERROR``: 4 of the 5% are for the cuts by one dimension, 1% for all
    crosses tried.

    Args:
        measure: What is explained.
        scope: The scope.
        by: Dimensions to cut by; a cut with fewer than two parts is left out.
        cut: Gives the tallies of a cut, all of one moment.
        deep: Also cross two dimensions.

    Raises:
        PartsDoNotAddUp: Parts do not sum to the whole.
    """
    whole_before, whole_after = (_whole(side) for side in cut(()))
    shown = dict(scope)
    if not whole_before.total or not whole_after.total:
        what = f"{NOUNS[measure]} {'before the window' if whole_after.total else 'in the window'}"
        return RootCause(
            measure, shown, whole_before, whole_after, None, [], [f"There are no {what}: nothing to compare."]
        )
    single = [found for found in (_decomposed((name,), cut) for name in by) if found is not None]
    deep = deep and len(by) > 1
    called = judged(single, ONE_DIMENSION if deep else FAMILY_ERROR)
    cuts = [findings(*pair) for pair in zip(single, called, strict=True)]
    crossed = _crossed(by, cuts, cut) if deep else None
    if crossed is not None:
        cuts.append(crossed)
    change = change_of(whole_before, whole_after)
    what = f"{_title(measure)} of {_scope_words(scope)}"
    return RootCause(
        measure, shown, whole_before, whole_after, change, cuts, summary(what, change, cuts, NOUNS[measure])
    )


def weighted_or_raw(
    scope: Mapping[str, str], by: Sequence[str], cuts: Mapping[Measure, Cut], *, deep: bool = True
) -> RootCause:
    """Explain an accuracy by weight; where a window has no audit with a sampling probability, by plain counts.

    Targeted audits are in neither: they are no sample of the work. While the audits of a window stand for less than half of its
    labels nobody is judged: no cut is made.

    Args:
        scope: The scope.
        by: Dimensions to cut by.
        cuts: The cuts of "accuracy" and of "unweighted_accuracy"; of "labels" too, where they are known.
        deep: Also cross two dimensions.
    """
    awaited = (
        _awaited_words(*(cuts[name](()) for name in ("accuracy", "unweighted_accuracy", "labels")))
        if "labels" in cuts
        else []
    )
    found = answer("accuracy", scope, () if awaited else by, cuts["accuracy"], deep=deep)
    if found.change is not None and awaited:
        shares = f"{100 * found.before.share:.1f}% before the window, {100 * found.after.share:.1f}% in it."
        return structs.replace(found, change=None, cuts=[], summary=[f"Of what is audited so far: {shares}", *awaited])
    if found.change is not None:
        return found
    plain = answer("unweighted_accuracy", scope, by, cuts["unweighted_accuracy"], deep=deep)
    if plain.change is None:
        return found
    said = f"{_drawn_words(found, plain)}: every audit that is not targeted counts the same."
    return structs.replace(plain, measure="accuracy", summary=[*plain.summary, said])


def _awaited_words(*cuts: tuple[Mapping[Key, RatioTally], Mapping[Key, RatioTally]]) -> list[str]:
    """Return what to say where most audits of a window are still to come; empty where nothing is awaited.

    Audits that are assumed to be random stand for all that is left, so with any of them nothing is.

    Args:
        cuts: The whole before the window and in it, of the audits with a probability, of all that are a sample, and of labels.
    """
    said = []
    for where, drawn, sample, labels in zip(
        ("before the window", "in the window"), *(map(_whole, one) for one in cuts), strict=True
    ):
        stood_for = drawn.stands_for(NANO)
        if drawn.total and drawn.total == sample.total and stood_for.awaited(labels.total):
            said.append(
                f"The {plural(drawn.total, 'audit')} {where} stand for about {stood_for.labels:,.0f} of "
                f"{plural(labels.total, 'label')}: most audits are still to come, or most work is never audited. Flagged work is often "
                "audited first, so nothing is judged. Choose windows that ended some days ago."
            )
    return said


def _drawn_words(weighted: RootCause, plain: RootCause) -> str:
    """Return how many audits have a sampling probability, and where none does."""
    told, audits = weighted.before.total + weighted.after.total, plain.before.total + plain.after.total
    if not told:
        return "No audit says with which probability it was drawn"
    where = "before the window" if not weighted.before.total else "in the window"
    return f"{told:,} of {audits:,} audits say with which probability they were drawn, but none {where}"


def _whole(side: Mapping[Key, RatioTally]) -> RatioTally:
    return side.get((), RatioTally(0, 0))


def _title(measure: Measure) -> str:
    return "SLA attainment" if measure == "sla" else "Accuracy"


def _scope_words(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "the whole floor"


def _decomposed(by: tuple[str, ...], cut: Cut) -> Decomposition | None:
    found = decompose(by, *cut(by))
    return found if found is not None and len(found.parts) > 1 else None


def _crossed(by: Sequence[str], cuts: list[list[PartFinding]], cut: Cut) -> list[PartFinding] | None:
    """Return the cross of two dimensions that tells more than either, or None."""
    if len(by) == 2:
        pairs = [(by[0], by[1])]
    else:
        leading = [found for found in (_leading(one) for one in cuts) if found is not None]
        if not leading:
            return None
        top = max(leading, key=_strength).dimensions[0]
        pairs = [(top, name) for name in by if name != top]
    sizes = {one[0].dimensions[0]: len(one) for one in cuts}
    # If one dimension determines the other (a labeller's team), the cross equals the finer cut.
    tried = [
        found
        for pair, found in ((pair, _decomposed(pair, cut)) for pair in pairs)
        if found is not None and len(found.parts) > max(sizes.get(name, 1) for name in pair)
    ]
    called = judged(tried, TWO_DIMENSIONS)
    best: tuple[float, int] | None = None
    for at, (found, names) in enumerate(zip(tried, called, strict=True)):
        strength = max(
            (_reach(found, part) for part, one in zip(found.parts, names, strict=True) if one.verdict == "evident"),
            default=0.0,
        )
        if best is None or strength > best[0]:
            best = strength, at
    if best is None or (best[0] <= 0 and len(by) > 2):
        return None
    return findings(tried[best[1]], called[best[1]])


def _reach(found: Decomposition, part: Part) -> float:
    low, high = effect_interval(found, part)
    return abs(float(part.effect)) / max(1e-14, (high - low) / 2)


def _leading(cut: list[PartFinding]) -> PartFinding | None:
    return next((one for one in cut if one.verdict == "evident"), None)


def _strength(one: PartFinding) -> float:
    """Effect over half its interval: how far beyond chance it lies."""
    return abs(one.effect_pp) / max(1e-12, (one.high_pp - one.low_pp) / 2)


def answer_json(found: RootCause) -> dict[str, Any]:
    """Return the answer as a JSON object; effects in percentage points."""
    change = found.change
    return {
        "measure": found.measure,
        "scope": found.scope,
        "before": _tally_json(found.before),
        "after": _tally_json(found.after),
        "change_pp": None if change is None else change.change_pp,
        "change_interval_pp": None if change is None else [change.low_pp, change.high_pp],
        "evident": None if change is None else change.evident,
        "cuts": [
            {"by": list(cut[0].dimensions), "parts": [_part_json(one) for one in cut]} for cut in found.cuts if cut
        ],
        "summary": found.summary,
    }


def _tally_json(tally: RatioTally) -> dict[str, Any]:
    return {"good": tally.good, "total": tally.total, "share": tally.share if tally.total else None}


def _part_json(one: PartFinding) -> dict[str, Any]:
    return {
        "values": dict(zip(one.dimensions, one.key, strict=True)),
        "effect_pp": one.effect_pp,
        "interval_pp": [one.low_pp, one.high_pp],
        "rate_pp": one.rate_pp,
        "mix_pp": one.mix_pp,
        "interaction_pp": one.interaction_pp,
        "verdict": one.verdict,
        "presence": one.presence,
        "before": _tally_json(one.before),
        "after": _tally_json(one.after),
        "words": parts_words(one),
    }
