"""Root cause where nothing changed, and where one part fell: audits by risk, parts of unlike size, skill and π.

The audits of two windows are drawn as the verdicts of labels are counted, and explained by the code of ``floorwatch explain``
and by that which names contributors in alerts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from alerts.contributors import share_contributors
from alerts.kinds.accuracy_low import sampled
from floorwatch.analysis.rca.answer import RootCause, weighted_or_raw
from floorwatch.sims.lines import ReportLine, of_share
from streams.core import counters as c
from streams.core.detector_evidence import LabelVerdict
from streams.core.effects import Group, decision_counters
from streams.core.policy import DAY_MS, DIMENSIONS, Dims
from streams.core.rca.slices import Slices, TimeRange
from streams.core.row_layout import parts_of
from streams.core.scopes import scope_key
from streams.core.tables import accuracy

BY = ("vendor", "policy", "market", "labeler")
CUTS = (("vendor",), ("policy",), ("market",), ("labeler",), ("vendor", "policy"))
"""Scopes whose rows an alert on the floor sees."""

ROWS = (11,)
CPU_S = 70.0

BEFORE, AFTER = TimeRange(0, 6 * DAY_MS), TimeRange(6 * DAY_MS, 7 * DAY_MS)
_LABELERS, _POLICIES, _MARKETS = 24, 5, 2
_FLAGGED = 0.1
_BAD = LabelVerdict(True, c.ERROR_CLASSES.index("wrong_selection"), c.SEVERITIES.index("minor"), "y", 0, False, 0)


class Kind(NamedTuple):
    """Labels of one cell, flagged or not: how many a day, the share of wrong ones and the chance to be audited."""

    dims: Dims
    per_day: float
    wrong: float
    probability: float


class Design(NamedTuple):
    """How a floor audits: the range of π of flagged work and of the rest (drawn evenly in logarithms, by policy), and the volume."""

    words: str
    flagged: tuple[float, float]
    others: tuple[float, float]
    labels_a_day: float


DESIGNS = (
    Design("flagged at 20%, the rest at 1%", (0.2, 0.2), (0.01, 0.01), 12_000),
    Design("by policy: flagged at 10 to 100%, the rest at 0.5 to 10%", (0.1, 1.0), (0.005, 0.1), 10_000),
    Design("flagged all, the rest at 2%", (1.0, 1.0), (0.02, 0.02), 4_000),
    Design("few audits: flagged at 10%, the rest at 0.5 to 2%", (0.1, 0.1), (0.005, 0.02), 5_000),
)


def floor(rng: np.random.Generator, design: Design) -> list[Kind]:
    """Return the kinds of work of a floor: volumes lognormal, errors Beta by labeller and higher where work is flagged."""
    volumes = rng.lognormal(0, 1, _LABELERS)
    skill = rng.beta(2.6, 49.4, _LABELERS) / 0.05
    shares = rng.dirichlet(np.full(_POLICIES, 2.0))
    hard = rng.uniform(0.5, 1.5, _POLICIES)
    ranges = [(math.log(low), math.log(high)) for low, high in (design.flagged, design.others)]
    chances = [np.exp(rng.uniform(low, high, _POLICIES)) for low, high in ranges]
    found = []
    for labeler in range(_LABELERS):
        for policy in range(_POLICIES):
            for market in range(_MARKETS):
                count = design.labels_a_day * volumes[labeler] / volumes.sum() * shares[policy] * (0.7, 0.3)[market]
                for at, (part, wrong) in enumerate(((_FLAGGED, 0.18), (1 - _FLAGGED, 0.02))):
                    named = {"vendor": f"v{labeler % 3}", "policy": f"P{policy}", "market": f"m{market}"}
                    dims = tuple((named | {"labeler": f"p{labeler}"}).get(name) for name in DIMENSIONS)
                    share = min(0.9, wrong * skill[labeler] * hard[policy])
                    found.append(Kind(dims, count * part, share, float(chances[at][policy])))
    return found


def drawn(
    rng: np.random.Generator, kinds: list[Kind], span: TimeRange, fallen: Mapping[str, str], wrong: float
) -> Iterator[Group]:
    """Yield what the audited labels of a window count for; where ``fallen`` all labels are wrong with the chance ``wrong``."""
    for kind in kinds:
        labels = rng.poisson(kind.per_day * (span.end_ms - span.start_ms) / DAY_MS)
        named = dict(zip(DIMENSIONS, kind.dims, strict=True))
        share = wrong if fallen and all(named[name] == value for name, value in fallen.items()) else kind.wrong
        bad = rng.binomial(labels, share)
        for outcome, count in ((False, labels - bad), (True, bad)):
            audited = int(rng.binomial(count, kind.probability))
            if audited:
                nano = round(c.NANO / kind.probability)
                verdict = _BAD._replace(wrong=outcome, weight_nano=nano, truth="y" if outcome else "x")
                counters = decision_counters("x", verdict)
                amounts = [each if at % 2 == 0 else int(each) * audited for at, each in enumerate(counters)]
                yield Group(kind.dims, span.start_ms, tuple(amounts))


def explained(groups: list[Group]) -> RootCause:
    """Explain the floor's accuracy as ``floorwatch explain`` does from the log."""
    measures = {name: Slices(name, {}, BY) for name in ("accuracy", "unweighted_accuracy")}
    for group in groups:
        for one in measures.values():
            one.add(group)

    def cut_of(one: Slices) -> Any:
        return lambda by: (one.cut(by, BEFORE), one.cut(by, AFTER))

    return weighted_or_raw({}, BY, {name: cut_of(one) for name, one in measures.items()})  # type: ignore[misc]


