"""How sure a difference is: intervals for differences of proportions and for shift-share effects. Pure.

A part can move the whole in two ways, and each is tested on its own: it became better or worse (rate), or it became a
larger or smaller share of the work (mix). All tests that are shown together are one family (``judged``), whatever
dimension and value they are of. Every limit is of weighted shares, so it sees which weights the errors have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from streams.core.binomial import SEEN, TAIL, share_limits
from streams.core.multiplicity import FAMILY_ERROR, holm
from streams.core.proportions import Interval, difference_of
from streams.core.rca.ratio_tally import RatioTally, joined, without
from streams.core.rca.shift import Decomposition, Part

MIN_PART = 10
"""Fewer outcomes of a part in either window are called too few, and are not tested."""

ONE_DIMENSION = 0.8 * FAMILY_ERROR
"""Chance that a part of any cut by one dimension is called evident where nothing changed."""

TWO_DIMENSIONS = FAMILY_ERROR - ONE_DIMENSION
"""The same for all cuts by two dimensions that were tried, so that of all cuts together it is ``FAMILY_ERROR``."""

_OF_MIX = 0.25
"""Part of a part's chance that is for its mix."""

_HARDLY = 1.0
"""A difference of fewer standard errors than this stands in no family, so its limits need not be found."""

Verdict = Literal["evident", "alike", "noise", "few"]
"""``alike``: it became better or worse beyond chance, but no otherwise than everything else did."""


class JudgedEffect(NamedTuple):
    """What to call a part's effect.

    Attributes:
        verdict: "few" where either window has under 10 of its outcomes (a part that is new or gone is judged by the window
            it is in), "evident" where it moved the whole beyond chance, "alike" where it changed as the rest did, else "noise".
        by_share: It is evident that it moved the whole by doing more or less of the work, and not that it became better or worse.
    """

    verdict: Verdict
    by_share: bool = False


def difference_interval(
    one: RatioTally, other: RatioTally, *, tail: float = TAIL, seen: float = SEEN
) -> tuple[float, float]:
    """Interval of the difference of two independent proportions, one - other.

    Source: ``streams.core.proportions.difference_of``.

    Args:
        one: Good and all of the first; at least one outcome.
        other: Good and all of the second; at least one outcome.
        tail: Chance left out on each side.
        seen: 1 for an interval to judge by; as in ``streams.core.binomial``.

    Returns:
        (low, high) in -1..1.

    Raises:
        ValueError: A proportion of nothing.

    Example:
        >>> [round(end, 4) for end in difference_interval(RatioTally(56, 70), RatioTally(48, 80))]
        [0.0494, 0.3395]
    """
    if one.total <= 0 or other.total <= 0:
        raise ValueError(f"difference_interval({one}, {other}): a proportion of nothing has no interval")
    found = difference_of(_share(one, tail, seen), _share(other, tail, seen))
    return found.low, found.high


def _share(tally: RatioTally, tail: float, seen: float = 1.0) -> Interval:
    return Interval(tally.share, *share_limits(*tally.sides, tail=tail, seen=seen))


def effect_interval(found: Decomposition, part: Part, *, tail: float = TAIL) -> tuple[float, float]:
    """Interval of a part's effect, as ratios.

    With u and v the shares of the whole that are this part's wrong and right outcomes, B the wrong share of the whole, and 0
    and 1 the two windows, the effect is −(1 − B0)(u1 − u0) + B0(v1 − v0). All of these are weighted shares with limits of
    their own; each end joins their distances (the method of variance estimates recovery, Zou & Donner, Statistics in
    Medicine 27, 2008), with that of B0 times (w1 − w0), for it stands in both terms.

    Args:
        found: The decomposition.
        part: One of its parts.
        tail: Chance left out on each side.
    """
    wrong = 1 - found.before.share
    up: list[float] = []
    down: list[float] = []
    for whole, own, sign in ((found.before, part.before, 1.0), (found.after, part.after, -1.0)):
        if not own.total:
            continue
        (own_right, own_wrong), (right, others) = own.sides, without(whole, own).sides
        rest = joined(right, others)
        for factor, held, left in (
            (sign * (1 - wrong), own_wrong, joined(own_right, rest)),
            (-sign * wrong, own_right, joined(own_wrong, rest)),
        ):
            if held.total + left.total <= 0:
                continue
            share = held.total / (held.total + left.total)
            low, high = share_limits(held, left, tail=tail)
            ends = factor * (high - share), factor * (low - share)
            up.append(max(ends))
            down.append(min(ends))
    gained = part.after.weights[1] / found.after.weights[1] - part.before.weights[1] / found.before.weights[1]
    whole_share = _share(found.before, tail, SEEN)
    ends = gained * (whole_share.high - whole_share.value), gained * (whole_share.low - whole_share.value)
    effect = float(part.effect)
    return effect - math.hypot(*down, min(ends)), effect + math.hypot(*up, max(ends))


