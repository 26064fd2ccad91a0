"""Bets: turn an observation into betting factors, by kind of number."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streams.core.detectors.awaited import NOTHING_AWAITED, Awaited
from streams.core.detectors.dispersion import (
    ASSUMED,
    NANO,
    NOT_LEARNT,
    Dispersion,
    PaneClass,
    learn,
    phi_of,
    temper_of,
)
from streams.core.detectors.summary import DetectorStep, Summary, on_grid, summarise, summarise_one
from streams.models.timestamps import DAY_MS

ACCURACY_RATIOS = (1.3, 1.6, 2.0, 3.0, 5.0)
"""How many times the allowed error share each accuracy bet is made for."""

DUE_RATIOS = (1.3, 1.6, 2.0, 3.0)
"""The same for due tasks. Those of a quarter are late together, so that a bet for five times as many would win by chance."""

CRITICAL_RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""The same for critical errors, which are rarer and jump further."""

STILL_BAD = 1.3
"""Times the allowed share from which on work is still bad, so that an alarm must not end."""

BACK_TO_GOOD = 0.7
"""Times the allowed share at which work is surely good again."""

RESOLVE_NATS = math.log(100.0)
"""Log likelihood ratio of "good again" against "still bad" that ends an alarm on a share.

Page's CUSUM with it ends an alarm wrongly at most once in 100 periods on average (Lorden, Annals of Mathematical Statistics 42,
1971); a period is a day of audits, and an hour of due tasks.
"""

RESOLVE_COUNT_NATS = 4.0
"""Log likelihood ratio of "as expected" against "70% of it" that resolves a throughput alarm: 55 to 1."""

DAYS_ABOVE = 1.1
"""How far above the allowed share the days of a scope of many audits may lie, in their standard deviations, without an alarm."""

_RAISED_STEPS = 64
_MOST_NATS = 230.0
"""e to this is 1e100."""

_SMALL = 0.5
"""Panes of due tasks with less than this share of the usual number weigh less, by as much."""

_LOGS_LIMIT = 4096
_SINCE_RATIO = 2.0

Logs = tuple[tuple[float, float], ...]
"""Per bet, the log of the factor of a wrong audit and of a right one."""


def merge_classes(classes: Iterable[PaneClass]) -> tuple[PaneClass, ...]:
    """Return classes in order of their weight, with those of one weight added up and empty ones left out."""
    found: dict[int, tuple[int, int]] = {}
    for weight_nano, units, bad in classes:
        held = found.get(weight_nano, (0, 0))
        found[weight_nano] = held[0] + units, held[1] + bad
    return tuple([PaneClass(weight, *found[weight]) for weight in sorted(found) if found[weight][0] > 0])


