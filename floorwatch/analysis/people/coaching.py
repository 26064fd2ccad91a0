"""The coaching loop of one labeller: alerted → acknowledged → coached → recovered, or not.

People record three steps; the rest is a fold over audits. Evidence of recovery is the accuracy of labels *made* after
coaching compared with labels made before the alert. So a late or overturned audit changes the state to what it would
have been. A new alert begins the loop again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from floorwatch.analysis.people.clusters import day_clusters
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.recovery import Untouched, WithoutCoaching, expected_without
from floorwatch.analysis.people.sampled import SampledAudits, change_between
from floorwatch.analysis.people.standing_labels import StandingLabel, between
from streams.core.proportions import Interval, WeightedShare, difference_of


class CoachingStep(str, Enum):
    """What somebody did."""

    alerted = "alerted"
    acknowledged = "acknowledged"
    coached = "coached"
    closed = "closed"


class State(str, Enum):
    """Where a labeller's loop stands."""

    none = "none"
    alerted = "alerted"
    acknowledged = "acknowledged"
    watching = "watching"
    """Coached; too few audits since to say."""
    recovered = "recovered"
    unchanged = "unchanged"
    """Coached; enough audits, and neither recovery nor a lasting shortfall is shown."""
    not_recovered = "not_recovered"
    """Coached; the accuracy since is below target beyond chance."""
    closed = "closed"


_ALLOWED: dict[State, frozenset[CoachingStep]] = {
    State.none: frozenset({CoachingStep.alerted}),
    State.alerted: frozenset(
        {CoachingStep.alerted, CoachingStep.acknowledged, CoachingStep.coached, CoachingStep.closed}
    ),
    State.acknowledged: frozenset(
        {CoachingStep.acknowledged, CoachingStep.coached, CoachingStep.closed, CoachingStep.alerted}
    ),
    State.watching: frozenset({CoachingStep.coached, CoachingStep.closed, CoachingStep.alerted}),
    State.closed: frozenset({CoachingStep.alerted, CoachingStep.closed}),
}
"""Steps by the state that steps alone lead to (recovered and similar states are ``watching`` with evidence)."""


class Told(NamedTuple):
    """One step as told: when, what, by whom."""

    time_ms: int
    step: CoachingStep
    by: str


class StepRefused(ValueError):
    """A step that does not fit. The operator corrects the coaching file; the message says what is missing."""


class Loop(NamedTuple):
    """The loop as told by steps: where it stands and when each step of the present round was taken."""

    state: State = State.none
    alerted_ms: int | None = None
    acknowledged_ms: int | None = None
    coached_ms: int | None = None
    coach: str = ""
    rounds: int = 0


def advance(loop: Loop, told: Told) -> Loop:
    """Return the loop after one step.

    A repeated step changes nothing, except a second coaching, from which recovery is counted again. An alert while one
    is open changes nothing.

    Raises:
        StepRefused: The step has no place in this state.
    """
    if told.step not in _ALLOWED[loop.state]:
        allowed = ", ".join(sorted(step.value for step in _ALLOWED[loop.state]))
        raise StepRefused(f"{told.step.value} after {loop.state.value}: here only {allowed} has a place")
    match told.step:
        case CoachingStep.alerted:
            if loop.state in (State.alerted, State.acknowledged):
                return loop
            return Loop(State.alerted, told.time_ms, rounds=loop.rounds + 1)
        case CoachingStep.acknowledged:
            if loop.state is State.acknowledged:
                return loop
            return loop._replace(state=State.acknowledged, acknowledged_ms=told.time_ms)
        case CoachingStep.coached:
            return loop._replace(state=State.watching, coached_ms=told.time_ms, coach=told.by)
        case CoachingStep.closed:
            return loop._replace(state=State.closed)


