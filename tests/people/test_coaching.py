"""The coaching loop: steps told by people, recovery told by audits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.analysis.people.coaching import (
    CoachingStep,
    Loop,
    State,
    StepRefused,
    Told,
    advance,
    coaching_of,
    fold_steps,
)
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.recovery import Untouched
from tests.people.floor import BASE, DAY, judged, labels, peers_at

POLICY = PeoplePolicy()
STEPS = [Told(BASE + 10 * DAY, CoachingStep.alerted, ""), Told(BASE + 11 * DAY, CoachingStep.acknowledged, "lead-1"),
         Told(BASE + 12 * DAY, CoachingStep.coached, "lead-1")]  # fmt: skip
UNTIL = BASE + 30 * DAY


BEFORE = labels(5, 30, 120)


PEERS = peers_at(7, 5)


def test_the_way_of_a_loop():
    seen = [fold_steps(STEPS[:n]).state for n in range(4)]
    assert seen == [State.none, State.alerted, State.acknowledged, State.watching]
    loop = fold_steps(STEPS)
    assert (loop.alerted_ms, loop.coached_ms, loop.coach, loop.rounds) == (
        BASE + 10 * DAY,
        BASE + 12 * DAY,
        "lead-1",
        1,
    )
    closed = advance(loop, Told(UNTIL, CoachingStep.closed, "lead-1"))
    assert closed.state is State.closed
    again = advance(closed, Told(UNTIL, CoachingStep.alerted, ""))
    assert (again.state, again.rounds, again.coached_ms) == (State.alerted, 2, None)


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ([], CoachingStep.coached),
        ([], CoachingStep.acknowledged),
        (STEPS, CoachingStep.acknowledged),
        ([], CoachingStep.closed),
    ],
)
def test_a_step_without_a_place_is_refused_and_says_what_has_one(before, step):
    with pytest.raises(StepRefused, match="here only .*alerted"):
        advance(fold_steps(before), Told(UNTIL, step, ""))


def test_labels_decided_before_coaching_do_not_count_as_recovery_however_late_their_audit():
    between = labels(11, 0, 90)
    between = [one for one in between if one.time_ms < BASE + 12 * DAY]
    found = coaching_of(STEPS, BEFORE + between, UNTIL, POLICY)
    assert found.recovery.after == (0, 0)
    assert found.recovery.before == (90, 120)


def test_recovery_needs_audits_a_rise_and_the_target():
    states = {}
    for name, after in {
        "few": labels(12, 0, 49), "good": labels(12, 2, 80), "bad": labels(12, 20, 80), "so-so": labels(12, 10, 80),
    }.items():  # fmt: skip
        found = coaching_of(STEPS, BEFORE + after, UNTIL, POLICY, PEERS)
        states[name] = (found.state, found.recovery.missing)
    assert states == {
        "few": (State.watching, 1), "good": (State.recovered, 0), "bad": (State.not_recovered, 0),
        "so-so": (State.not_recovered, 0),
    }  # fmt: skip
    mild = coaching_of(STEPS, labels(5, 5, 60) + labels(12, 3, 60), UNTIL, POLICY, PEERS)
    assert mild.state is State.unchanged
    assert mild.recovery.gain.low < 0 < mild.recovery.gain.high


def test_a_rise_that_peers_without_coaching_show_too_is_no_recovery():
    """From 75% to 97%: recovered where the peers stayed at 94%, not where a new tool took peers at 75% to 97% too."""
    after = labels(12, 2, 80)
    found = coaching_of(STEPS, BEFORE + after, UNTIL, POLICY, PEERS)
    assert (found.state, found.recovery.expected.people) == (State.recovered, 8)
    assert found.recovery.expected.accuracy.value < 0.85
    alike = coaching_of(STEPS, BEFORE + after, UNTIL, POLICY, peers_at(30, 3))
    assert alike.state is State.unchanged
    assert alike.recovery.change.low > 0 > alike.recovery.gain.low
    assert alike.recovery.expected.change.low > 0.1


def test_without_peers_who_were_not_coached_a_rise_is_no_recovery():
    after = labels(12, 2, 80)
    for peers in (None, peers_at(7, 5, count=2), Untouched(PEERS.works, [])):
        found = coaching_of(STEPS, BEFORE + after, UNTIL, POLICY, peers)
        assert (found.state, found.recovery.expected) == (State.unchanged, None)
        assert found.recovery.change.low > 0


def test_easier_work_since_the_coaching_is_no_recovery():
    """Everybody is right in 75% of hard work and 97.5% of easy work; the person was moved from the one to the other."""

    def both(wrong: int, total: int, queue: str, who: str, first_day: int):
        return [one._replace(labeler_id=who, queue=queue) for one in labels(first_day, wrong, total)]

    works = {
        name: sorted(
            both(30, 120, "hard", name, 5) + both(3, 120, "easy", name, 5)
            + both(20, 80, "hard", name, 12) + both(2, 80, "easy", name, 12), key=lambda work: work.time_ms,
        )
        for name in (f"peer-{n}" for n in range(6))
    }  # fmt: skip
    own = both(30, 120, "hard", "a", 5) + both(2, 80, "easy", "a", 12)
    found = coaching_of(STEPS, own, UNTIL, POLICY, Untouched(works, list(works)))
    assert found.state is State.unchanged
    assert found.recovery.expected.accuracy.value > 0.94
    assert found.recovery.change.low > 0.1


def test_an_overturned_audit_changes_the_state_back_and_forth():
    after = labels(12, 8, 60)
    assert coaching_of(STEPS, BEFORE + after, UNTIL, POLICY).state is State.not_recovered
    overturned = [one._replace(judged=judged()) for one in after]
    assert coaching_of(STEPS, BEFORE + overturned, UNTIL, POLICY, PEERS).state is State.recovered
    withdrawn = [one._replace(judged=None) if n < 11 else one for n, one in enumerate(overturned)]
    assert coaching_of(STEPS, BEFORE + withdrawn, UNTIL, POLICY).state is State.watching


def test_as_of_a_past_moment_later_steps_are_unknown():
    assert coaching_of(STEPS, BEFORE, BASE + 11 * DAY, POLICY).state is State.acknowledged


def test_technical_errors_are_not_held_against_anybody():
    after = [one._replace(judged=judged(technical=True)) if n < 20 else one for n, one in enumerate(labels(12, 20, 80))]
    found = coaching_of(STEPS, BEFORE + after, UNTIL, POLICY)
    assert found.recovery.after == (60, 60)


@given(st.lists(st.sampled_from(list(CoachingStep)), max_size=12))
def test_any_steps_either_lead_somewhere_or_are_refused_and_repeats_change_nothing_new(steps):
    loop = Loop()
    for n, step in enumerate(steps):
        told = Told(BASE + n, step, "x")
        try:
            after = advance(loop, told)
        except StepRefused:
            continue
        assert after.rounds >= loop.rounds
        assert (after.state is State.watching) == (after.coached_ms is not None and after.state is not State.closed)
        assert advance(after, told) == after
        loop = after


@given(st.permutations(STEPS))
def test_the_order_of_the_file_does_not_matter(steps):
    assert fold_steps(steps) == fold_steps(STEPS)
