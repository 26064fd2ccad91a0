"""The scorecard of one labeller: every number with its uncertainty, compared with people on the same work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from floorwatch.analysis.people.coaching import Coaching, Told, coaching_of
from floorwatch.analysis.people.coaching_evidence import CoachingEvidence, evidence_of
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.exposure import Exposure, exposure_of, pieces_of
from floorwatch.analysis.people.learning import Curve, Tenure
from floorwatch.analysis.people.peers import HandleAgainstPeers, expected_accuracy, handle_against_peers
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.rushing import Rushing, learned_between, rushing
from floorwatch.analysis.people.sampled import SampledAudits, change_between
from floorwatch.analysis.people.standing_labels import StandingLabel
from streams.core.binomial import Limits, exact_limits
from streams.core.policy import HOUR_MS
from streams.core.proportions import (
    Interval,
    Trend,
    proportion,
    share_trend,
    trials_for,
)

TREND_STEPS = 7


class TargetStanding(str, Enum):
    """What can be said of an accuracy against the target."""

    too_few = "too_few"
    below = "below"
    on_target = "on_target"
    unclear = "unclear"
    """Enough audits for an interval, and the target lies inside it."""


class Accuracy(NamedTuple):
    """Accuracy of one person's audited labels; technical errors are in no part of it.

    Attributes:
        judged: Audited labels.
        correct: Right ones.
        raw: correct/judged with its 95% interval.
        drawn: The same over labels that were drawn at random, each counted alike.
        weighted: Hájek's with its 95% interval, over audits whose sampling probability is known.
        effective: How many plain audits the weighted one is worth.
        targeted: Labels that no audit drew at random, picked because something looked wrong: in ``raw`` only.
        targeted_correct: Of these, labels that were right.
        technical: Audited labels with technical errors, left out.
        gold: (correct, judged) on tasks whose answer was known; they are in ``raw`` too.
        standing: What can be said, by the limits to judge by: of ``weighted`` where any sampling probability is known, even
            if those audits are too few, for targeted ones are no sample; else of those assumed to be random.
        by_weight: ``standing`` is of the weighted one.
        missing: About how many more audits an interval of ±``wanted_half_width_ratio`` takes.
    """

    judged: int
    correct: int
    raw: Interval | None
    drawn: Interval | None
    weighted: Interval | None
    effective: float
    targeted: int
    targeted_correct: int
    technical: int
    gold: tuple[int, int]
    standing: TargetStanding
    by_weight: bool
    missing: int

    @property
    def best(self) -> Interval | None:
        """The estimate that ``standing`` is of."""
        return self.weighted if self.by_weight else self.drawn


class Volume(NamedTuple):
    """How much somebody did in the window.

    Attributes:
        labels: Standing labels.
        hours: Hours of the clock in which there was at least one.
        per_productive_hour: Timed labels per hour of handle time; None without times.
    """

    labels: int
    hours: int
    per_productive_hour: float | None


class AccuracyTrend(NamedTuple):
    """How the accuracy moves.

    Attributes:
        before: (correct, judged) in the window before, of the audits that count.
        change: Since then, with the 95% interval to judge by.
        within: Trend over the window in seven steps.
    """

    before: tuple[int, int]
    change: Interval | None
    within: Trend | None


class Learning(NamedTuple):
    """What peers' learning curves expect of somebody new; parts are None where no curve could be fitted."""

    handle: Curve | None
    errors: Curve | None
    expected_handle_ratio: float | None
    expected_accuracy: float | None


class Scorecard(NamedTuple):
    """Everything said of one labeller; see the parts."""

    labeler_id: str
    team: str
    site: str
    vendor: str
    start_ms: int
    end_ms: int
    tenure: Tenure
    volume: Volume
    accuracy: Accuracy
    peers: int
    like_tenure: bool
    peers_accuracy: float | None
    handle: HandleAgainstPeers | None
    learning: Learning | None
    trend: AccuracyTrend
    rushing: Rushing
    evidence: CoachingEvidence
    exposure: Exposure
    coaching: Coaching


def accuracy_of(works: Iterable[StandingLabel], policy: PeoplePolicy) -> Accuracy:
    """Return the accuracy of some labels and what can be said of it."""
    judged, correct, technical, gold, gold_correct = 0, 0, 0, 0, 0
    targeted, targeted_correct = 0, 0
    sums = SampledAudits()
    for work in works:
        verdict = work.judged
        if verdict is None:
            continue
        if verdict.technical:
            technical += 1
            continue
        right = not verdict.wrong
        judged += 1
        correct += right
        picked = not verdict.weight_nano and not verdict.assumed
        targeted += picked
        targeted_correct += right and picked
        sums.add(verdict)
        if verdict.gold:
            gold += 1
            gold_correct += right
    raw = proportion(correct, judged)
    found = sums.share(weighted=True)
    weighted, effective = (found.estimate, found.worth) if found is not None else (None, 0.0)
    by_weight = found is not None
    # Of labels picked because something looked wrong nothing can be concluded about the rest.
    count, right_count = judged - targeted, correct - targeted_correct
    drawn = proportion(right_count, count)
    best, size = (weighted, effective) if by_weight else (drawn, float(count))
    missing = _missing(best, size, policy)
    limits = found.limits() if found is not None else exact_limits(right_count, count)
    standing = standing_of(limits, size, policy)
    gold_counts = (gold_correct, gold)
    without = (targeted, targeted_correct)
    return Accuracy(
        judged, correct, raw, drawn, weighted, effective, *without, technical, gold_counts, standing, by_weight, missing
    )


