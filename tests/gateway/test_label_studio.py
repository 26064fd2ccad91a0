"""Label Studio's webhooks as events: each captured shape, and the lives of annotations they do not show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.base import TranslationContext
from gateway.sources.fields import LabelerDims
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.sources.label_studio.tool import LABEL_STUDIO
from gateway.sources.label_studio.translate import lookups, translate
from gateway.webhooks import BadWebhook, Remembered
from streams.models.acceptance import Refusal, parse_event
from streams.models.events import encode_event
from tests.gateway.harness import NOW_MS, fixture, fixture_names, raw_fixture

SETTINGS = LabelStudioSettings(labelers={"ls-user-5": LabelerDims(team="t-5", site="KUL", vendor="bpo-a")})


class Tool:
    """Translates webhook after webhook with a memory between."""

    def __init__(self, settings: LabelStudioSettings = SETTINGS) -> None:
        self.settings = settings
        self.tool_state: dict[str, Remembered] = {}
        self.received_ms = NOW_MS
        self.source = "label-studio/kul-1"
        self.problems: list[Any] = []

    def says(self, hook: dict[str, Any]) -> list[Any]:
        self.received_ms += 1
        context = TranslationContext(self.source, self.received_ms, self.settings)
        seen: dict[str, Remembered] = {}
        for _ in range(LABEL_STUDIO.lookup_rounds):
            seen = {key: self.tool_state[key] for key in lookups(hook, context, seen) if key in self.tool_state}
        found = translate(hook, seen, context)
        self.tool_state.update(found.remember)
        self.problems += found.problems
        for event in found.events:
            assert not isinstance(parse_event(encode_event(event), None), Refusal)
        return found.events


def kind(event: Any) -> str:
    return str(event.__struct_config__.tag).removeprefix("floorwatch.").removesuffix(".v1")


def at(micros: str) -> str:
    return f"2026-11-23T03:36:{micros}Z"


def change(hook: dict[str, Any], updated_at: str, **fields: Any) -> dict[str, Any]:
    """The webhook that follows when the annotation is saved again."""
    hook["action"] = "ANNOTATION_UPDATED"
    hook["annotation"].update(updated_at=updated_at, **fields)
    return hook


def choices(*values: str, control: str = "policy") -> dict[str, Any]:
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}


def test_created_tasks_carry_their_dimensions_and_overlap() -> None:
    hook = fixture("0003")
    events = Tool().says(hook)
    assert len(events) == len(hook["tasks"]) == 20
    for event, task in zip(events, hook["tasks"], strict=True):
        assert (kind(event), event.subject) == ("task.created", f"ls-1-{task['id']}")
        assert event.source == "label-studio/kul-1"
        data = event.data
        assert (data.queue, data.market, data.priority) == tuple(task["data"][k] for k in ("queue", "lang", "priority"))
        assert (data.policy, data.policy_version, data.required_labels) == (None, "2026-09", 3)
        assert event.time.isoformat() == task["created_at"].replace("Z", "+00:00")


@pytest.mark.parametrize("overlap", [True, 0, -1, 1001, 2.5, "3", None])
def test_an_overlap_that_is_no_number_of_labels_is_one(overlap: object) -> None:
    hook = fixture("0003")
    hook["tasks"] = hook["tasks"][:1]
    hook["tasks"][0]["overlap"] = overlap
    (event,) = Tool().says(hook)
    assert type(event.data.required_labels) is int
    assert event.data.required_labels == 1


def test_a_task_without_a_queue_is_in_the_projects_and_due_times_are_read() -> None:
    hook = fixture("0003")
    hook["tasks"] = hook["tasks"][:3]
    del hook["tasks"][0]["data"]["queue"]
    hook["tasks"][1]["data"]["due_at"] = "2026-11-23T08:00:00+04:00"
    hook["tasks"][2]["data"].update(due_at="tomorrow", sla_class="fast")
    tool = Tool()
    first, second, third = tool.says(hook)
    assert (first.data.queue, first.data.due_at) == ("moderation single", None)
    assert second.data.due_at.isoformat() == "2026-11-23T08:00:00+04:00"
    assert (third.data.due_at, third.data.sla_class) == (None, "fast")
    assert [problem.code for problem in tool.problems] == ["wrong_time"]


def test_a_label_has_the_labeller_their_place_the_choices_and_the_work_time() -> None:
    (event,) = Tool().says(fixture("0009"))
    data = event.data
    assert (kind(event), event.subject) == ("label.submitted", "ls-1-5")
    assert (data.label_id, data.labeler_id) == ("ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0", "ls-user-5")
    assert (data.team, data.site, data.vendor) == ("t-5", "KUL", "bpo-a")
    assert (data.values, data.queue, data.priority, data.market) == (["Spam"], "appeals", "P0", "en")
    assert (event.time - data.started_at).total_seconds() == 7.296


def test_the_severity_control_and_notes_are_no_decision_values() -> None:
    (event,) = Tool().says(fixture("0012"))
    assert event.data.values == ["Harassment", "Spam"]


def test_a_label_without_lead_time_has_no_start() -> None:
    events = Tool().says(fixture("0087"))
    assert [kind(event) for event in events] == ["label.submitted"] * 5
    assert [event.subject for event in events] == [f"ls-1-{n}" for n in (2, 3, 4, 5, 6)]
    assert {event.data.started_at for event in events} == {None}


def test_an_edit_by_the_labeller_is_a_new_version_at_its_own_time() -> None:
    tool = Tool()
    (first,) = tool.says(fixture("0009"))
    (second,) = tool.says(fixture("0010"))
    assert first.data.label_id == second.data.label_id
    assert (second.data.values, second.time.isoformat()) == (["Safe"], "2026-11-23T03:36:28.901187+00:00")
    assert first.id != second.id


def test_a_mark_of_ground_truth_confirms_where_it_is_configured_to() -> None:
    tool = Tool(SETTINGS.model_copy(update={"confirmations": frozenset({"ground_truth"})}))
    tool.says(fixture("0014"))
    (audit,) = tool.says(fixture("0015"))
    data = audit.data
    assert (kind(audit), data.verdict, data.auditor_id) == ("audit.completed", "correct", "ls-user-6")
    assert (data.error_class, data.severity, data.values) == (None, None, None)
    assert (data.sampling.method, data.sampling.probability) == ("review", None)
    assert data.label_id == "ls-f25c13ca-588f-436b-b19b-6a40698b7030"


@pytest.mark.parametrize(
    ("given_values", "truth", "error_class"),
    [
        (["Spam"], ["Safe"], "false_positive"),
        (["Safe"], ["Hate"], "false_negative"),
        (["Spam"], ["Hate"], "wrong_selection"),
        (["Spam", "Hate"], ["Spam"], "wrong_selection"),
    ],
)
def test_a_reviewer_who_changes_choices_says_incorrect_and_of_which_class(
    given_values: list[str], truth: list[str], error_class: str
) -> None:
    tool = Tool()
    hook = fixture("0009")
    hook["annotation"]["result"] = [choices(*given_values)]
    tool.says(hook)
    (audit,) = tool.says(change(hook, at("40.5"), updated_by=6, result=[choices(*truth)]))
    assert (audit.data.verdict, audit.data.error_class, audit.data.values) == ("incorrect", error_class, truth)


@pytest.mark.parametrize(
    ("choice", "severity"),
    [("S4 critical", "critical"), ("S3 high", "major"), ("S1 low", "minor"), (None, None)],
)
def test_severity_is_what_the_reviewer_chose_and_never_guessed(choice: str | None, severity: str | None) -> None:
    tool = Tool()
    hook = fixture("0014")
    tool.says(hook)
    result = [choices("Safe", control="policies")]
    result += [choices(choice, control="severity")] if choice else []
    (audit,) = tool.says(change(hook, at("40.5"), updated_by=6, result=result))
    assert (audit.data.verdict, audit.data.severity) == ("incorrect", severity)


def test_the_remembered_original_stays_the_labellers() -> None:
    tool = Tool()
    hook = fixture("0009")
    tool.says(hook)
    tool.says(change(hook, at("40.1"), updated_by=6, result=[choices("Safe")]))
    (second,) = tool.says(change(hook, at("40.2"), updated_by=7, result=[choices("Hate")]))
    (third,) = tool.says(change(hook, at("40.3"), updated_by=7, result=[choices("Spam")]))
    assert (second.data.verdict, third.data.verdict) == ("incorrect", "correct")
    assert second.data.audit_id != third.data.audit_id


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_review_of_a_label_never_seen_tells_the_label_and_gives_no_verdict(confirmed: bool) -> None:
    hook = fixture("0023")
    hook["annotation"]["ground_truth"] = confirmed
    label, audit = Tool().says(hook)
    assert (kind(label), label.data.labeler_id, audit.data.auditor_id) == ("label.submitted", "ls-user-2", "ls-user-6")
    assert label.time.isoformat() == "2026-11-23T03:36:30.087051+00:00"
    assert label.data.values == []
    assert (audit.data.verdict, audit.data.error_class, audit.data.values) == ("incomparable", None, None)


def test_a_review_that_overtook_its_label_leaves_the_label_to_it() -> None:
    tool = Tool()
    created = fixture("0009")
    tool.says(change(fixture("0009"), at("40.1"), updated_by=6, result=[choices("Safe")]))
    (late,) = tool.says(created)
    assert (kind(late), late.data.values) == ("label.submitted", ["Spam"])
    (audit,) = tool.says(change(created, at("40.2"), updated_by=6, result=[choices("Spam")]))
    assert audit.data.verdict == "correct"


def test_skips() -> None:
    tool = Tool()
    (claimed,) = tool.says(fixture("0007"))
    assert (kind(claimed), claimed.data.labeler_id) == ("task.claimed", "ls-user-3")
    hook = fixture("0009")
    tool.says(hook)
    (withdrawn,) = tool.says(change(hook, at("40.1"), was_cancelled=True, result=[]))
    assert (kind(withdrawn), withdrawn.data.label_id) == (
        "label.withdrawn",
        "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0",
    )
    assert tool.says(change(hook, at("40.2"), was_cancelled=True, result=[])) == []
    (again,) = tool.says(change(hook, at("40.3"), was_cancelled=False, result=[choices("Safe")]))
    assert again.data.label_id == "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0-2", "a withdrawal is final"
    (audit,) = tool.says(change(hook, at("40.4"), updated_by=6, result=[choices("Safe")]))
    assert (audit.data.label_id, audit.data.verdict) == (again.data.label_id, "correct")
    (third,) = tool.says(change(hook, at("40.5"), was_cancelled=True, updated_by=5, result=[]))
    assert third.data.label_id == again.data.label_id


def test_a_skip_that_becomes_a_label_is_the_first_of_its_name() -> None:
    tool = Tool()
    hook = fixture("0007")
    tool.says(hook)
    (label,) = tool.says(change(hook, at("40.1"), was_cancelled=False, result=[choices("Safe", control="policies")]))
    assert (label.data.label_id, label.data.values) == ("ls-377cd95e-d8a6-4fca-91d3-76d2734221a3", ["Safe"])


def deletion(*ids: int, project: int | None = 1) -> dict[str, Any]:
    hook: dict[str, Any] = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": one} for one in ids]}
    return hook if project is None else {**hook, "project": {"id": project}}


@pytest.mark.parametrize("project", [1, None])
def test_a_deleted_annotation_is_withdrawn_and_an_unknown_one_told(project: int | None) -> None:
    tool = Tool()
    tool.says(fixture("0009"))
    (event,) = tool.says(deletion(4, 20, project=project))
    assert (kind(event), event.subject) == ("label.withdrawn", "ls-1-5")
    assert event.data.label_id == "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0"
    (problem,) = tool.problems
    assert (problem.code, problem.field, problem.summary["id"]) == ("unknown_annotation", "$.annotations[1].id", 20)


def test_a_deleted_skip_is_nothing() -> None:
    tool = Tool()
    tool.says(fixture("0007"))
    assert tool.says(deletion(2, project=2)) == []
    assert tool.problems == []


def test_an_annotation_id_given_out_again_is_another_label() -> None:
    tool = Tool()
    tool.says(fixture("0009"))
    tool.says(deletion(4))
    hook = fixture("0009")
    hook["annotation"].update(unique_id="another", completed_by=2, updated_by=2, created_at=at("50.1"))
    hook["annotation"]["updated_at"] = at("50.1")
    (label,) = tool.says(hook)
    assert (label.data.label_id, label.data.labeler_id) == ("ls-another", "ls-user-2")
    (event,) = tool.says(deletion(4))
    assert event.data.label_id == "ls-another"


def test_deleted_tasks_are_cancelled_also_without_a_project() -> None:
    tool = Tool()
    tool.says(fixture("0003"))
    tool.says(fixture("0012"))  # a task whose creation was never sent
    hook = {"action": "TASKS_DELETED", "tasks": [{"id": 1}, {"id": 34}, {"id": 999}]}
    events = tool.says(hook)
    assert [(kind(event), event.subject) for event in events] == [
        ("task.cancelled", "ls-1-1"),
        ("task.cancelled", "ls-2-34"),
    ]
    assert [problem.code for problem in tool.problems] == ["unknown_task"]
    assert [kind(event) for event in tool.says(fixture("0093"))] == ["task.cancelled"]


def test_a_task_id_given_out_again_is_another_task() -> None:
    tool = Tool()
    tool.says(fixture("0003"))
    tool.says({"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}})
    hook = fixture("0003")
    hook["tasks"] = [one for one in hook["tasks"] if one["id"] == 5]
    hook["tasks"][0]["created_at"] = at("50.1")
    assert [event.subject for event in tool.says(hook)] == ["ls-1-5-2"]
    label = fixture("0009")
    label["task"]["created_at"] = at("50.1")
    label["annotation"].update(created_at=at("51.1"), updated_at=at("51.1"))
    assert [event.subject for event in tool.says(label)] == ["ls-1-5-2"]


@pytest.mark.parametrize("name", [name for name in fixture_names() if "PROJECT_" in name or "LABEL_LINK" in name])
def test_projects_and_label_links_say_nothing(name: str) -> None:
    found = translate(fixture(name), {}, TranslationContext("s", NOW_MS, SETTINGS))
    assert (found.events, found.problems, found.remember) == ([], [], {})
    assert found.ignored


def test_an_unknown_action_is_told() -> None:
    tool = Tool()
    assert tool.says({"action": "SOMETHING_HAPPENED", "something": {}}) == []
    assert [problem.code for problem in tool.problems] == ["unknown_type"]


def test_a_bad_annotation_among_good_ones_is_told_and_the_others_count() -> None:
    tool = Tool()
    hook = fixture("0087")
    del hook["annotation"][1]["unique_id"]
    hook["annotation"][2]["created_at"] = "2026-11-23 03:36"
    assert len(tool.says(hook)) == 3
    assert [(one.code, one.field) for one in tool.problems] == [
        ("missing_field", "$.annotations[1].unique_id"),
        ("wrong_time", "$.annotations[2].created_at"),
    ]


def test_everything_twice_changes_nothing() -> None:
    """A second delivery of all webhooks, long after, makes no event that was not made the first time."""
    tool = Tool()
    hooks = [fixture(name) for name in fixture_names()]
    hook = fixture("0009")
    lives = [change(hook, at("40.1"), was_cancelled=True, result=[])]
    hooks += [
        *lives,
        change(fixture("0009"), at("40.2"), was_cancelled=False, result=[choices("Safe")]),
        change(fixture("0009"), at("40.3"), updated_by=6, result=[choices("Hate")]),
        deletion(4, 8),
    ]
    first = {encode_event(event) for one in hooks for event in tool.says(one)}
    again = {encode_event(event) for one in hooks for event in tool.says(one)}
    assert again <= first
    assert len(first) > 60


def test_distilling_keeps_ids_times_dimensions_and_choices_only() -> None:
    for name in fixture_names():
        kept = str(distill(fixture(name), SETTINGS))
        for secret in ("REDACTED", "lovely", "siehe Regel", "label_config", "content_id", "enqueued_at", "notes"):
            assert secret not in kept, (name, secret)
    assert "lovely" in raw_fixture("0003"), "the search would find it"


def test_a_distilled_webhook_means_the_same() -> None:
    for name in fixture_names():
        assert Tool().says(distill(fixture(name), SETTINGS)) == Tool().says(fixture(name)), name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.data())
def test_any_part_of_a_webhook_may_be_anything(data: st.DataObject) -> None:
    """Whatever is put anywhere, the answer is events, problems or BadWebhook, never another failure."""
    hook = fixture(data.draw(st.sampled_from(["0003", "0009", "0010", "0015", "0033", "0087", "0093"])))
    for name in ("tasks", "annotation", "task"):
        if isinstance(hook.get(name), list):
            hook[name] = hook[name][:2]
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = hook
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(JSON)
            break
    context = TranslationContext("label-studio/x", NOW_MS, SETTINGS)
    try:
        seen = {key: {} for key in lookups(hook, context, {})}
        assert isinstance(seen, dict)
        translate(hook, {}, context)
    except BadWebhook as fault:
        assert fault.reason
