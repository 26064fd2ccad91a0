"""Ids that Label Studio gives out again, tasks that end otherwise than by labels, two instances, several controls."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from gateway.sources import page_index
from gateway.sources.label_studio.settings import LabelStudioSettings
from tests.gateway.harness import fixture
from tests.gateway.test_label_studio import Tool, at, change, choices, kind

Hook = dict[str, Any]


def task(second: str, number: int = 5, project: int = 1, **more: Any) -> Hook:
    """A task of this id, created at a second."""
    fields = {"id": number, "project": project, "created_at": at(second), "updated_at": at(second), "overlap": 1}
    return {**fields, "total_annotations": 0, "cancelled_annotations": 0, "data": {"queue": "q"}, **more}


def created(*tasks: Hook) -> Hook:
    return {"action": "TASKS_CREATED", "tasks": list(tasks), "project": {"id": tasks[0]["project"], "title": "p"}}


def annotated(of: Hook, second: str, uid: str = "u-1", number: int = 4, **more: Any) -> Hook:
    """The first save of an annotation of a task."""
    hook = fixture("0009")
    hook["task"] = {**of, "updated_at": at(second)}
    hook["project"] = {"id": of["project"], "title": "p", "skip_queue": "REQUEUE_FOR_OTHERS"}
    hook["annotation"].update(id=number, unique_id=uid, task=of["id"], project=of["project"], result=[choices("Spam")])
    hook["annotation"].update(created_at=at(second), updated_at=at(second), **more)
    return hook


def subjects(events: list[Any]) -> list[str]:
    return [event.subject for event in events]


# -- ids given out again -------------------------------------------------------------------------------------------


def test_an_id_given_out_again_after_a_projects_deletion_is_another_task() -> None:
    """Label Studio tells of a deleted project by its id alone, and of none of its tasks."""
    tool = Tool()
    first, second = task("10.0"), task("20.0")
    assert subjects(tool.says(created(first))) == ["ls-1-5"]
    tool.says({"action": "PROJECT_DELETED", "project": {"id": 1}})
    assert subjects(tool.says(created(second))) == ["ls-1-5-2"]
    assert subjects(tool.says(annotated(second, "21.0"))) == ["ls-1-5-2"]
    (gone,) = tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}})
    assert (kind(gone), gone.subject) == ("task.cancelled", "ls-1-5-2")


def test_a_replay_finds_the_life_that_it_is_of() -> None:
    tool = Tool()
    first, second, third = task("10.0"), task("20.0"), task("30.0")
    old, new = annotated(first, "11.0", "u-old"), annotated(second, "21.0", "u-new")
    hooks = [created(first), old, created(second), new, created(third)]
    once = [event for hook in hooks for event in tool.says(deepcopy(hook))]
    assert subjects(once) == ["ls-1-5", "ls-1-5", "ls-1-5-2", "ls-1-5-2", "ls-1-5-3"]
    twice = [event for hook in hooks for event in tool.says(deepcopy(hook))]
    assert twice == once, "each event is what it was, so each is a duplicate"
    (gone,) = tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}})
    assert gone.subject == "ls-1-5-3", "without a time of creation it is of the latest"


def test_an_earlier_life_that_is_first_seen_later_is_not_the_current_one() -> None:
    tool = Tool()
    assert subjects(tool.says(created(task("20.0")))) == ["ls-1-5"]
    assert subjects(tool.says(created(task("10.0")))) == ["ls-1-5-2"]
    (gone,) = tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}})
    assert gone.subject == "ls-1-5"


def test_an_old_annotations_replay_leaves_what_is_known_of_the_new_one() -> None:
    tool = Tool()
    first = task("10.0")
    old, new = annotated(first, "11.0", "u-old"), annotated(first, "21.0", "u-new")
    tool.says(deepcopy(old))
    tool.says(deepcopy(new))
    tool.says(deepcopy(old))
    assert tool.says(change(deepcopy(old), at("12.0"), updated_by=6, result=[choices("Safe")])) == []
    (audit,) = tool.says(change(deepcopy(new), at("22.0"), updated_by=6, result=[choices("Safe")]))
    assert (audit.data.label_id, audit.data.verdict) == ("ls-u-new", "incorrect")


def test_a_task_created_after_its_id_was_deleted_unseen_is_another() -> None:
    tool = Tool()
    tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}})
    late = Tool()
    late.tool_state = deepcopy(tool.tool_state)
    after = task("10.0", created_at="2026-11-23T12:00:01Z")
    assert subjects(tool.says(created(after))) == ["ls-1-5-2"]
    assert subjects(late.says(created(task("10.0")))) == ["ls-1-5"], "its creation came late"


def test_what_was_remembered_before_there_were_lives_counts_on() -> None:
    tool = Tool()
    first = task("10.0")
    tool.says(created(first))
    for record in tool.tool_state.values():
        record.pop("born", None), record.pop("wanted", None)
    assert subjects(tool.says(annotated(first, "11.0"))) == ["ls-1-5"]
    assert subjects(tool.says(created(task("20.0")))) == ["ls-1-5-2"]


# -- tasks that end otherwise than by labels -----------------------------------------------------------------------


def skipped(of: Hook, second: str, mode: str, skips: int, labels: int = 0, uid: str = "s-1") -> Hook:
    now = {**of, "cancelled_annotations": skips, "total_annotations": labels}
    hook = annotated(now, second, uid, 50 + skips, was_cancelled=True)
    hook["annotation"]["result"] = []
    hook["project"]["skip_queue"] = mode
    return hook


@pytest.mark.parametrize("mode", ["REQUEUE_FOR_ME", "REQUEUE_FOR_OTHERS", None])
def test_a_skip_that_is_queued_again_ends_nothing(mode: Any) -> None:
    tool = Tool()
    one = task("10.0")
    tool.says(created(one))
    assert [kind(event) for event in tool.says(skipped(one, "11.0", mode, 1))] == ["task.claimed"]


def test_a_task_that_only_skips_complete_is_cancelled_once() -> None:
    tool = Tool()
    one = task("10.0")
    tool.says(created(one))
    claimed, ended = tool.says(skipped(one, "11.0", "IGNORE_SKIPPED", 1))
    assert (kind(claimed), kind(ended), ended.time.second) == ("task.claimed", "task.cancelled", 11)
    assert ended.data.reason == "skipped in the tool"
    again = tool.says(skipped(one, "12.0", "IGNORE_SKIPPED", 2, uid="s-2"))
    assert [kind(event) for event in again] == ["task.claimed"]


def test_under_ignore_skipped_each_skip_is_a_label_less() -> None:
    tool = Tool()
    one = task("10.0", overlap=3)
    (first,) = tool.says(created(one))
    assert first.data.required_labels == 3
    _, less = tool.says(skipped(one, "11.0", "IGNORE_SKIPPED", 1))
    assert (kind(less), less.data.required_labels, less.data.queue) == ("task.created", 2, "q")
    assert (less.subject, less.time) == (first.subject, first.time)
    label = annotated({**one, "cancelled_annotations": 1, "total_annotations": 1}, "12.0")
    label["project"]["skip_queue"] = "IGNORE_SKIPPED"
    assert [kind(event) for event in tool.says(label)] == ["label.submitted"], "nothing new is wanted"
    _, last = tool.says(skipped(one, "13.0", "IGNORE_SKIPPED", 3, labels=1, uid="s-3"))
    assert last.data.required_labels == 1, "one label is there: it completes the task"


def test_another_number_of_annotations_is_told_with_the_tasks_next_webhook() -> None:
    tool = Tool()
    one = task("10.0", overlap=3)
    tool.says(created(one))
    label, less = tool.says(annotated({**one, "overlap": 1, "total_annotations": 1}, "12.0"))
    assert (kind(label), kind(less), less.data.required_labels) == ("label.submitted", "task.created", 1)
    late = annotated({**one, "overlap": 3, "total_annotations": 1}, "11.0", "u-2", 9)
    assert [kind(event) for event in tool.says(late)] == ["label.submitted"], "an earlier state of the task came late"


# -- two instances -------------------------------------------------------------------------------------------------


def test_two_instances_with_equal_ids_are_two_tasks_and_two_people_where_ids_carry_the_source() -> None:
    settings = LabelStudioSettings(ids_by_source=True)
    found = []
    for source in ("label-studio/kul-1", "label-studio/mnl"):
        tool = Tool(settings)
        tool.source = source
        one = task("10.0")
        made, label = [*tool.says(created(one)), *tool.says(annotated(one, "11.0"))]
        hook = change(annotated(one, "11.0"), at("12.0"), updated_by=6, result=[choices("Safe")])
        (audit,) = tool.says(hook)
        found.append((made.subject, label.subject, label.data.labeler_id, audit.data.auditor_id))
    assert found[0] == ("ls:kul-1:1-5", "ls:kul-1:1-5", "ls:kul-1:user-5", "ls:kul-1:user-6")
    assert not set(found[0]) & set(found[1])


def test_places_and_reviewers_are_named_by_the_ids_that_are_sent() -> None:
    labelers = {"ls:kul-1:user-5": {"team": "t-5"}}
    settings = {"ids_by_source": True, "labelers": labelers, "reviewers": ["ls:kul-1:user-6"]}
    tool = Tool(LabelStudioSettings.model_validate(settings))
    one = task("10.0")
    (label,) = tool.says(annotated(one, "11.0"))
    assert label.data.team == "t-5"
    hook = annotated(one, "11.0")
    assert tool.says(change(deepcopy(hook), at("12.0"), updated_by=7, result=[choices("Safe")])) == []
    assert len(tool.says(change(deepcopy(hook), at("13.0"), updated_by=6, result=[choices("Hate")]))) == 1


# -- several controls ----------------------------------------------------------------------------------------------

TWO = {
    "hate": {"type": "Choices"},
    "spam": {"type": "Choices"},
    "severity": {"type": "Choices"},
    "stars": {"type": "Rating"},
}


@pytest.mark.parametrize(
    ("values", "controls", "expected"),
    [
        ("auto", TWO, ["hate=yes", "spam=no"]),
        (
            "auto",
            {"hate": {"type": "Choices"}, "severity": {"type": "Choices"}, "stars": {"type": "Rating"}},
            ["yes", "no"],
        ),
        ("auto", None, ["yes", "no"]),
        ("choice", TWO, ["yes", "no"]),
        ("control=choice", None, ["hate=yes", "spam=no"]),
    ],
)
def test_decisions_of_projects_with_several_category_controls_name_the_control(
    values: str, controls: Any, expected: list[str]
) -> None:
    tool = Tool(LabelStudioSettings.model_validate({"values": values, "safe_values": ["no"]}))
    hook = annotated(task("10.0"), "11.0")
    hook["annotation"]["result"] = [choices("yes", control="hate"), choices("no", control="spam")]
    if controls is not None:
        hook["project"]["parsed_label_config"] = controls
    (label,) = tool.says(deepcopy(hook))
    assert label.data.values == expected
    safe = [choices("no", control="hate"), choices("no", control="spam")]
    (audit,) = tool.says(change(hook, at("12.0"), updated_by=6, result=safe))
    assert (audit.data.verdict, audit.data.error_class) == ("incorrect", "false_positive"), (
        "safe values have no control"
    )


# -- deleted projects ----------------------------------------------------------------------------------------------

GONE = {"action": "PROJECT_DELETED", "project": {"id": 1}}


def test_a_deleted_project_cancels_its_open_tasks_and_leaves_those_that_are_complete() -> None:
    tool = Tool()
    tasks = [task("10.0", number) for number in (1, 2, 3, 4)]
    tool.says(created(*tasks))
    tool.says(created(task("10.0", 9, project=2)))
    tool.says(annotated({**tasks[0], "total_annotations": 1}, "11.0"))
    tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 2}], "project": {"id": 1}})
    events = tool.says(GONE)
    assert [(kind(event), event.subject) for event in events] == [
        ("task.cancelled", "ls-1-3"),
        ("task.cancelled", "ls-1-4"),
    ]
    assert {event.data.reason for event in events} == {"the project was deleted in the tool"}
    assert tool.says(GONE) == []
    assert tool.problems == []


def test_a_project_that_comes_after_it_under_its_id_has_tasks_of_its_own() -> None:
    tool = Tool()
    tool.says(created(task("10.0", 1), task("10.0", 2)))
    tool.says(GONE)
    tool.says(created(task("20.0", 1)))
    assert subjects(tool.says(GONE)) == ["ls-1-1-2"]


def test_tasks_that_were_first_seen_with_a_label_are_of_the_project_too() -> None:
    tool = Tool()
    tool.says(annotated({**task("10.0", overlap=2), "total_annotations": 1}, "11.0"))
    assert subjects(tool.says(GONE)) == ["ls-1-5"]


def test_a_project_of_several_pages_is_cancelled_whole_and_one_that_is_too_large_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_index, "PAGE_RECORDS", 2)
    tool = Tool()
    tool.says(created(*(task("10.0", number) for number in range(1, 6))))
    tool.says(created(task("10.0", 6)))
    tool.says(annotated({**task("10.0", 3), "total_annotations": 1}, "11.0"))
    assert subjects(tool.says(GONE)) == [f"ls-1-{number}" for number in (1, 2, 4, 5, 6)]
    monkeypatch.setattr(page_index, "MOST_PAGES", 1)
    tool.says(created(*(task("20.0", number) for number in (1, 2, 3))))
    assert subjects(tool.says(GONE)) == ["ls-1-1-2", "ls-1-2-2"]
    assert [problem.code for problem in tool.problems] == ["too_many_tasks"]