def rows(groups: list[Group], spans: tuple[TimeRange, ...]) -> dict[str, dict[str, Any]]:
    """Return the accuracy rows of the floor and its parts over some spans, as a worker shows them."""
    sums: dict[str, tuple[dict[str, str], c.Counters]] = {}
    for group in groups:
        if not any(span.start_ms <= group.time_ms < span.end_ms for span in spans):
            continue
        named = dict(zip(DIMENSIONS, group.dims, strict=True))
        for by in ((), *CUTS):
            scope = {name: str(named[name]) for name in by}
            _, counters = sums.setdefault(scope_key(by, tuple(scope.values())), (scope, {}))
            for counter, amount in zip(group.counters[::2], group.counters[1::2], strict=True):
                counters[counter] = counters.get(counter, 0) + int(amount)
    return {
        key: {"scope": scope, "scope_key": key, **accuracy(parts_of(counters))}
        for key, (scope, counters) in sums.items()
    }


def contributors(groups: list[Group], target: float, *, reference: bool) -> tuple[tuple[str, str], ...]:
    """Return (dimension, value) of the parts that an alert on the floor calls a cause."""
    longer = rows(groups, (BEFORE, AFTER)) if reference else {}
    found = share_contributors(
        {}, rows(groups, (AFTER,)), reference=longer, read=sampled, target=target, words=lambda _: ""
    )
    return tuple((part.dimension, part.value) for part in found if part.clear)


class Blame(NamedTuple):
    """What a number of runs of one design came to.

    Attributes:
        runs: How many.
        evident: Those in which any part of any cut was called evident.
        alerted: Those in which an alert named any part as a cause.
        parts: Parts with enough audits to be judged, over all runs.
        covered: Those whose interval holds no effect, which is the truth.
        whole: Runs in which the interval of the whole's change holds none.
    """

    runs: int
    evident: int
    alerted: int
    parts: int
    covered: int
    whole: int


def unchanged(rng: np.random.Generator, design: Design, runs: int) -> Blame:
    """Return what is said of floors on which nothing changed."""
    evident = alerted = parts = covered = whole = 0
    for _ in range(runs):
        kinds = floor(rng, design)
        groups = [group for span in (BEFORE, AFTER) for group in drawn(rng, kinds, span, {}, 0.0)]
        found = explained(groups)
        shown = [one for cut in found.cuts for one in cut]
        evident += any(one.verdict == "evident" for one in shown)
        judged = [one.low_pp <= 0 <= one.high_pp for one in shown if one.verdict != "few"]
        parts, covered = parts + len(judged), covered + sum(judged)
        whole += found.change is not None and found.change.low_pp <= 0 <= found.change.high_pp
        alerted += bool(contributors(groups, 0.95, reference=True))
    return Blame(runs, evident, alerted, parts, covered, whole)


def named(rng: np.random.Generator, design: Design, runs: int) -> tuple[int, int]:
    """Return in how many runs a policy that falls from 95% to 80% in a day is called evident, and in how many another is."""
    right = other = 0
    for _ in range(runs):
        kinds = [kind._replace(wrong=0.05) if "P1" in kind.dims else kind for kind in floor(rng, design)]
        before, after = drawn(rng, kinds, BEFORE, {}, 0.0), drawn(rng, kinds, AFTER, {"policy": "P1"}, 0.20)
        found = explained([*before, *after])
        policies = next(cut for cut in found.cuts if cut[0].dimensions == ("policy",))
        told = {one.key[0] for one in policies if one.verdict == "evident" and not one.moved_by_share}
        right += "P1" in told
        other += bool(told - {"P1"})
    return right, other


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run 100 floors of each design on which nothing changed, and 50 of one on which one policy fell (at scale 1)."""
    rng = np.random.default_rng([seed, 11])
    runs = max(8, round(100 * scale))
    lines = []
    for design in DESIGNS:
        found = unchanged(rng, design, runs)
        words = f"nothing changed, {design.words}"
        lines += [
            of_share(f"{words}: a part of any cut evident", found.evident, runs, "at most", 0.05, "Holm", row=11),
            of_share(f"{words}: a cause named in an alert", found.alerted, runs, "at most", 0.05, "Holm", row=11),
            of_share(f"{words}: interval of a part", found.covered, found.parts, "at least", 0.93, row=11),
            of_share(f"{words}: interval of the whole", found.whole, runs, "at least", 0.93, row=11),
        ]
    few = max(8, runs // 2)
    right, other = named(rng, DESIGNS[1]._replace(labels_a_day=60_000), few)
    words = "one policy falls from 95% to 80%, some 500 audits of its day by risk"
    return [
        *lines,
        of_share(f"{words}: it is evident", right, few, "at least", 0.8, "shown"),
        of_share(f"{words}: another policy is", other, few, "at most", 0.05, "Holm"),
    ]