def _missing(best: Interval | None, size: float, policy: PeoplePolicy) -> int:
    # Two right and two wrong are added (Agresti & Coull 1998), because no errors so far does not mean that there will
    # be none.
    share = (best.value * size + 2) / (size + 4) if best is not None else policy.accuracy_target_ratio
    wanted = max(policy.min_audits, trials_for(share, policy.wanted_half_width_ratio))
    return max(0, wanted - int(size))


def standing_of(limits: Limits, size: float, policy: PeoplePolicy) -> TargetStanding:
    """Return what can be said of a share whose limits to judge by come from ``size`` audits.

    Source: ``streams.core.binomial``: ``below`` is wrong with at most 2.5% of people who meet the target, ``on_target`` with at most
    2.5% of those who do not.
    """
    low, high = limits
    if size < policy.min_audits:
        return TargetStanding.too_few
    if high < policy.accuracy_target_ratio:
        return TargetStanding.below
    return TargetStanding.on_target if low >= policy.accuracy_target_ratio else TargetStanding.unclear


def volume_of(works: Iterable[StandingLabel]) -> Volume:
    """Return how much was done.

    Labels per hour of handling. Source: docs/people.md.
    """
    labels, handled, handle_ms = 0, 0, 0
    hours: set[int] = set()
    for work in works:
        labels += 1
        hours.add(work.time_ms // HOUR_MS)
        if work.handle_ms is not None:
            handled += 1
            handle_ms += work.handle_ms
    return Volume(labels, len(hours), handled * HOUR_MS / handle_ms if handle_ms else None)


def trend_of(works: Sequence[StandingLabel], start_ms: int, end_ms: int) -> AccuracyTrend:
    """Return how accuracy moved from the window before and within the window, by sampled audits where there are any.

    Source: ``floorwatch.analysis.people.sampled``; within the window each step counts what its weighted audits are worth.

    Args:
        works: One person's labels over the whole log.
        start_ms: Start of the window.
        end_ms: Its end.
    """
    length_ms = end_ms - start_ms
    before, now = SampledAudits(), SampledAudits()
    steps = [SampledAudits() for _ in range(TREND_STEPS)]
    for work in works:
        verdict = work.judged
        if verdict is None or verdict.technical or not start_ms - length_ms <= work.time_ms < end_ms:
            continue
        if work.time_ms < start_ms:
            before.add(verdict)
            continue
        now.add(verdict)
        steps[(work.time_ms - start_ms) * TREND_STEPS // length_ms].add(verdict)
    weighted = before.sampled or now.sampled
    shares = [step.share(weighted=weighted) for step in steps]
    within = share_trend([(one.estimate.value * one.worth, one.worth) if one is not None else (0, 0) for one in shares])
    return AccuracyTrend(before.counts(weighted=weighted), change_between(before, now), within)


def scorecard(crowd: Cohort, labeler_id: str, steps: Iterable[Told] = (), shift_end_ms: int | None = None) -> Scorecard:
    """Return the scorecard of one labeller.

    Args:
        crowd: Everybody, with the window.
        labeler_id: Who; must be in ``crowd.works``.
        steps: Coaching steps told of this person.
        shift_end_ms: End of the present shift where a roster says it, for the exposure prediction.

    Raises:
        KeyError: Nobody of that name has made a label.
        StepRefused: A coaching step has no place.
    """
    policy = crowd.policy
    works, recent = crowd.works[labeler_id], crowd.window.get(labeler_id, [])
    tenure, peers = crowd.tenures[labeler_id], crowd.peers_of(labeler_id)
    now, reference = crowd.periods_of(labeler_id, peers)
    learning = _learning(crowd, labeler_id, tenure, len(recent)) if tenure.is_new(policy) else None
    learned_log = learned_between(
        learning.handle if learning is not None else None, tenure, len(recent), len(reference.works)
    )
    latest = works[-1]
    return Scorecard(
        labeler_id=labeler_id,
        team=latest.team,
        site=latest.site,
        vendor=latest.vendor,
        start_ms=crowd.start_ms,
        end_ms=crowd.end_ms,
        tenure=tenure,
        volume=volume_of(recent),
        accuracy=accuracy_of(recent, policy),
        peers=len(peers.names),
        like_tenure=peers.like_tenure,
        peers_accuracy=expected_accuracy(now.tallies, peers.tallies),
        handle=handle_against_peers(now.tallies, peers.tallies, policy.min_peer_labels),
        learning=learning,
        trend=trend_of(works, crowd.start_ms, crowd.end_ms),
        rushing=rushing(now, reference, crowd.risk, learned_log, policy),
        evidence=evidence_of(recent, peers.tallies),
        exposure=exposure_now(works, crowd.end_ms, policy, shift_end_ms),
        coaching=coaching_of(steps, works, crowd.end_ms, policy),
    )


def exposure_now(
    works: Iterable[StandingLabel], now_ms: int, policy: PeoplePolicy, shift_end_ms: int | None
) -> Exposure:
    """Return one person's exposure as of a moment, from labels of any time."""
    since_ms = now_ms - policy.exposure_window_ms
    recent = [work for work in works if since_ms < work.time_ms <= now_ms]
    return exposure_of(pieces_of(recent, policy), now_ms, policy, shift_end_ms)


def _learning(crowd: Cohort, labeler_id: str, tenure: Tenure, labels: int) -> Learning:
    handle, errors = crowd.curves_without(labeler_id)
    middle = max(1.0, tenure.labels - labels / 2)
    return Learning(
        handle,
        errors,
        handle.at(middle) if handle is not None else None,
        max(0.0, 1 - errors.at(middle)) if errors is not None else None,
    )
