"""Root cause by shift-share: which parts of a scope moved its ratio between two windows, and how. Pure and exact.

All arithmetic is in fractions: the parts sum to the change without any tolerance, and a sum that does not is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from streams.core.rca.ratio_tally import RatioTally, added_classes, without

NOT_GIVEN = "(not given)"
"""The part of a scope whose events do not name the dimension."""

Key = tuple[str, ...]
"""Values of a part: one per dimension it is cut by."""

Presence = Literal["both", "new", "gone"]


class PartsDoNotAddUp(Exception):
    """The parts do not add up to the whole: a fault of the program, never of the data. Report it with the windows."""


class Part(Struct, frozen=True):
    """One part's effect on the whole's change, as exact ratios; the three sum to its effect.

    Attributes:
        key: Its values.
        before: Good and all in the earlier window.
        after: Good and all in the later one.
        rate: w0(a1-a0): it became better or worse.
        mix: (w1-w0)(a0-A0): it became a larger or smaller share of the whole.
        interaction: (w1-w0)(a1-a0): both at once.
    """

    key: Key
    before: RatioTally
    after: RatioTally
    rate: Fraction
    mix: Fraction
    interaction: Fraction

    @property
    def effect(self) -> Fraction:
        """Rate, mix and interaction together."""
        return self.rate + self.mix + self.interaction

    @property
    def presence(self) -> Presence:
        """Whether it was counted in both windows or only in one."""
        if not self.before.total:
            return "new"
        return "both" if self.after.total else "gone"


class Decomposition(Struct, frozen=True):
    """A change and its parts. ``parts`` are in the order of their keys; their effects sum exactly to ``change``."""

    dimensions: tuple[str, ...]
    before: RatioTally
    after: RatioTally
    change: Fraction
    parts: tuple[Part, ...]

    def total(self, kind: Literal["rate", "mix", "interaction", "effect"]) -> Fraction:
        """Return one kind of effect summed over the parts."""
        return sum((getattr(part, kind) for part in self.parts), Fraction())


def decompose(
    dimensions: tuple[str, ...], before: Mapping[Key, RatioTally], after: Mapping[Key, RatioTally]
) -> Decomposition | None:
    """Split ΔA between two windows over the parts of a scope.

    rate w0(a1-a0), mix (w1-w0)(a0-A0), interaction (w1-w0)(a1-a0), with w a part's share of all and a its good share,
    both by weight (``RatioTally``).
    Source: shift-share analysis (Dunn 1960). A part absent before enters with the whole's A0,
    so that all it brings is interaction, w1(a1-A0); one absent after keeps its a0, so that all it takes away is mix,
    -w0(a0-A0).

    Args:
        dimensions: What the parts are cut by; one for every value of a key.
        before: The earlier window's parts.
        after: The later window's parts. Windows that overlap hide part of the change: subtract first (``minus``).

    Returns:
        The decomposition; None when either window is empty, for then there is no change to explain. Cut by two
        dimensions, the effects of all parts that share a first value sum exactly to that value's effect when cut by the
        first dimension alone (a part's effect is w1(a1-A0) - w0(a0-A0), which adds up over any finer cut).

    Raises:
        PartsDoNotAddUp: The parts do not sum to the change.

    Example:
        >>> before = {("a",): RatioTally(9, 10), ("b",): RatioTally(9, 10)}
        >>> found = decompose(("team",), before, before | {("a",): RatioTally(5, 10)})
        >>> [(part.key, str(part.effect)) for part in found.parts]
        [(('a',), '-1/5'), (('b',), '0')]
    """
    whole_before, whole_after = summed(before.values()), summed(after.values())
    if not whole_before.total or not whole_after.total:
        return None
    average = Fraction(*whole_before.weights)
    change = Fraction(*whole_after.weights) - average
    all_before, all_after = whole_before.weights[1], whole_after.weights[1]
    parts = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, RatioTally(0, 0)), after.get(key, RatioTally(0, 0))
        rate_before = Fraction(*old.weights) if old.total else average
        rate_after = Fraction(*new.weights) if new.total else rate_before
        weight_before = Fraction(old.weights[1], all_before)
        gained = Fraction(new.weights[1], all_after) - weight_before
        moved = rate_after - rate_before
        parts.append(Part(key, old, new, weight_before * moved, gained * (rate_before - average), gained * moved))
    found = Decomposition(dimensions, whole_before, whole_after, change, tuple(parts))
    if found.total("effect") != change:
        raise PartsDoNotAddUp(f"parts by {dimensions} sum to {found.total('effect')}, the whole changed by {change}")
    return found


def summed(tallies: Iterable[RatioTally]) -> RatioTally:
    """Return the sum of tallies."""
    tallies = list(tallies)
    good = total = good_weight = weight = 0
    weighted = False
    for tally in tallies:
        good += tally.good
        total += tally.total
        weighted = weighted or tally.weight is not None
        good_weight += tally.weights[0]
        weight += tally.weights[1]
    if not weighted:
        return RatioTally(good, total)
    return RatioTally(good, total, good_weight, weight, added_classes(tallies))


def minus(longer: Mapping[Key, RatioTally], inner: Mapping[Key, RatioTally]) -> dict[Key, RatioTally]:
    """Return a longer window without a shorter one inside it, part by part.

    Args:
        longer: Parts of, say, the last 7 days.
        inner: Parts of the last 24 hours.

    Returns:
        Parts of the 6 days before; those without anything left are left out.

    Raises:
        PartsDoNotAddUp: The inner window holds more than the longer one, so it does not lie inside, or the two are of
            different moments.
    """
    left: dict[Key, RatioTally] = {}
    for key in longer.keys() | inner.keys():
        old, new = longer.get(key, RatioTally(0, 0)), inner.get(key, RatioTally(0, 0))
        rest = without(old, new)
        if not 0 <= rest.good <= rest.total:
            raise PartsDoNotAddUp(f"{key}: the longer window has {old}, the shorter one inside it {new}")
        if rest.total:
            left[key] = rest
    return left


def completed(whole: RatioTally, parts: Mapping[Key, RatioTally], width: int = 1) -> dict[Key, RatioTally]:
    """Return the parts, with what the whole has beyond them as ``(not given)``, so that they sum to the whole.

    Args:
        whole: The scope's own tally.
        parts: Its parts by the dimension; events that do not name the dimension are in none of them.
        width: Values in a key.

    Raises:
        PartsDoNotAddUp: The parts hold more than the whole.
    """
    have = summed(parts.values())
    rest = without(whole, have)
    if not 0 <= rest.good <= rest.total:
        raise PartsDoNotAddUp(f"the parts hold {have}, the whole {whole}")
    return {**parts, (NOT_GIVEN,) * width: rest} if rest.total else dict(parts)


def nested(joint: Decomposition) -> dict[str, list[Part]]:
    """Return the parts of a two-dimensional cut by their first value, the most harmful part of each first."""
    found: dict[str, list[Part]] = {}
    for part in joint.parts:
        found.setdefault(part.key[0], []).append(part)
    for parts in found.values():
        parts.sort(key=lambda part: (part.effect, part.key))
    return found
