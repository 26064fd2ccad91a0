"""A decomposition as people read it: ranked in percentage points, with intervals, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.shift import NOT_GIVEN, Decomposition, Key, Part, Presence
from streams.core.rca.significance import JudgedEffect, Verdict, difference_interval, effect_interval

POINTS = 100.0
MAX_NAMED = 3
SELECTED = (
    "If these windows were chosen because an alarm or a chart showed the change in them, it is exaggerated: the stretch was "
    "picked for how it looks."
)


class PartFinding(Struct, frozen=True):
    """One part, in percentage points of the whole; negative made the whole worse.

    Attributes:
        dimensions: What it was cut by.
        key: Its values.
        effect_pp: Its share of the change; rate, mix and interaction add up to it.
        low_pp, high_pp: 95% interval of the effect.
        verdict: "evident", "alike", "noise" or "few" (``streams.core.rca.significance.JudgedEffect``).
        moved_by_share: It is evident that it moved the whole by doing more or less of the work, and not that it became
            better or worse.
        presence: "both", or "new"/"gone" where only one window has it.
        before: Good and all in the earlier window.
        after: Good and all in the later one.
        share_before, share_after: Its share of everything counted, as ratios.
    """

    dimensions: tuple[str, ...]
    key: Key
    effect_pp: float
    rate_pp: float
    mix_pp: float
    interaction_pp: float
    low_pp: float
    high_pp: float
    verdict: Verdict
    moved_by_share: bool
    presence: Presence
    before: RatioTally
    after: RatioTally
    share_before: float
    share_after: float


class RatioChange(Struct, frozen=True):
    """The whole's change, in percentage points with its 95% interval (streams.core.proportions)."""

    before: RatioTally
    after: RatioTally
    change_pp: float
    low_pp: float
    high_pp: float

    @property
    def evident(self) -> bool:
        """Whether the interval leaves out no change."""
        return not self.low_pp <= 0 <= self.high_pp


def change_of(before: RatioTally, after: RatioTally) -> RatioChange:
    """Return the change between two windows.

    Args:
        before: Good and all; at least one.
        after: Good and all; at least one.
    """
    low, high = difference_interval(after, before)
    moved = after.share - before.share
    return RatioChange(before, after, POINTS * moved, POINTS * low, POINTS * high)


def findings(found: Decomposition, judged: Sequence[JudgedEffect]) -> list[PartFinding]:
    """Return every part, those that moved the whole most in the direction of its change first.

    Without any change of the whole, harm comes first.

    Args:
        found: The cut.
        judged: What each of its parts is called (``streams.core.rca.significance.judged``).
    """
    sign = 1 if found.change > 0 else -1
    shown = [_finding(found, part, one) for part, one in zip(found.parts, judged, strict=True)]
    return sorted(shown, key=lambda one: (-sign * one.effect_pp, one.key))


def _finding(found: Decomposition, part: Part, judged: JudgedEffect) -> PartFinding:
    low, high = effect_interval(found, part)
    return PartFinding(
        dimensions=found.dimensions,
        key=part.key,
        effect_pp=POINTS * float(part.effect),
        rate_pp=POINTS * float(part.rate),
        mix_pp=POINTS * float(part.mix),
        interaction_pp=POINTS * float(part.interaction),
        low_pp=POINTS * low,
        high_pp=POINTS * high,
        verdict=judged.verdict,
        moved_by_share=judged.by_share,
        presence=part.presence,
        before=part.before,
        after=part.after,
        share_before=part.before.weights[1] / found.before.weights[1],
        share_after=part.after.weights[1] / found.after.weights[1],
    )


def name_of(one: PartFinding) -> str:
    """Return a part's name: ``policy hate``, ``policy hate, labeler kul-0007``."""
    pairs = zip(one.dimensions, one.key, strict=True)
    return ", ".join(f"{dimension} {value}" for dimension, value in pairs)


def parts_words(one: PartFinding) -> str:
    """Return rate, mix and interaction of a part: ``rate -1.2, mix +0.1, both 0.0 pp``."""
    return f"rate {points(one.rate_pp)}, mix {points(one.mix_pp)}, both {points(one.interaction_pp)} pp"


def points(value_pp: float, digits: int = 1) -> str:
    """Return percentage points with their sign; -0.0 is +0.0."""
    return f"{round(value_pp, digits) + 0.0:+.{digits}f}"


def why_words(one: PartFinding, noun: str = "audits") -> str:
    """Return in words how a part moved the whole; ``noun`` is what is counted."""
    if one.presence == "new":
        return f"was not there before: {_share(one.after)}"
    if one.presence == "gone":
        return f"is not there any more; it had {_share(one.before)}"
    parts = {"rate": one.rate_pp, "mix": one.mix_pp, "interaction": one.interaction_pp}
    leading = max(parts, key=lambda name: (abs(parts[name]), name))
    grew = "larger" if one.share_after > one.share_before else "smaller"
    share = f"{POINTS * one.share_before:.0f}% to {POINTS * one.share_after:.0f}% of the {noun}"
    if leading == "rate":
        return f"went from {_share(one.before)} to {_share(one.after)}"
    if leading == "mix":
        return f"became a {grew} share ({share}), at {_share(one.before)} before"
    return f"went from {_share(one.before)} to {_share(one.after)} as it became a {grew} share ({share})"


def _share(tally: RatioTally) -> str:
    return f"{POINTS * tally.share:.1f}% of {tally.total:,}" if tally.total else "none"


def summary(what: str, change: RatioChange, by: Iterable[list[PartFinding]], noun: str = "audits") -> list[str]:
    """Return the answer in plain words: what changed, then what moved it, one sentence per cut.

    Args:
        what: What is explained, as ``accuracy of vendor bpo-a``.
        change: The whole's change.
        by: Ranked findings, one list per cut.
        noun: What is counted.
    """
    before, after = change.before, change.after
    lines = [
        (
            f"{what}: {POINTS * after.share:.1f}% of {after.total:,} against "
            f"{POINTS * before.share:.1f}% of {before.total:,} before, {change.change_pp:+.1f} points "
            f"({change.low_pp:+.1f} to {change.high_pp:+.1f})"
        )
    ]
    if not change.evident:
        lines.append("This is within chance: the counts do not show that anything has changed.")
    lines += [_cut_words(cut, change, noun) for cut in by if cut]
    if change.evident:
        lines.append(SELECTED)
    return lines


def _cut_words(cut: list[PartFinding], change: RatioChange, noun: str) -> str:
    label = " and ".join(cut[0].dimensions)
    named = [one for one in cut if one.verdict == "evident" and one.key != (NOT_GIVEN,) * len(one.key)]
    down = [one for one in named if one.effect_pp * change.change_pp > 0][:MAX_NAMED]
    if not down:
        if any(one.verdict == "alike" for one in cut):
            return f"By {label}: no part moved it more than the others; all went the same way."
        few = sum(one.verdict == "few" for one in cut)
        rest = f"; {few} of {len(cut)} have too few {noun} to say" if few else ""
        return f"By {label}: no part moved it by more than chance would{rest}."
    told = "; ".join(f"{name_of(one)} ({one.effect_pp:+.1f} points) {why_words(one, noun)}" for one in down)
    others = sum(one.effect_pp for one in cut) - sum(one.effect_pp for one in down)
    return f"By {label}: {told}; everything else {others:+.1f} points."
