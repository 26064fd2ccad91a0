"""Lives of CVAT's jobs: hand-overs and who held the job, issues, acceptance, returns, late and repeated webhooks."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest

from gateway.sources.cvat.history import Issue, JobState, added, hand_overs
from tests.gateway.cvat_hooks import at, issue, job, run_hooks, standing, told

ANN, BO = "cvat:roads:ann", "cvat:roads:bo"
LABEL_ANN, LABEL_BO = ("label.submitted", "ann"), ("label.submitted", "bo")
WRONG, RIGHT = ("audit.completed", "incorrect"), ("audit.completed", "correct")


def counted(*hooks: Any, **cvat: Any) -> list[tuple[str, str]]:
    return [one for one in told(run_hooks(*hooks, **cvat)[0]) if one[0] != "task.created"]


# -- who handed over ---------------------------------------------------------------------------------------------


def test_the_labeller_is_who_held_the_job_when_it_was_handed_over() -> None:
    begun = job(1)
    assert counted(begun, job(9, state="completed")) == [LABEL_ANN]
    assert counted(begun, job(9, "validation", "new")) == [LABEL_ANN]
    # One request moves the job and gives it to the reviewer.
    assert counted(begun, job(9, "validation", "new", "rev", who_at=9)) == [LABEL_ANN]
    assert counted(begun, job(9, "validation", "new", None, who_at=9)) == [LABEL_ANN]
    # A webhook that gave the job to bo is missing: bo held it.
    assert counted(begun, job(9, "validation", "new", "bo", who_at=5)) == [LABEL_BO]
    assert counted(begun, job(5, who="bo", who_at=5), job(9, state="completed", who="bo", who_at=5)) == [LABEL_BO]
    # Nobody held it: who takes it with the same request did the work.
    assert counted(job(1, who=None), job(9, state="completed", who_at=9)) == [LABEL_ANN]


def test_former_values_are_taken_where_cvat_sends_them() -> None:
    before = {"updated_date": at(5, 500_000), "stage": "annotation", "state": "in progress"}
    moved = job(9, "validation", "new", "rev", who_at=9, before={**before, "assignee": {"id": 4, "username": "bo"}})
    assert counted(moved) == [LABEL_BO]
    assert counted(job(1), moved) == [LABEL_BO]
    kept = job(9, state="completed", before={"updated_date": at(5, 500_000), "state": "in progress"})
    assert counted(kept) == [LABEL_ANN]


def test_a_job_is_handed_over_once_until_it_comes_back() -> None:
    hooks = [job(1), job(2, state="completed"), job(3, "validation", "new"), job(4, "acceptance", "new", by="ann")]
    assert counted(*hooks) == [LABEL_ANN]
    reopened = [job(1), job(2, state="completed"), job(3), job(4, state="completed")]
    assert counted(*reopened) == [LABEL_ANN]
    by_bo = [*reopened[:2], job(3, who="bo", who_at=3), job(4, state="completed", who="bo", who_at=3)]
    assert counted(*by_bo) == [LABEL_ANN, LABEL_BO]
    back = [
        job(1),
        job(2, state="completed"),
        job(3, "validation", "new"),
        job(4, state="new"),
        job(5, state="completed"),
    ]
    assert counted(*back) == [LABEL_ANN, LABEL_ANN]


def test_a_job_first_seen_after_its_hand_over_is_not_counted_but_told_once() -> None:
    hooks = [job(3, "validation", "new", "rev"), job(4, "validation", "completed", "rev", by="rev"), issue(5)]
    bench, said = run_hooks(*hooks)
    assert bench.events == []
    assert [one["code"] for one in bench.dead] == ["unknown_hand_over"]
    assert said[2]["ignored"]
    # Nor is one that was completed when it was first seen, and moves on.
    assert counted(job(2, state="completed"), job(3, "validation", "new")) == []
    # It comes back: from then on all is known.
    again = [*hooks, job(6, state="in progress", by="rev"), job(7, state="completed")]
    assert counted(*again) == [LABEL_ANN]


# -- verdicts ----------------------------------------------------------------------------------------------------

HANDED = [job(1), job(10, state="completed", by="ann"), job(12, "validation", "new", "rev", who_at=12)]


def test_issues_of_others_say_incorrect_and_those_of_the_labeller_nothing() -> None:
    assert counted(*HANDED, issue(20)) == [LABEL_ANN, WRONG]
    assert counted(*HANDED, issue(20), issue(21, number=8)) == [LABEL_ANN, WRONG, WRONG]
    assert counted(*HANDED, issue(20, "ann")) == [LABEL_ANN]
    assert counted(*HANDED, issue(20, None)) == [LABEL_ANN]
    assert counted(job(1), issue(5), *HANDED[1:]) == [LABEL_ANN]
    assert counted(*HANDED, issue(20), issue(20, event="update:issue", resolved=True)) == [LABEL_ANN, WRONG]


def test_an_issue_is_of_the_hand_over_before_it() -> None:
    back = [job(30, state="rejected", by="rev", who_at=30), job(40, state="completed", by="ann", who_at=30)]
    bench, _ = run_hooks(*HANDED, issue(20), *back, job(50, "validation", "completed", "rev", by="rev", who_at=50))
    labels, audits = standing(bench)
    assert [one[0] for one in labels] == [ANN, ANN]
    assert [one[0] for one in audits] == ["correct", "incorrect"]
    bench, _ = run_hooks(*HANDED, *back, issue(20), issue(45, number=8))
    assert [one[0] for one in standing(bench)[1]] == ["incorrect", "incorrect"]
    of = [one["data"]["label_id"] for one in bench.events if one["type"] == "floorwatch.audit.completed.v1"]
    assert len(set(of)) == 2


def test_a_rejection_says_incorrect_unless_issues_do() -> None:
    rejected = job(30, state="rejected", by="rev", who_at=30)
    assert counted(*HANDED, rejected) == [LABEL_ANN, WRONG]
    assert counted(*HANDED, issue(20), rejected) == [LABEL_ANN, WRONG]
    # Moved back is not rejected: nobody said why.
    assert counted(*HANDED, job(30, state="new", by="rev", who_at=30)) == [LABEL_ANN]
    assert counted(*HANDED, job(30, state="rejected", by="ann", who_at=30)) == [LABEL_ANN]


@pytest.mark.parametrize(
    ("stage", "state", "by", "says"),
    [
        ("validation", "completed", "rev", True),
        ("acceptance", "new", "mei", True),
        ("acceptance", "completed", "mei", True),
        ("validation", "in progress", "rev", False),
        ("validation", "completed", "ann", False),
        ("validation", "completed", None, False),
    ],
)
def test_acceptance_without_an_issue_says_correct_where_it_is_so_configured(
    stage: str, state: str, by: str | None, says: bool
) -> None:
    accepted = job(30, stage, state, "rev", by=by, who_at=12)
    assert counted(*HANDED, accepted) == [LABEL_ANN, *([RIGHT] if says else [])]
    assert counted(*HANDED, accepted, acceptance="none") == [LABEL_ANN]
    assert counted(*HANDED, issue(20), accepted) == [LABEL_ANN, WRONG]
    # Nothing is told twice by later acceptances and saves.
    later = [
        job(31, stage, state, "rev", by="rev", who_at=12),
        job(32, "acceptance", "completed", "rev", by="mei", who_at=12),
    ]
    assert counted(*HANDED, accepted, *later).count(RIGHT) == 1


def test_a_hand_over_straight_to_acceptance_is_no_review() -> None:
    assert counted(job(1), job(9, "acceptance", "completed", by="mei")) == [LABEL_ANN]
    assert counted(job(1), job(9, "acceptance", "new"), job(12, "acceptance", "completed", by="mei")) == [
        LABEL_ANN,
        RIGHT,
    ]


def test_an_issue_after_acceptance_replaces_its_verdict() -> None:
    accepted = job(30, "validation", "completed", "rev", by="rev", who_at=12)
    assert counted(*HANDED, accepted, issue(40)) == [LABEL_ANN, RIGHT, ("audit.withdrawn", ""), WRONG]


def test_a_deleted_issue_keeps_its_verdict_unless_configured() -> None:
    gone = issue(20, event="delete:issue")
    assert counted(*HANDED, issue(20), gone) == [LABEL_ANN, WRONG]
    withdrawn = [LABEL_ANN, WRONG, ("audit.withdrawn", "")]
    assert counted(*HANDED, issue(20), gone, deleted_issue="withdraw") == withdrawn
    # What was sent before the deletion and comes after it does not bring the verdict back.
    assert counted(*HANDED, issue(20), gone, issue(20), deleted_issue="withdraw") == withdrawn
    assert counted(*HANDED, gone, issue(20), deleted_issue="withdraw") == [LABEL_ANN]


# -- deletion ----------------------------------------------------------------------------------------------------


def test_a_deleted_job_is_cancelled_once_unless_its_work_was_handed_over() -> None:
    gone = job(1, event="delete:job")
    assert counted(job(1), gone, gone) == [("task.cancelled", "")]
    assert counted(*HANDED, job(12, "validation", "new", "rev", event="delete:job")) == [LABEL_ANN]
    assert counted(gone) == []
    assert counted(gone, job(1)) == [("task.cancelled", "")]
    assert counted(job(1, type="ground_truth"), job(9, state="completed", type="ground_truth")) == []


# -- late and repeated webhooks ----------------------------------------------------------------------------------

LIFE = [
    job(1, state="new"),
    job(10, state="completed", by="ann"),
    job(12, "validation", "new", "rev", who_at=12),
    issue(20),
    job(30, state="rejected", by="rev", who="bo", who_at=30),
    job(40, state="completed", by="bo", who="bo", who_at=30),
    job(50, "validation", "completed", "rev", by="rev", who_at=50),
]


def test_in_every_order_the_same_stands_at_the_end() -> None:
    """40 of the 720 orders of the later six, after the first; three webhooks come twice."""
    wanted = standing(run_hooks(*LIFE)[0])
    assert wanted == (
        [(ANN, at(10, 500_000)), (BO, at(40, 500_000))],
        [("correct", BO), ("incorrect", ANN)],
    )
    rng = random.Random(16)
    orders = rng.sample(list(permutations(LIFE[1:])), 40)
    for order in orders:
        assert standing(run_hooks(LIFE[0], *order, *rng.sample(LIFE, 3))[0]) == wanted


def test_an_issue_that_comes_before_its_job_counts_when_that_comes() -> None:
    bench, said = run_hooks(issue(20), *HANDED)
    assert standing(bench)[1] == [("incorrect", ANN)]
    assert "once that is known" in said[0]["ignored"]


def test_a_late_hand_over_moves_the_label_to_its_time_and_its_verdicts_with_it() -> None:
    moved, completed = HANDED[2], HANDED[1]
    bench, _ = run_hooks(job(1), moved, issue(20), completed)
    assert [one for one in told(bench) if one[0] != "task.created"] == [
        LABEL_ANN,
        WRONG,
        ("audit.withdrawn", ""),
        ("label.withdrawn", ""),
        LABEL_ANN,
        WRONG,
    ]
    assert standing(bench) == ([(ANN, at(10, 500_000))], [("incorrect", ANN)])


def test_a_late_assignment_changes_whose_label_it_is_and_its_verdicts_with_it() -> None:
    moved, given = job(9, "validation", "new", "rev", who_at=9), job(5, who="bo", who_at=5)
    bench, _ = run_hooks(job(1), moved, issue(20), given)
    assert [one for one in told(bench) if one[0] != "task.created"] == [
        LABEL_ANN,
        WRONG,
        ("audit.withdrawn", ""),
        ("label.withdrawn", ""),
        LABEL_BO,
        WRONG,
    ]
    assert standing(bench) == ([(BO, at(9, 500_000))], [("incorrect", BO)])


def test_who_made_a_change_is_known_once_its_own_webhook_comes() -> None:
    accepted = job(30, "validation", "completed", "rev", by="rev", who_at=12)
    before = {"updated_date": at(30, 500_000), "stage": "validation", "state": "completed"}
    later = job(40, "acceptance", "new", "rev", by=None, who_at=12, before=before)
    assert counted(*HANDED, later) == [LABEL_ANN]
    assert counted(*HANDED, later, accepted) == [LABEL_ANN, RIGHT]


def test_two_webhooks_of_one_cvat_that_tell_the_same_count_once() -> None:
    twice = [{**one, "webhook_id": number} for one in LIFE for number in (9, 10)]
    assert standing(run_hooks(*twice)[0]) == standing(run_hooks(*LIFE)[0])


def state(second: int, stage: str = "annotation", what: str = "in progress", who: str | None = "ann") -> JobState:
    return JobState(second * 1_000_000, stage, what, who, None, "mei")


def test_saves_of_annotations_do_not_make_a_history_longer() -> None:
    kept: list[JobState] = []
    for second in range(1000):
        kept = added(kept, [state(second)])
    assert [one.at_us for one in kept] == [0, 999_000_000]


@pytest.mark.parametrize("seed", range(20))
def test_a_history_is_the_same_in_whatever_order_it_is_heard(seed: int) -> None:
    """Each state differs from its neighbours, so none is left out; issues are anywhere."""
    rng = random.Random(seed)
    shown = [
        (stage, what, who)
        for stage in ("annotation", "validation", "acceptance")
        for what in ("new", "in progress", "completed", "rejected")
        for who in ("ann", "bo")
    ]
    states, last = [], None
    for second in range(20):
        last = rng.choice([one for one in shown if one != last])
        states.append(state(second, *last))
    issues = [Issue(number, rng.randrange(20_000_000), rng.choice(("ann", "rev")), False) for number in range(5)]
    wanted = hand_overs(added([], states), issues, acceptance=True)
    heard: list[JobState] = []
    for one in rng.sample(states, len(states)):
        heard = added(heard, [one, one])
    assert hand_overs(heard, rng.sample(issues, 5), acceptance=True) == wanted