@dataclass(frozen=True, slots=True)
class ShareBets:
    """Bets against "the item-weighted share of bad outcomes is at most ``allowed``".

    An audit's factor is F_k = 1 + λ_k·w·(x - q0) with q0 the allowed share, λ_k = (q1_k/q0 - 1)/(1 - q0) and w = π_min/π: the
    likelihood ratio of a share q1_k against q0 where all weights are equal, of mean at most 1 while the share is at most q0
    (arXiv 2010.09686; the weights make the sampled mean that of the population, as in Horvitz and Thompson 1952).

    Audits that say nothing of sampling are assumed to be a random sample of the scope's labels. Each is wrong with a chance of at most
    q0 on target, so its factor has mean at most 1 with any fixed w in [0, 1]; w = 1 bets most. How an audit was drawn is known
    before its outcome, so the two classes may be multiplied: each factor has mean at most 1 given all before it, and so has the
    product (Ville 1939; Shafer, Vovk, Game-Theoretic Foundations for Probability and Finance, 2019, chapter 2).
    The weights of one class say nothing of the other: 1/π_min of the audits that name π must not make the others count less.

    A pane's factor is the product over its audits, whoever made the labels, to the power 1/φ: audits of a pane are right or wrong
    together, and φ says how much less they weigh (``dispersion``; the power of a likelihood as in Bissiri, Holmes, Walker, A
    general framework for updating belief distributions, JRSS-B 78, 2016; quasi-likelihood: Wedderburn 1974).

    Each bet is made twice. Where days count (``dispersion.DAY_FROM_UNITS``), once with φ raised by the variance between days:
    slow and for any lasting shift; and once against a share that a usual bad day does not pass: fast and for large ones.

    Attributes:
        allowed: q0, in (0, 1).
        ratios: q1/q0 of each bet.
        since_bad: What a bad unit adds to the since-counter; every unit takes 1 away.
        resolve_level: Log likelihood ratio of recovery that ends an alarm.
        period_ms: After how long recovery is looked at: at the end of each day, or hour.
        per_unit: Whether the bar counts units (audits); else it counts panes (quarters of due tasks).
        top_nano: Greatest weight 1/π there can be, in 10⁻⁹ (1/π_min); 0 takes the greatest one met so far.
    """

    allowed: float
    ratios: tuple[float, ...]
    since_bad: float
    resolve_level: float = RESOLVE_NATS
    period_ms: int = DAY_MS
    per_unit: bool = True
    top_nano: int = 0
    _known: dict[tuple[int, int, float, float], Logs] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        allowed: float,
        ratios: Sequence[float] = ACCURACY_RATIOS,
        *,
        period_ms: int = DAY_MS,
        per_unit: bool = True,
        top_nano: int = 0,
    ) -> ShareBets:
        """Make the bets for an allowed share.

        The since-counter is Page's CUSUM for twice the allowed share, scaled so that a good unit takes 1 away: 13 for a
        bad one at 5% (E. S. Page, Continuous inspection schemes, Biometrika 41, 1954).

        Args:
            allowed: q0, in (0, 1): 1 - target.
            ratios: q1/q0 of each bet, above 1; q1 is kept half way below certainty.
            period_ms: After how long recovery is looked at.
            per_unit: Whether the bar counts units; else panes.
            top_nano: 1/π_min in 10⁻⁹ where the sampling plan says it, else 0.

        Raises:
            ValueError: ``allowed`` or a ratio out of range.

        Example:
            >>> bets = ShareBets.of(0.05)
            >>> round(bets.since_bad - 1), [round(x, 2) for x in bets.lambdas]
            (13, [0.32, 0.63, 1.05, 2.11, 4.21])
        """
        if not 0.0 < allowed < 1.0:
            raise ValueError(f"allowed share {allowed}: write a target between 0 and 1, ends excluded")
        if not ratios or min(ratios) <= 1.0:
            raise ValueError(f"ratios {tuple(ratios)}: a bet needs a share above the allowed one")
        odd = _far(allowed, _SINCE_RATIO)
        up = max(1, round(math.log(odd / allowed) / math.log((1.0 - allowed) / (1.0 - odd))))
        return cls(allowed, tuple(ratios), up + 1.0, RESOLVE_NATS, period_ms, per_unit, top_nano)

    @property
    def lambdas(self) -> tuple[float, ...]:
        """λ_k of each bet.

        Source: the class.
        """
        return _lambdas(self.allowed, self.ratios)

    @property
    def bets(self) -> int:
        """Number of factors: each bet twice."""
        return 2 * len(self.ratios)

    def top_of(self, pane: Sequence[PaneClass]) -> int:
        """Return the greatest weight of a pane in 10⁻⁹: that of the sampling plan where one is given."""
        held = (each.weight_nano for each in pane if each.weight_nano != ASSUMED)
        return self.top_nano or max(held, default=0)

    def learn(self, known: Dispersion, pane_ms: int, pane: Sequence[PaneClass], top_nano: int = 0) -> Dispersion:
        """Return what is known of the scope's scatter after a pane."""
        return learn(known, pane_ms, pane, self.allowed, top_nano) if pane else known

    def phi(self, known: Dispersion) -> float:
        """Return φ within days, by what is known."""
        return phi_of(known)

    def logs(self, pane: Sequence[PaneClass], top_nano: int, allowed: float | None = None) -> list[float]:
        """Return, per bet, the log of the product of the factors of a pane's audits, not tempered.

        Source: the class.

        Args:
            pane: Its audits by weight.
            top_nano: The weight that counts as 1; greater ones are cut to it.
            allowed: Allowed share, if not q0.
        """
        against = self.allowed if allowed is None else allowed
        found = [0.0] * len(self.ratios)
        for weight_nano, units, bad in pane:
            each = self._logs_of(weight_nano, top_nano, against)
            good = units - bad
            found = [log + bad * wrong + good * right for log, (wrong, right) in zip(found, each, strict=True)]
        return found

    def _logs_of(self, weight_nano: int, top_nano: int, allowed: float) -> Logs:
        key = (weight_nano, top_nano, allowed, 0.0)
        held = self._known.get(key)
        if held is None:
            weight = _weight(weight_nano, top_nano)
            held = tuple(
                [
                    (math.log1p(bet * weight * (1.0 - allowed)), math.log1p(-bet * weight * allowed))
                    for bet in _lambdas(allowed, self.ratios)
                ]
            )
            self._keep(key, held)
        return held

    def _keep(self, key: tuple[int, int, float, float], logs: Logs) -> None:
        if len(self._known) >= _LOGS_LIMIT:
            self._known.clear()
        self._known[key] = logs

    def await_audits(
        self, before: Awaited, pane: Sequence[PaneClass], labels: float, top_nano: int, known: Dispersion
    ) -> Awaited:
        """Return which labels await their audits after a pane.

        Flagged work may be audited days before the rest. The share of wrong labels is at most q0 only over all of it, so labels
        that the audits do not stand for yet count as right: as so many right audits of their weight, tempered as the pane is.
        How far the weights 1/π fall behind the labels is a CUSUM, which the chance of the draw leaves near 0 (Page, Biometrika 41,
        1954). An audit that is assumed to be random stands for all the labels that are left.

        Args:
            before: What was awaited before it.
            pane: Its audits by weight.
            labels: Its labels for which audits are expected to stand.
            top_nano: The weight that counts as 1.
            known: What the panes before have shown of the scope's scatter.
        """
        if not top_nano or any(each.weight_nano == ASSUMED for each in pane):
            return NOTHING_AWAITED
        more = labels - sum([each.weight_nano * each.units for each in pane]) / NANO
        awaited = before.labels + more
        if awaited <= 0.0:
            return NOTHING_AWAITED
        if more <= 0.0:
            return Awaited(awaited, tuple([log * awaited / before.labels for log in before.logs]))
        temper = temper_of(known, self.allowed)
        audits = more * NANO / top_nano
        right = [math.log1p(-bet * self.allowed) * audits for bet in self.lambdas]
        logs = [log / phi for phi in (temper.day_phi, temper.phi) for log in right]
        return Awaited(awaited, tuple(map(operator.add, logs, before.logs) if before.logs else logs))

    def _recovery(self, pane: Sequence[PaneClass], top_nano: int, fired_bet: int) -> float:
        """Return the log likelihood ratio of "good again" against "still bad", not tempered.

        Bad is ``STILL_BAD`` times the allowed share, or half way back from the share that the alarm's best bet was for.
        """
        q0 = self.allowed
        still = min(max(STILL_BAD * q0, (q0 + _far(q0, self.ratios[fired_bet])) / 2.0), (1.0 + q0) / 2.0)
        total = 0.0
        for weight_nano, units, bad in pane:
            key = (weight_nano, top_nano, still, 1.0)
            held = self._known.get(key)
            if held is None:
                weight = _weight(weight_nano, top_nano)
                bet = weight * (1.0 - BACK_TO_GOOD * q0 / still) / (1.0 - still)
                held = ((math.log1p(-bet * (1.0 - still)), math.log1p(bet * still)),)
                self._keep(key, held)
            wrong, right = held[0]
            total += bad * wrong + (units - bad) * right
        return total

    def too_few(self, known: Dispersion) -> bool:
        """Whether audits as many as these could not show a recovery even if all were right.

        Source: units·log((1 - 0.7·q0)/(1 - 1.3·q0))/φ below the level of the CUSUM.
        """
        still = min(STILL_BAD * self.allowed, (1.0 + self.allowed) / 2.0)
        each = math.log((1.0 - BACK_TO_GOOD * self.allowed) / (1.0 - still))
        return known.total.units * each / phi_of(known) < self.resolve_level

    def summarise(
        self,
        pane_ms: int,
        pane: Sequence[PaneClass],
        top_nano: int,
        known: Dispersion = NOT_LEARNT,
        fired_bet: int = 0,
    ) -> Summary:
        """Summarise one pane.

        Its audits start ``units/φ`` bets (at least one): R ← (start + R)·F, so that R less the audits so far has no drift while
        the target is met, and the bar counts audits (arXiv 2203.03532 with a start per audit). Where it counts panes, a pane starts
        one bet. A pane with less than half of the usual units is tempered by so much more, and starts so much less: else a night
        of few tasks, late as every night, would count as much as the day that it is a small part of.

        Args:
            pane_ms: Start of the pane.
            pane: Its audits by weight.
            top_nano: The weight that counts as 1.
            known: What the panes before have shown of the scope's scatter.
            fired_bet: Number of the best bet when the open alarm fired.
        """
        if not pane:
            return summarise(pane_ms, (), self.bets)
        temper = temper_of(known, self.allowed)
        plain = self.logs(pane, top_nano)
        raised = plain
        if temper.day_spread:
            steps = math.ceil(DAYS_ABOVE * temper.day_spread / self.allowed * _RAISED_STEPS)
            above = max(self.allowed, min(0.9, self.allowed * (1.0 + steps / _RAISED_STEPS)))
            raised = self.logs(pane, top_nano, above)
        units = sum([each.units for each in pane])
        small = 1.0 if self.per_unit else _small(units, known)
        phi, day_phi = temper.phi / small, temper.day_phi / small
        factors = [math.exp(each if (each := log / day_phi) < _MOST_NATS else _MOST_NATS) for log in plain]
        factors += [math.exp(each if (each := log / phi) < _MOST_NATS else _MOST_NATS) for log in raised]
        bad, since = 0, 0.0
        for weight_nano, count, wrong in pane:
            bad += wrong
            since += _weight(weight_nano, top_nano) * (self.since_bad * wrong - count)
        better = on_grid(self._recovery(pane, top_nano, fired_bet) / day_phi)
        step = DetectorStep(tuple(factors), on_grid(since), better, units, bad)
        return summarise_one(pane_ms, step, max(1.0, units / phi) if self.per_unit else small)


def _weight(weight_nano: int, top_nano: int) -> float:
    """Return w of a class, in (0, 1]: 1 for audits that are assumed to be random.

    Source: ``ShareBets``.
    """
    return 1.0 if weight_nano == ASSUMED else min(weight_nano, top_nano) / top_nano


def _small(units: int, known: Dispersion) -> float:
    """Return 1, or how far the units of a pane lie below half of the mean of the panes before."""
    usual = known.total.units / known.panes if known.panes else 0.0
    return min(1.0, units / (_SMALL * usual)) if usual else 1.0


def _far(allowed: float, ratio: float) -> float:
    """Return so many times the allowed share, at most half way to certainty."""
    return min(ratio * allowed, (1.0 + allowed) / 2.0)


def _lambdas(allowed: float, ratios: Sequence[float]) -> tuple[float, ...]:
    return tuple([(_far(allowed, ratio) / allowed - 1.0) / (1.0 - allowed) for ratio in ratios])
