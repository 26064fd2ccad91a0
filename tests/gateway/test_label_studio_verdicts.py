"""Verdicts are what somebody gave: which saves of Label Studio say something of a label, and which do not (ADR 63)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from gateway.sources.label_studio.settings import LabelStudioSettings
from streams.models.events import encode_event
from tests.core.harness import CoreRun
from tests.gateway.harness import fixture
from tests.gateway.test_label_studio import Tool, at, change, choices, deletion, kind
from tests.gateway.test_label_studio_digests import KEYED, part

LABEL = "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0"
Hook = dict[str, Any]


def labelled(tool: Tool, *parts: Hook) -> Hook:
    """The webhook of an annotation by user 5, which the tool has sent."""
    hook = fixture("0009")
    hook["annotation"]["result"] = list(parts) or [choices("Spam")]
    (label,) = tool.says(deepcopy(hook))
    assert (kind(label), label.data.label_id) == ("label.submitted", LABEL)
    return hook


def said(events: list[Any]) -> list[tuple[str, str]]:
    return [(kind(event), getattr(event.data, "verdict", "")) for event in events]


def accuracy(tool_events: list[Any]) -> tuple[float, float]:
    """Audited and correct, as the tables have them."""
    run = CoreRun()
    run.send(encode_event(event) for event in tool_events)
    run.finish()
    rows = [row for (key, _), row in run.panes()["accuracy"].items() if key == "all"]
    return sum(row["audited"] for row in rows), sum(row["correct"] for row in rows)


@pytest.mark.parametrize("settings", [LabelStudioSettings(), KEYED])
def test_ground_truth_set_and_unset_says_nothing(settings: LabelStudioSettings) -> None:
    tool = Tool(settings)
    hook = labelled(tool, choices("Spam"), part("rating", 3))
    assert tool.says(change(hook, at("40.1"), updated_by=6, ground_truth=True)) == []
    assert tool.says(change(hook, at("40.2"), updated_by=6, ground_truth=False)) == []
    assert tool.says(change(hook, at("40.3"), updated_by=5, ground_truth=True)) == []


def test_ground_truth_confirms_where_configured_and_only_when_set() -> None:
    tool = Tool(LabelStudioSettings(confirmations=frozenset({"ground_truth"})))
    hook = labelled(tool)
    assert said(tool.says(change(hook, at("40.1"), updated_by=6, ground_truth=True))) == [
        ("audit.completed", "correct")
    ]
    assert tool.says(change(hook, at("40.2"), updated_by=6, ground_truth=False)) == []


@pytest.mark.parametrize(
    ("confirmations", "by_lead_time", "by_nothing"),
    [
        ({"unchanged"}, [], [("audit.completed", "correct")]),
        ({"lead_time"}, [("audit.completed", "correct")], []),
        (set(), [], []),
    ],
)
def test_a_save_without_a_change_says_what_is_configured(
    confirmations: set[str], by_lead_time: list[Any], by_nothing: list[Any]
) -> None:
    tool = Tool(LabelStudioSettings.model_validate({"confirmations": confirmations}))
    hook = labelled(tool)
    assert said(tool.says(change(hook, at("40.1"), updated_by=6, lead_time=99.5))) == by_lead_time
    assert said(tool.says(change(hook, at("40.2"), updated_by=7))) == by_nothing


def test_a_save_of_the_labeller_that_changes_nothing_is_no_new_version() -> None:
    tool = Tool()
    hook = labelled(tool)
    assert tool.says(change(hook, at("40.1"))) == []
    assert said(tool.says(change(hook, at("40.2"), lead_time=99.5))) == [("label.submitted", "")]
    assert tool.says(change(hook, at("40.3"), ground_truth=True)) == []


def test_what_the_labeller_saves_after_a_fix_is_no_new_version_and_no_verdict() -> None:
    tool = Tool()
    first = fixture("0009")
    events = tool.says(deepcopy(first))
    events += tool.says(change(first, at("40.1"), updated_by=6, result=[choices("Safe")]))
    for second, fields in ((2, {}), (3, {"lead_time": 99.0}), (4, {"result": [choices("Hate")]})):
        assert tool.says(change(first, at(f"40.{second}"), updated_by=5, **fields)) == []
    # Nor does a reviewer who leaves what the labeller made of it say anything of the label.
    assert tool.says(change(first, at("40.5"), updated_by=6, lead_time=120.0)) == []
    assert accuracy(events) == (1, 0)
    (back,) = tool.says(change(first, at("40.6"), updated_by=6, result=[choices("Spam")]))
    assert back.data.verdict == "correct"


def test_a_fix_that_is_delivered_again_or_saved_again_by_another_is_one_verdict() -> None:
    tool = Tool()
    hook = labelled(tool)
    fix = change(hook, at("40.1"), updated_by=6, result=[choices("Safe")])
    assert said(tool.says(deepcopy(fix))) == [("audit.completed", "incorrect")]
    assert tool.says(deepcopy(fix)) == []
    assert tool.says(change(hook, at("40.2"), updated_by=7)) == []


def test_only_reviewers_review() -> None:
    tool = Tool(LabelStudioSettings(reviewers=frozenset({"ls-user-6"})))
    hook = labelled(tool)
    assert tool.says(change(hook, at("40.1"), updated_by=7, result=[choices("Safe")])) == []
    assert tool.says(change(hook, at("40.2"), updated_by=7)) == []
    assert said(tool.says(change(hook, at("40.3"), updated_by=5, result=[choices("Hate")]))) == [
        ("label.submitted", "")
    ]
    assert said(tool.says(change(hook, at("40.4"), updated_by=6, result=[choices("Safe")]))) == [
        ("audit.completed", "incorrect")
    ]
    never_seen = fixture("0023")
    never_seen["annotation"]["updated_by"] = 7
    assert said(tool.says(never_seen)) == [("label.submitted", "")]


@pytest.mark.parametrize("again_by", [5, 6])
def test_a_reviewers_skip_takes_the_label_and_says_nothing_of_it(again_by: int) -> None:
    tool = Tool()
    hook = labelled(tool)
    assert said(tool.says(change(hook, at("40.1"), updated_by=6, was_cancelled=True))) == [("label.withdrawn", "")]
    (again,) = tool.says(change(hook, at("40.2"), updated_by=again_by, was_cancelled=False))
    assert (again.data.labeler_id, again.data.label_id) == ("ls-user-5", f"{LABEL}-2"), (
        "the answer is still the labeller's"
    )


def test_a_deletion_takes_the_label_and_says_nothing_of_it() -> None:
    tool = Tool()
    labelled(tool)
    assert said(tool.says(deletion(4))) == [("label.withdrawn", "")]


# -- corrected copies ----------------------------------------------------------------------------------------------


def copy_of(hook: Hook, by: int, second: str, *parts: Hook, **more: Any) -> Hook:
    """The webhook of a copy of an annotation that somebody has submitted."""
    found = deepcopy(hook)
    found["action"] = "ANNOTATION_CREATED"
    found["annotation"].update(id=900, unique_id="copy-1", completed_by=by, updated_by=by, parent_annotation=4)
    found["annotation"].update(created_at=at(second), updated_at=at(second), result=list(parts), **more)
    return found


def test_a_reviewers_corrected_copy_is_an_audit_and_no_label() -> None:
    tool = Tool()
    hook = labelled(tool)
    copy = copy_of(hook, 6, "41.1", choices("Safe"))
    (audit,) = tool.says(deepcopy(copy))
    assert (audit.data.verdict, audit.data.label_id, audit.data.auditor_id) == ("incorrect", LABEL, "ls-user-6")
    assert (audit.data.error_class, audit.data.values) == ("false_positive", ["Safe"])
    (again,) = tool.says(change(copy, at("41.2"), result=[choices("Hate")]))
    assert (again.data.audit_id, again.data.values) == (audit.data.audit_id, ["Hate"])
    (gone,) = tool.says(deletion(900))
    assert (kind(gone), gone.data.audit_id) == ("audit.withdrawn", audit.data.audit_id)


def test_a_copy_that_changes_nothing_says_nothing_until_it_is_changed() -> None:
    tool = Tool()
    copy = copy_of(labelled(tool), 6, "41.1", choices("Spam"))
    assert tool.says(deepcopy(copy)) == []
    (audit,) = tool.says(change(copy, at("41.2"), result=[choices("Hate")]))
    assert audit.data.verdict == "incorrect"
    (skipped,) = tool.says(change(copy, at("41.3"), was_cancelled=True, result=[]))
    assert kind(skipped) == "audit.withdrawn"


def test_a_copy_of_ones_own_or_by_no_reviewer_is_a_label_and_of_an_unknown_one_a_dead_letter() -> None:
    tool = Tool()
    hook = labelled(tool)
    assert said(tool.says(copy_of(hook, 5, "41.1", choices("Safe")))) == [("label.submitted", "")]
    listed = Tool(LabelStudioSettings(reviewers=frozenset({"ls-user-6"})))
    assert said(listed.says(copy_of(labelled(listed), 7, "41.1", choices("Safe")))) == [("label.submitted", "")]
    fresh = Tool()
    assert fresh.says(copy_of(hook, 6, "41.1", choices("Safe"))) == []
    assert [problem.code for problem in fresh.problems] == ["unknown_annotation"]


# -- models --------------------------------------------------------------------------------------------------------


def test_annotations_made_of_predictions_are_the_models() -> None:
    """``predictions_to_annotations``: completed_by is the admin who ran it, and nobody has worked on them."""
    hook = fixture("0087")
    assert {one["completed_by"] for one in hook["annotation"]} == {1}
    tool = Tool()
    assert {event.data.labeler_id for event in tool.says(deepcopy(hook))} == {"ls-model"}
    fixed = {"action": "ANNOTATION_UPDATED", "task": hook["task"][0], "project": hook["project"]}
    fixed["annotation"] = {
        **hook["annotation"][0],
        "updated_by": 1,
        "updated_at": at("50.1"),
        "result": [choices("None")],
    }
    (audit,) = tool.says(fixed)
    assert (audit.data.verdict, audit.data.auditor_id) == ("incorrect", "ls-user-1")


def test_who_submits_a_prediction_they_have_looked_at_has_labelled() -> None:
    hook = fixture("0009")
    hook["annotation"]["parent_prediction"] = 3
    (label,) = Tool().says(hook)
    assert label.data.labeler_id == "ls-user-5", "the editor says how long they worked on it"


def test_who_made_an_unseen_annotation_of_a_prediction_is_unknown() -> None:
    hook = fixture("0023")
    hook["annotation"]["parent_prediction"] = 3
    label, audit = Tool().says(hook)
    assert (label.data.labeler_id, audit.data.verdict) == ("ls-user-unknown", "incomparable")


# -- reviews of the Enterprise edition -----------------------------------------------------------------------------


def review(accepted: Any, second: str, action: str = "REVIEW_CREATED", **more: Any) -> Hook:
    """A review as label-studio-sdk describes it; not captured live."""
    body = {"id": 70, "annotation": 4, "accepted": accepted, "created_by": 6, "created_at": at(second), **more}
    return {"action": action, "project": {"id": 1, "title": "p"}, "review": body}


@pytest.mark.parametrize(("accepted", "verdict"), [(True, "correct"), (False, "incorrect")])
def test_a_review_is_a_verdict(accepted: bool, verdict: str) -> None:
    tool = Tool()
    labelled(tool)
    (audit,) = tool.says(review(accepted, "41.1"))
    assert (audit.data.verdict, audit.data.label_id, audit.data.auditor_id) == (verdict, LABEL, "ls-user-6")
    assert audit.data.sampling.method == "review"
    (turned,) = tool.says(review(not accepted, "41.1", "REVIEW_UPDATED", updated_at=at("41.2")))
    assert turned.data.audit_id == audit.data.audit_id
    assert turned.data.verdict != verdict
    (gone,) = tool.says({"action": "REVIEWS_DELETED", "reviews": [{"id": 70}], "project": {"id": 1}})
    assert (kind(gone), gone.data.audit_id) == ("audit.withdrawn", audit.data.audit_id)


def test_a_review_with_a_change_leaves_the_verdict_to_the_change() -> None:
    tool = Tool()
    hook = labelled(tool)
    assert tool.says(review(True, "41.1", fixed_annotation_history=9)) == []
    assert said(tool.says(change(hook, at("41.2"), updated_by=6, result=[choices("Safe")]))) == [
        ("audit.completed", "incorrect")
    ]
    assert tool.says(review(True, "41.3", id=71)) == []
    assert tool.problems == []


def test_an_acceptance_that_becomes_a_change_is_withdrawn() -> None:
    tool = Tool()
    labelled(tool)
    tool.says(review(True, "41.1"))
    (gone,) = tool.says(review(True, "41.1", "REVIEW_UPDATED", updated_at=at("41.2"), fixed_annotation_history=9))
    assert kind(gone) == "audit.withdrawn"


def test_nobody_reviews_themselves_and_a_skip_is_not_reviewed() -> None:
    tool = Tool()
    hook = labelled(tool)
    assert tool.says(review(True, "41.1", created_by={"id": 5})) == []
    tool.says(change(hook, at("41.2"), was_cancelled=True, result=[]))
    assert tool.says(review(True, "41.3")) == []


@pytest.mark.parametrize(
    ("change_of", "code", "field"),
    [
        ({"accepted": None}, "missing_field", "$.reviews[0].accepted"),
        ({"accepted": "yes"}, "wrong_type", "$.reviews[0].accepted"),
        ({"created_by": None}, "missing_field", "$.reviews[0].created_by"),
        ({"annotation": 5}, "unknown_annotation", "$.reviews[0].annotation"),
        ({"annotation": None}, "unknown_annotation", "$.reviews[0].annotation"),
    ],
)
def test_a_review_in_another_shape_is_a_dead_letter(change_of: Hook, code: str, field: str) -> None:
    tool = Tool()
    labelled(tool)
    hook = review(True, "41.1")
    hook["review"].update(change_of)
    assert tool.says(hook) == []
    assert [(problem.code, problem.field) for problem in tool.problems] == [(code, field)]
    tool.problems.clear()
    assert tool.says({"action": "REVIEW_CREATED", "project": {"id": 1}}) == []
    assert tool.says({"action": "REVIEWS_DELETED", "reviews": [{"id": 5}]}) == []
    assert [problem.code for problem in tool.problems] == ["missing_field", "unknown_review"]