class _PartTest:
    """The tests of one part, each at whatever two-sided error is asked for."""

    def __init__(self, found: Decomposition, part: Part) -> None:
        self._found, self._part = found, part
        counts = [tally.total for tally in (part.before, part.after) if tally.total]
        self.few = min(counts, default=0) < MIN_PART

    @cached_property
    def _rest(self) -> tuple[RatioTally, RatioTally]:
        return without(self._found.before, self._part.before), without(self._found.after, self._part.after)

    def by_rate(self, error: float) -> bool:
        """Whether it became better or worse, otherwise than the rest, as its effect on the whole says.

        A vendor that fails lowers the accuracy of every market it works for; what it does to no market is to make it fall more
        than the others beyond chance. So the part's change is held against the rest's too, as a difference of two differences
        (J. D. Angrist, J.-S. Pischke 2009, Mostly Harmless Econometrics, section 5.2); both must stand at the error given.
        """
        if not self.changed(error):
            return False
        before, after = self._rest
        if min(before.total, after.total) < MIN_PART:
            return True
        own, elsewhere = self._change(error), difference_of(*(_share(side, error / 2) for side in (after, before)))
        contrast = difference_of(own, elsewhere)
        return _apart(contrast) and contrast.value * own.value > 0

    def changed(self, error: float) -> bool:
        """Whether it became better or worse at all."""
        part = self._part
        if part.presence != "both" or part.rate * part.effect <= 0 or _hardly(part.after, part.before):
            return False
        return _apart(self._change(error))

    def _change(self, error: float) -> Interval:
        return difference_of(*(_share(side, error / 2) for side in (self._part.after, self._part.before)))

    def by_mix(self, error: float) -> bool:
        """Whether it does another share of the work than before and is otherwise than the rest was: both must stand.

        The product of two things is not 0 where neither is (intersection-union test: Berger, Technometrics 24, 1982).
        """
        part, (before, after) = self._part, self._rest
        own = part.before if part.before.total else part.after
        if part.presence == "both" and part.mix * part.effect <= 0:
            return False
        if min(own.total, before.total) < MIN_PART or _hardly(own, before):
            return False
        if not _apart(difference_of(*(_share(side, error / 2) for side in (own, before)))):
            return False
        if part.presence != "both":
            return True
        parts = ((part.after, after), (part.before, before))
        return _apart(difference_of(*(_part_of(mine, rest, error / 2) for mine, rest in parts)))


def _part_of(own: RatioTally, rest: RatioTally, tail: float) -> Interval:
    """Return which part of all the weight is a part's own."""
    mine, others = joined(*own.sides), joined(*rest.sides)
    return Interval(mine.total / (mine.total + others.total), *share_limits(mine, others, tail=tail, seen=1.0))


def _apart(difference: Interval) -> bool:
    return not difference.low <= 0 <= difference.high


def _hardly(one: RatioTally, other: RatioTally) -> bool:
    """Whether two shares differ by so little that no test of a family can stand."""
    variance = 0.0
    for tally in (one, other):
        right, wrong = tally.sides
        total = right.total + wrong.total
        variance += right.total * wrong.total * (right.squares + wrong.squares) / total**4
    return abs(one.share - other.share) <= _HARDLY * math.sqrt(variance)


def judged(cuts: Sequence[Decomposition], level: float = FAMILY_ERROR) -> list[list[JudgedEffect]]:
    """Judge all parts of cuts that are shown together; the chance that any is called evident in error is at most ``level``.

    The family is every part with enough outcomes of every cut, and of each both kinds. Each cut is given the same part of the
    chance, so that three vendors are not judged as strictly as the 150 labellers shown with them; inside a cut each part
    the same, of which a quarter is for its mix. Source: ``streams.core.multiplicity.holm``.

    Args:
        cuts: The cuts; one that was tried and is not shown belongs to them.
        level: The chance.

    Returns:
        A judgement for each part of each cut, in their order.
    """
    tests = [[_PartTest(found, part) for part in found.parts] for found in cuts]
    enough = [[test for test in of_cut if not test.few] for of_cut in tests]
    kinds = [kind for of_cut in enough for test in of_cut for kind in (test.by_rate, test.by_mix)]
    weights = [part / len(of_cut) for of_cut in enough for _ in of_cut for part in (1 - _OF_MIX, _OF_MIX)]
    stands = iter(holm(kinds, level, weights))
    return [[_called(test, stands, level * (1 - _OF_MIX) / max(1, len(kinds))) for test in of_cut] for of_cut in tests]


def _called(test: _PartTest, stands: Iterator[bool], error: float) -> JudgedEffect:
    if test.few:
        return JudgedEffect("few")
    by_rate, by_mix = next(stands), next(stands)
    if by_rate or by_mix:
        return JudgedEffect("evident", by_share=not by_rate)
    return JudgedEffect("alike" if test.changed(error) else "noise")


def judged_worse(
    cuts: Sequence[Sequence[tuple[RatioTally, RatioTally]]], level: float = FAMILY_ERROR
) -> list[list[bool]]:
    """Tell which shares are lower than another beyond chance; that any is told so in error has at most the chance ``level``.

    Source: ``difference_interval`` and ``streams.core.multiplicity.holm``, each cut with the same part of the chance.

    Args:
        cuts: (one, other) by cut, all of them shown together; with too few outcomes of either, one is never called lower.
        level: The chance, one-sided.
    """

    def test(one: RatioTally, other: RatioTally) -> Callable[[float], bool]:
        def lower(error: float) -> bool:
            return one.share < other.share and difference_interval(one, other, tail=error, seen=1.0)[1] < 0

        return lower

    held = [[pair for pair in pairs if min(tally.total for tally in pair) >= MIN_PART] for pairs in cuts]
    weights = [1 / len(pairs) for pairs in held for _ in pairs]
    stands = iter(holm([test(*pair) for pairs in held for pair in pairs], level, weights))
    return [
        [next(stands) if min(tally.total for tally in pair) >= MIN_PART else False for pair in pairs] for pairs in cuts
    ]
