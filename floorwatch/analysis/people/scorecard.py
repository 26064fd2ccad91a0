"""The scorecard of one labeller: every number with its uncertainty, compared with people on the same work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from floorwatch.analysis.people.accuracy import Accuracy, accuracy_of
from floorwatch.analysis.people.clusters import day_clusters
from floorwatch.analysis.people.coaching import Coaching, Told, coaching_of
from floorwatch.analysis.people.coaching_evidence import CoachingEvidence, evidence_of
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.exposure import Exposure, exposure_of, pieces_of
from floorwatch.analysis.people.learning import Curve, Tenure
from floorwatch.analysis.people.peers import HandleAgainstPeers, expected_accuracy, handle_against_peers
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.pooling import Pooled
from floorwatch.analysis.people.rushing import Rushing, learned_between, rushing
from floorwatch.analysis.people.sampled import SampledAudits, change_between
from floorwatch.analysis.people.standing_labels import StandingLabel, between
from streams.core.policy import HOUR_MS
from streams.core.proportions import Interval, Trend, share_trend

TREND_STEPS = 7


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
    """Everything said of one labeller; see the parts.

    Attributes:
        judged_together: How many people had audits enough to be judged in the same window.
        named: Whether this one is named for coaching among them.
        below_chance: The p-value of "below the target" that decides it; None with too few audits.
    """

    labeler_id: str
    team: str
    site: str
    vendor: str
    start_ms: int
    end_ms: int
    tenure: Tenure
    volume: Volume
    accuracy: Accuracy
    pooled: Pooled | None
    judged_together: int
    named: bool
    below_chance: float | None
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


def trend_of(works: Sequence[StandingLabel], start_ms: int, end_ms: int, correlation: float = 0.0) -> AccuracyTrend:
    """Return how accuracy moved from the window before and within the window, by sampled audits where there are any.

    Source: ``floorwatch.analysis.people.sampled``; within the window each step counts what its weighted audits are worth.

    Args:
        works: One person's labels over the whole log.
        start_ms: Start of the window.
        end_ms: Its end.
        correlation: Of errors of one person on one day.
    """
    length_ms = end_ms - start_ms
    spans = ((start_ms - length_ms, start_ms), (start_ms, end_ms))
    before_scatter, scatter = (day_clusters(between(works, *span)).scatter(correlation) for span in spans)
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
    counted = [(one.estimate.value * one.worth, one.worth) if one is not None else (0, 0) for one in shares]
    change = change_between(before, now, (before_scatter, scatter))
    return AccuracyTrend(before.counts(weighted=weighted), change, share_trend(counted, scatter))


def scorecard(
    crowd: Cohort,
    labeler_id: str,
    steps: Iterable[Told] = (),
    shift_end_ms: int | None = None,
    coached: Collection[str] = (),
) -> Scorecard:
    """Return the scorecard of one labeller.

    Args:
        crowd: Everybody, with the window.
        labeler_id: Who; must be in ``crowd.works``.
        steps: Coaching steps told of this person.
        shift_end_ms: End of the present shift where a roster says it, for the exposure prediction.
        coached: Everybody who was coached: recovery is measured against the others.

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
    accuracy = crowd.accuracies.get(labeler_id) or accuracy_of((), policy)
    trend = trend_of(works, crowd.start_ms, crowd.end_ms, crowd.correlation)
    return Scorecard(
        labeler_id=labeler_id,
        team=latest.team,
        site=latest.site,
        vendor=latest.vendor,
        start_ms=crowd.start_ms,
        end_ms=crowd.end_ms,
        tenure=tenure,
        volume=volume_of(recent),
        accuracy=accuracy,
        pooled=crowd.pooled(labeler_id, peers),
        judged_together=crowd.judged.people,
        named=labeler_id in crowd.judged.named,
        below_chance=crowd.judged.chances.get(labeler_id),
        peers=len(peers.names),
        like_tenure=peers.like_tenure,
        peers_accuracy=expected_accuracy(now.tallies, peers.tallies),
        handle=handle_against_peers(now.tallies, peers.tallies, policy.min_peer_labels),
        learning=learning,
        trend=trend._replace(change=None, within=None) if accuracy.awaits_audits else trend,
        rushing=rushing(now, reference, crowd.risk, learned_log, policy, crowd.correlation),
        evidence=evidence_of(recent, peers.tallies),
        exposure=exposure_now(works, crowd.end_ms, policy, shift_end_ms),
        coaching=coaching_of(steps, works, crowd.end_ms, policy, crowd.untouched(peers, coached)),
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