def fold_steps(steps: Iterable[Told]) -> Loop:
    """Return the loop after all steps, in order of time; steps of the same time in the order of the loop.

    Raises:
        StepRefused: A step has no place.
    """
    order = list(CoachingStep)
    loop = Loop()
    for told in sorted(steps, key=lambda told: (told.time_ms, order.index(told.step), told.by)):
        loop = advance(loop, told)
    return loop


class Recovery(NamedTuple):
    """Accuracy before the alert and after the coaching.

    Attributes:
        before: (correct, judged) of labels made in the ``recovery_ms`` before the alert, of sampled audits where there are any.
        after: The same of labels made since the coaching.
        change: after − before with the 95% interval to judge by; None where a side has no audits. Part of it is chance: whoever is
            picked because the audits looked bad looks better in the next ones.
        missing: Audits still needed before there is a result.
        expected: What would have become of the person without coaching; None with too few untouched peers to say.
        gain: The accuracy since, less the expected one, with the 95% interval to judge by.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    change: Interval | None
    missing: int
    expected: WithoutCoaching | None = None
    gain: Interval | None = None


class Coaching(NamedTuple):
    """Where somebody's coaching stands."""

    state: State
    loop: Loop
    recovery: Recovery | None


_ROUNDING = 1e-6


def _sums(works: Iterable[StandingLabel], start_ms: int, end_ms: int) -> SampledAudits:
    return SampledAudits(work for work in works if start_ms <= work.time_ms < end_ms)


def coaching_of(
    steps: Iterable[Told],
    works: Sequence[StandingLabel],
    until_ms: int,
    policy: PeoplePolicy,
    peers: Untouched | None = None,
) -> Coaching:
    """Return where one person's coaching stands.

    Recovered: at least ``recovery_audits`` audits of labels made since, the accuracy rose above what it would be without coaching (the
    whole interval of ``gain`` is above 0) and is not below target beyond chance. Not recovered: as many audits, and below target
    beyond chance (2.5%). Audits are those of ``floorwatch.analysis.people.sampled``.

    Args:
        steps: What was told of this person.
        works: The person's labels, reaching back before the alert.
        until_ms: As of when.
        policy: Bounds.
        peers: Whom recovery is measured against; without them nobody is called recovered.

    Raises:
        StepRefused: A step has no place.
    """
    loop = fold_steps(told for told in steps if told.time_ms <= until_ms)
    if loop.state is not State.watching or loop.coached_ms is None or loop.alerted_ms is None:
        return Coaching(loop.state, loop, None)
    past, present = (loop.alerted_ms - policy.recovery_ms, loop.alerted_ms), (loop.coached_ms, until_ms)
    before, after = _sums(works, *past), _sums(works, *present)
    weighted = before.sampled or after.sampled
    since = after.share(weighted=weighted)
    missing = max(0, math.ceil(policy.recovery_audits - (since.worth if since is not None else 0) - _ROUNDING))
    was, now = (side.counts(weighted=weighted) for side in (before, after))
    correlation = peers.correlation if peers is not None else 0.0
    scatter = [day_clusters(between(works, *span)).scatter(correlation) for span in (past, present)]
    recovery = Recovery(was, now, change_between(before, after, (scatter[0], scatter[1])), missing)
    if peers is not None and since is not None and not missing:
        audited = [work for work in works if work.judged is not None]
        expected = expected_without(audited, peers, past, present, policy)
        if expected is not None:
            gain = difference_of(Interval(since.estimate.value, *since.limits(scatter=scatter[1])), expected.accuracy)
            recovery = recovery._replace(expected=expected, gain=gain)
    return Coaching(_recovery_state(recovery, since, scatter[1], policy), loop, recovery)


def _recovery_state(recovery: Recovery, since: WeightedShare | None, scatter: float, policy: PeoplePolicy) -> State:
    if recovery.missing or since is None:
        return State.watching
    if since.limits(scatter=scatter)[1] < policy.accuracy_target_ratio:
        return State.not_recovered
    if recovery.gain is not None and recovery.gain.low > 0:
        return State.recovered
    return State.unchanged
