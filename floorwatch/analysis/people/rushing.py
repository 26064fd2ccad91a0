"""Rushing: somebody got faster against peers on the same mix, and fast labels are wrong more often.

Being fast is not a fault, but it is a risk where fast labels are wrong more often. So two things are measured
separately, and only both together are called rushing.

*Shift.* d = median over own labels of ln(handle time / peers' median on the same queue and policy), now and in a
reference period. shift = d_now − d_reference, less what the learning curve expects of somebody new. Peers are taken in
each period, so a new tool or easier content that makes everybody faster is not a shift. The error joins the McKean–Schrader
errors of both medians (McKean, Schrader 1984), z = shift / error.

*Error risk.* A label is fast below half of peers' median on the same work. The Mantel–Haenszel risk ratio (Mantel,
Haenszel 1959) over kinds of work says how many times as often fast labels are wrong as the others: over the person's own
audits where they suffice, else over everybody's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from floorwatch.analysis.people.learning import Curve, Tenure
from floorwatch.analysis.people.peers import LOG_GAMMA, Tallies, log_ratio, middle_of
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.standing_labels import Mix, StandingLabel
from streams.core import counters as c
from streams.core.policy import DAY_MS
from streams.core.proportions import Interval, Stratum, risk_ratio


class Pace(str, Enum):
    """What can be said of somebody's pace."""

    too_few = "too_few"
    steady = "steady"
    slower = "slower"
    faster = "faster"
    """Faster, and nothing shows that it costs errors."""
    rushing = "rushing"
    """Faster, and fast labels are wrong more often."""


class PaceChange(NamedTuple):
    """How the handle time moved against peers on the same mix.

    Attributes:
        ratio: exp(shift): 0.8 is 20% faster than before, mix, peers and learning allowed for.
        z: The shift in standard errors; negative is faster.
        now: Labels compared now.
        reference: Labels compared before.
        learned_ratio: What the learning curve expected alone; 1.0 for the established.
    """

    ratio: float
    z: float
    now: int
    reference: int
    learned_ratio: float


class Rushing(NamedTuple):
    """Pace and the evidence for it.

    Attributes:
        pace: The verdict.
        shift: None where too few labels can be compared.
        risk: Risk ratio of fast labels with its 95% interval; None where nothing can be said.
        own_risk: The risk ratio is of the person's own audits, not of everybody's.
        fast_share: Share of the compared labels now that are fast.
    """

    pace: Pace
    shift: PaceChange | None
    risk: Interval | None
    own_risk: bool
    fast_share: float | None


def handle_shift(
    now: tuple[Tallies, Tallies], reference: tuple[Tallies, Tallies], policy: PeoplePolicy, learned_log: float = 0.0
) -> PaceChange | None:
    """Return the shift of handle time against peers: a difference in differences of log ratios.

    ln(own/peers) now less the same before, so that what everybody's tool, mix or season did drops out (Card, Krueger, American
    Economic Review 84, 1994); errors of independent parts add in squares.

    Args:
        now: Own tallies and peers' in the period looked at.
        reference: The same in an earlier period.
        policy: ``min_rush_labels``, ``min_peer_labels``.
        learned_log: Change of ln(handle time) that the learning curve expects, 0 or less.

    Returns:
        The shift; None where either period has too few comparable labels.
    """
    here = log_ratio(*now, policy.min_peer_labels)
    there = log_ratio(*reference, policy.min_peer_labels)
    if here is None or there is None or min(here.size, there.size) < policy.min_rush_labels:
        return None
    shift_log = here.value - there.value - learned_log
    error = math.hypot(here.error, there.error)
    return PaceChange(math.exp(shift_log), shift_log / error, here.size, there.size, math.exp(learned_log))


def learned_between(curve: Curve | None, tenure: Tenure, now: int, reference: int) -> float:
    """Return the change of ln(handle time) that practice alone explains between two periods; 0 without a curve.

    It compares the curve (source: ``learning``) at the middle label of each period.

    Args:
        curve: Curve of handle time, or None.
        tenure: The person's, as of the end of the present period.
        now: Labels in the present period, the last of the tenure.
        reference: Labels in the reference period, just before.
    """
    if curve is None or not tenure.exact:
        return 0.0
    later, earlier = tenure.labels - now / 2, tenure.labels - now - reference / 2
    if earlier < 1:
        return 0.0
    return min(0.0, math.log(curve.at(later) / curve.at(earlier)))


