"""How far the errors of a scope scatter more than independent audits would: learnt from its own panes.

Audits done together are right or wrong together, so a hundred of them say less than a hundred. The *design effect* φ says
how much less: the variance of a pane's errors over that of independent ones (Kish, Survey Sampling, 1965). Days differ too: a
scope with many audits a day has a variance between days beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from streams.models.timestamps import DAY_MS

NANO = 1_000_000_000

ASSUMED = 1
"""In place of a weight: the audits say nothing of sampling and are assumed to be random. A weight 1/π is ``NANO`` at least."""

PHI_START = 3.4
"""φ of a scope that is not known yet: clusters of 25 audits with a correlation of .1, 1 + 24 · .1."""

LEAST_BLOCKS = 60
"""Blocks after which φ may fall below ``PHI_START``."""

DAY_FROM_UNITS = 1_000
"""Audits a day from which on days count as a component of the variance. Below, φ covers it."""

DAY_SPREAD = 0.4
"""Standard deviation between days before any is known, times the allowed share: 2 points at a target of 95%."""

_WORSE_BLOCKS = 20
"""Blocks after which φ may rise above ``PHI_START``."""

_DAY_PRIOR = 0.5
"""Weight of ``DAY_SPREAD``, in days, while there are two. It is 1/days after that, so that ten days hardly know the start."""
_DAY_LEAST_UNITS = 200
_Z_90 = 1.2815515655446004


class PaneClass(NamedTuple):
    """Audits of one pane that have one sampling probability π.

    Attributes:
        weight_nano: 1/π in 10⁻⁹; ``NANO`` for a full sample, and for due tasks; ``ASSUMED`` for audits of unknown π.
        units: Audits (or due tasks).
        bad: How many of them are wrong (or missed).
    """

    weight_nano: int
    units: int
    bad: int


class Sums(NamedTuple):
    """Sums over audits.

    Attributes:
        units: Audits.
        errors: Wrong ones.
        weight: Σw over all, w = 1/π.
        bad: Σw over wrong ones.
        weight2: Σw² over all.
        bad2: Σw² over wrong ones.
    """

    units: int = 0
    errors: int = 0
    weight: float = 0.0
    bad: float = 0.0
    weight2: float = 0.0
    bad2: float = 0.0


NO_SUMS = Sums()


class Dispersion(NamedTuple):
    """What is known of a scope's scatter, of constant size.

    Attributes:
        total: All audits learnt from.
        blocks: Blocks that are over: a pane with enough audits, or several that together have enough.
        squares: Σr² over blocks, r the errors of a block less those expected.
        chance: Σu, u the variance of r were its audits independent.
        squares2: Σr⁴.
        cross: Σr²u.
        chance2: Σu².
        before: The block before.
        steps: Σ of the squared difference of one block and the next, which a change of level shows in only once.
        step_chance: Σ of its variance were the audits independent.
        block: The block under way.
        day: Number of the day under way, in days since 1970 UTC.
        today: Its audits.
        days: Days that are over and had enough audits.
        day_units: Their audits.
        shares: Σp over them, p the weighted share of errors of a day.
        shares2: Σp².
        noise: Σ of the variance that p has for independent audits.
        assumed: Audits among all that are assumed to be random.
        panes: Panes learnt from.
    """

    total: Sums = NO_SUMS
    blocks: int = 0
    squares: float = 0.0
    chance: float = 0.0
    squares2: float = 0.0
    cross: float = 0.0
    chance2: float = 0.0
    before: Sums = NO_SUMS
    steps: float = 0.0
    step_chance: float = 0.0
    block: Sums = NO_SUMS
    day: int = -1
    today: Sums = NO_SUMS
    days: int = 0
    day_units: int = 0
    shares: float = 0.0
    shares2: float = 0.0
    noise: float = 0.0
    assumed: int = 0
    panes: int = 0


NOT_LEARNT = Dispersion()


class Temper(NamedTuple):
    """How much less the evidence of a pane counts.

    Attributes:
        phi: φ within days, 1 or more.
        day_phi: φ with the variance between days added; the same below ``DAY_FROM_UNITS`` audits a day.
        day_spread: Standard deviation of the share of errors between days; 0 below ``DAY_FROM_UNITS``.
    """

    phi: float
    day_phi: float
    day_spread: float


def sums_of(pane: Sequence[PaneClass], top_nano: int = 0) -> Sums:
    """Return the sums over a pane.

    Args:
        pane: Its audits by weight.
        top_nano: Weight of audits that are assumed to be random: that of the bets; 0 where no other was met.
    """
    units = errors = 0
    weight = bad = weight2 = bad2 = 0.0
    for weight_nano, count, wrong in pane:
        each = (weight_nano if weight_nano != ASSUMED else top_nano or NANO) / NANO
        units += count
        errors += wrong
        weight += each * count
        bad += each * wrong
        weight2 += each * each * count
        bad2 += each * each * wrong
    return Sums(units, errors, weight, bad, weight2, bad2)


def _plus(one: Sums, other: Sums) -> Sums:
    units, errors, weight, bad, weight2, bad2 = one
    more, wrong, more_weight, more_bad, more_weight2, more_bad2 = other
    return Sums(
        units + more,
        errors + wrong,
        weight + more_weight,
        bad + more_bad,
        weight2 + more_weight2,
        bad2 + more_bad2,
    )


def learn(known: Dispersion, pane_ms: int, pane: Sequence[PaneClass], allowed: float, top_nano: int = 0) -> Dispersion:
    """Return what is known after one more pane.

    A block is over when its audits weigh as much as ``1/(2·allowed)`` equal ones: 10 at a target of 95%.

    Source: r and u as for the variance of a ratio from clusters (Kish 1965; Rao, Scott, Annals of Statistics 12, 1984).

    Args:
        known: What was known before.
        pane_ms: Start of the pane, after all panes before.
        pane: The pane, not empty.
        allowed: Allowed share of errors, in (0, 1).
        top_nano: Weight of audits that are assumed to be random; see ``sums_of``.
    """
    pane_sums = sums_of(pane, top_nano)
    day = pane_ms // DAY_MS
    if day != known.day:
        known = _close_day(known, allowed)._replace(day=day, today=NO_SUMS)
    assumed = known.assumed + sum([units for weight_nano, units, _ in pane if weight_nano == ASSUMED])
    block = _plus(known.block, pane_sums)
    total, today = _plus(known.total, pane_sums), _plus(known.today, pane_sums)
    known = known._replace(total=total, today=today, block=block, assumed=assumed, panes=known.panes + 1)
    if block.weight * block.weight * 2.0 * allowed < block.weight2:
        return known
    share, variance = _level(known.total, allowed)
    known = _step(known, block, variance)
    chance = block.weight2 * variance
    if _per_day(known) > DAY_FROM_UNITS:
        # The day's own level is not scatter within it: compare with the day so far, whose share scatters too.
        before = known.today.weight - block.weight
        if before < block.weight:
            return known._replace(block=NO_SUMS)
        share = (known.today.bad - block.bad) / before
        chance *= 1.0 + block.weight / before
    square = (block.bad - share * block.weight) ** 2
    return known._replace(
        blocks=known.blocks + 1,
        squares=known.squares + square,
        chance=known.chance + chance,
        squares2=known.squares2 + square * square,
        cross=known.cross + square * chance,
        chance2=known.chance2 + chance * chance,
        block=NO_SUMS,
    )


def scaled(known: Dispersion, factor: float) -> Dispersion:
    """Return what is known in a unit of weight that is ``factor`` times as small.

    Audits that are assumed to be random weigh as much as the heaviest of the others. When a heavier one comes, those before
    are raised with it: else all that was learnt of them would be lost in what comes.

    Args:
        known: What is known.
        factor: The greatest weight now over the greatest before.
    """
    two, four = factor**2, factor**4
    return known._replace(
        total=_scaled(known.total, factor),
        before=_scaled(known.before, factor),
        block=_scaled(known.block, factor),
        today=_scaled(known.today, factor),
        squares=known.squares * two,
        chance=known.chance * two,
        squares2=known.squares2 * four,
        cross=known.cross * four,
        chance2=known.chance2 * four,
        steps=known.steps * two,
        step_chance=known.step_chance * two,
    )


def _scaled(one: Sums, factor: float) -> Sums:
    two = factor**2
    return one._replace(
        weight=one.weight * factor, bad=one.bad * factor, weight2=one.weight2 * two, bad2=one.bad2 * two
    )


def _level(total: Sums, allowed: float) -> tuple[float, float]:
    """Return (share of errors, variance of one audit's error per w²), shrunk by 1/allowed audits on target."""
    units = 1.0 / allowed
    prior, prior2 = units * total.weight / total.units, units * total.weight2 / total.units
    share = (total.bad + allowed * prior) / (total.weight + prior)
    bad2, weight2 = total.bad2 + allowed * prior2, total.weight2 + prior2
    return share, (bad2 * (1.0 - 2.0 * share) + share * share * weight2) / weight2


def _step(known: Dispersion, block: Sums, variance: float) -> Dispersion:
    """Compare a block with the one before (von Neumann, Annals of Mathematical Statistics 12, 1941)."""
    last = known.before
    if not last.units:
        return known._replace(before=block)
    both = block.weight + last.weight
    apart = (block.bad * last.weight - last.bad * block.weight) / both
    chance = variance * (block.weight2 * last.weight * last.weight + last.weight2 * block.weight * block.weight)
    return known._replace(
        before=block, steps=known.steps + apart * apart, step_chance=known.step_chance + chance / (both * both)
    )


def _per_day(known: Dispersion) -> float:
    """Return the audits a day: the mean of the days that are over, or those of today if they are more.

    Until a day with at least ``_DAY_LEAST_UNITS`` audits is over, a fifth of those of today: ``PHI_START`` stands for the variance
    between days of a scope that is new and not very large.
    """
    if not known.days:
        return known.today.units / 5.0
    return max(known.day_units / known.days, float(known.today.units))


def _close_day(known: Dispersion, allowed: float) -> Dispersion:
    today = known.today
    if today.units < _DAY_LEAST_UNITS:
        return known
    _, variance = _level(known.total, allowed)
    share = today.bad / today.weight
    return known._replace(
        days=known.days + 1,
        day_units=known.day_units + today.units,
        shares=known.shares + share,
        shares2=known.shares2 + share * share,
        noise=known.noise + today.weight2 * variance / (today.weight * today.weight),
    )


def phi_of(known: Dispersion) -> float:
    """Return φ within days: ``PHI_START`` until there are enough blocks, then the upper end of its one-sided 90% interval.

    Before, φ may only rise, by what the differences of one block and the next say: in a scope that is new, a drop would otherwise
    pass for scatter. Then φ̂ = Σr²/Σu; log φ̂ is taken as normal with the variance of a ratio from clusters, and at least with that of a
    chi-square on the blocks plus the part that comes of few errors.

    Source: the ratio estimator's linearisation (Cochran, Sampling Techniques, 1977, 2.9); 2/m + φ/errors for counts
    (McCullagh, Nelder, Generalized Linear Models, 1989, 4.5).
    """
    if known.blocks < LEAST_BLOCKS:
        sure = known.blocks >= _WORSE_BLOCKS and known.step_chance > 0.0
        return max(PHI_START, known.steps / known.step_chance) if sure else PHI_START
    ratio = _phi_estimate(known)
    return max(1.0, ratio * math.exp(_Z_90 * math.sqrt(_log_variance(known, ratio))))


def _phi_estimate(known: Dispersion) -> float:
    return max(1.0, known.squares / known.chance) if known.chance > 0.0 else 1.0


def _log_variance(known: Dispersion, ratio: float) -> float:
    residual = known.squares2 - 2.0 * ratio * known.cross + ratio * ratio * known.chance2
    found = max(0.0, residual) / (ratio * known.chance) ** 2
    return max(found, 2.0 / known.blocks + ratio / (known.total.errors + 1.0))


def temper_of(known: Dispersion, allowed: float) -> Temper:
    """Return how much less the evidence of the next pane counts. It never looks at that pane.

    The variance between days is that of the days' shares less what chance alone makes, shrunk to ``DAY_SPREAD`` (``_DAY_PRIOR``).

    Source: one-way random effects by moments (Cochran, Biometrics 10, 1954).

    Args:
        known: What the panes before have shown.
        allowed: Allowed share of errors, in (0, 1).
    """
    phi = phi_of(known)
    per_day = _per_day(known)
    if per_day <= DAY_FROM_UNITS:
        return Temper(phi, phi, 0.0)
    degrees = min(_DAY_PRIOR, 1.0 / max(1, known.days))
    variance = degrees * (DAY_SPREAD * allowed) ** 2
    if known.days > 1:
        between = known.shares2 - known.shares * known.shares / known.days
        by_chance = _phi_estimate(known) * known.noise * (known.days - 1) / known.days
        variance += max(0.0, between - by_chance)
        degrees += known.days - 1
    variance /= degrees
    total = known.total
    equal = per_day * total.weight * total.weight / (total.weight2 * total.units)
    return Temper(phi, phi + equal * variance / (allowed * (1.0 - allowed)), math.sqrt(variance))
