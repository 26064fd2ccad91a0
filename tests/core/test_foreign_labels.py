"""A vendor's label on a task that is not there yet neither keeps its creator out nor counts in the creator's task."""

from __future__ import annotations

from floorwatch.analysis.people.waiting import waiting_labels
from streams.core.facts import fact_of
from streams.core.task_view import TaskView
from streams.models.events import decode_log_event
from streams.models.grants import SenderGrant
from tests.core.test_grants import Task

V1 = SenderGrant("a", bound={"vendor": ("v1",)}).stamp
V2 = SenderGrant("b", bound={"vendor": ("v2",)}).stamp
DUE = {"vendor": "v1", "queue": "q", "due_at": "2026-11-23T12:00:00Z"}


def waiting(task: Task) -> dict[str, int]:
    facts = [fact_of(at, decode_log_event(value)) for at, value in enumerate(task.values)]
    return waiting_labels({"t": [fact for fact in facts if fact is not None]})


def taken(**label: object) -> Task:
    task = Task().say(V2, "label.submitted", label_id="lb", **label)
    return task.say(V1, "task.created", **DUE)


def test_the_creation_counts_and_the_label_is_no_part_of_it() -> None:
    for label in ({"vendor": "v2", "queue": "q"}, {}):
        task = taken(**label)
        assert task.refused == []
        assert waiting(task) == {"q": 1}
        assert task.counts["all labels"] == 1
        assert task.sla["vendor=v1 due"] == 1
        assert task.sla["vendor=v1 completed"] == 0
        assert task.sla["vendor=v2 completed"] == (1 if label else 0)
        task.say(V1, "label.submitted", label_id="la", vendor="v1")
        assert task.refused == []
        assert (task.sla["vendor=v1 completed"], task.sla["vendor=v1 met"]) == (1, 1)
        assert waiting(task) == {}


def test_the_label_keeps_its_own_place_its_promise_and_its_audits() -> None:
    task = taken(vendor="v2", created_at="2026-11-23T09:00:00Z", due_at="2026-11-23T11:00:00Z")
    assert (task.sla["vendor=v2 met"], task.sla["vendor=v2 due"]) == (1, 1)
    task.say(None, "audit.completed", audit_id="x", label_id="lb", verdict="correct")
    assert task.counts["vendor=v2 correct"] == 1
    assert task.counts["queue=q correct"] == 0  # the queue is the task's
    assert task.say(V1, "task.cancelled").sla["vendor=v2 met"] == 1
    assert task.sla["vendor=v1 cancelled"] == 1
    assert task.say(V2, "task.cancelled").refused == [4]


def test_labels_after_the_creation_are_refused_as_ever() -> None:
    task = taken(vendor="v2").say(V2, "label.submitted", label_id="l2", vendor="v2")
    assert task.refused == [2]
    assert task.say(V2, "label.submitted", label_id="lb", vendor="v2", values=["y"]).refused == [2]
    assert task.say(V1, "task.created", **{**DUE, "queue": "q2"}).refused == [2]


def test_whoever_may_do_everything_says_whose_a_task_is() -> None:
    task = taken(vendor="v2").say(None, "task.created", **DUE)
    assert task.refused == [0]
    assert task.counts["all labels"] == 0
    free = Task().say(None, "label.submitted", label_id="l", vendor="v2").say(V1, "task.created", **DUE)
    assert free.refused == [1]  # a label by nobody in particular may be the task's own


def test_two_of_them_are_compared_with_each_other_only() -> None:
    task = Task().say(V2, "label.submitted", label_id="l1", vendor="v2", labeler_id="v", values=["x"])
    task.say(V2, "label.submitted", label_id="l2", vendor="v2", values=["x"]).say(V1, "task.created", **DUE)
    task.say(V1, "label.submitted", label_id="l3", vendor="v1", labeler_id="u", values=["y"])
    facts = [fact_of(at, decode_log_event(value)) for at, value in enumerate(task.values)]
    view = TaskView([fact for fact in facts if fact is not None])
    assert view.foreign == {"l1", "l2"}
    assert list(view.task_labels) == ["l3"]
    assert task.counts["vendor=v2 labels"] == 2