def fast_limits(peers: Tallies, policy: PeoplePolicy) -> dict[Mix, float]:
    """Return, per kind of work, the handle time in ms below which a label is fast."""
    found: dict[Mix, float] = {}
    for mix, tally in peers.items():
        if tally.handled < max(1, policy.min_peer_labels):
            continue
        middle = middle_of((bucket * LOG_GAMMA, count) for bucket, count in tally.buckets.items())
        if middle is not None:
            found[mix] = policy.fast_ratio * c.bucket_value_ms(round(middle.value / LOG_GAMMA))
    return found


def fast_strata(works: Iterable[StandingLabel], limits: dict[Mix, float]) -> list[Stratum]:
    """Return wrong and judged of fast and other labels per kind of work, without technical errors and targeted audits.

    Auditors pick fast labels that look wrong, so targeted audits would say that speed costs errors where it does not.
    """
    counts: dict[Mix, list[int]] = {}
    for work in works:
        if work.judged is None or work.handle_ms is None or not _compared(work, limits):
            continue
        held = counts.setdefault(work.mix, [0, 0, 0, 0])
        at = 0 if work.handle_ms < limits[work.mix] else 2
        held[at] += work.judged.wrong
        held[at + 1] += 1
    return [Stratum(*held) for _, held in sorted(counts.items())]


def fast_risk(
    works: Iterable[StandingLabel], limits: dict[Mix, float], policy: PeoplePolicy, correlation: float = 0.0
) -> Interval | None:
    """Return how many times as often fast labels are wrong; None with too few errors on either side.

    The interval allows for fast labels that all fall on days that are bad anyway: it is that of labels of which all of one person
    and day are on one side (Kish, Survey Sampling, 1965, section 5.4).

    Args:
        works: Labels, of one person or of several.
        limits: Below which handle time a label is fast.
        policy: Bounds.
        correlation: Of errors of one person on one day.
    """
    kept = [work for work in works if _compared(work, limits)]
    strata = fast_strata(kept, limits)
    fewest = min(sum(item.fast_wrong for item in strata), sum(item.other_wrong for item in strata))
    if fewest < policy.min_risk_errors:
        return None
    days = Counter((work.labeler_id, work.time_ms // DAY_MS) for work in kept)
    size = sum(count * count for count in days.values()) / len(kept)
    return risk_ratio(strata, 1 + (size - 1) * correlation)


def _compared(work: StandingLabel, limits: dict[Mix, float]) -> bool:
    verdict = work.judged
    if work.mix not in limits or work.handle_ms is None or verdict is None:
        return False
    return not verdict.technical and not verdict.targeted


def fast_share(works: Iterable[StandingLabel], limits: dict[Mix, float]) -> float | None:
    """Return which share of the labels that can be compared is fast."""
    fast, total = 0, 0
    for work in works:
        limit_ms = limits.get(work.mix)
        if limit_ms is not None and work.handle_ms is not None:
            total += 1
            fast += work.handle_ms < limit_ms
    return fast / total if total else None


def judge(shift: PaceChange | None, own: Interval | None, everybody: Interval | None, policy: PeoplePolicy) -> Pace:
    """Return the verdict on somebody's pace.

    Args:
        shift: The shift of handle time.
        own: Risk ratio of the person's own fast labels. Where its interval excludes 1 it decides, either way.
        everybody: Risk ratio of everybody's fast labels on the same work.
        policy: ``rush_shift_log``, ``rush_z``.
    """
    if shift is None:
        return Pace.too_few
    if abs(shift.z) < policy.rush_z or abs(math.log(shift.ratio)) < -policy.rush_shift_log:
        return Pace.steady
    if shift.ratio > 1:
        return Pace.slower
    risk = own if own is not None and not own.low <= 1.0 <= own.high else everybody
    return Pace.rushing if risk is not None and risk.low > 1.0 else Pace.faster


class Period(NamedTuple):
    """One person's labels and everybody else's in one period."""

    works: list[StandingLabel]
    tallies: Tallies
    peers: Tallies


def rushing(
    now: Period,
    reference: Period,
    everybody: Interval | None,
    learned_log: float,
    policy: PeoplePolicy,
    correlation: float = 0.0,
) -> Rushing:
    """Return whether somebody rushes, with the evidence.

    Args:
        now: The period looked at.
        reference: An earlier one.
        everybody: Risk ratio of fast labels over the whole floor.
        learned_log: See ``handle_shift``.
        policy: Bounds.
        correlation: Of errors of one person on one day.
    """
    shift = handle_shift((now.tallies, now.peers), (reference.tallies, reference.peers), policy, learned_log)
    limits = fast_limits(now.peers, policy)
    own = fast_risk([*reference.works, *now.works], limits, policy, correlation)
    decisive = own is not None and not own.low <= 1.0 <= own.high
    return Rushing(
        judge(shift, own, everybody, policy),
        shift,
        own if decisive else everybody,
        decisive,
        fast_share(now.works, limits),
    )
