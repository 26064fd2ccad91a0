"""Answers that cannot be compared: Label Studio's forms beyond plain choices, and webhooks that leave the answer out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.core.harness import CoreRun
from tests.gateway.harness import Bench, fixture
from tests.gateway.test_label_studio import Tool, at, change, choices, kind

CASES = Path(__file__).parents[1] / "data" / "cases"


def part(kind_: str, value: Any, control: str = "c") -> dict[str, Any]:
    return {"from_name": control, "to_name": "x", "type": kind_, "value": value}


BOX = {"x": 1, "y": 2, "width": 3, "height": 4}

CHANGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "rating": ([part("rating", {"rating": 4})], [part("rating", {"rating": 1})]),
    "taxonomy": ([part("taxonomy", {"taxonomy": [["a", "b"]]})], [part("taxonomy", {"taxonomy": [["a", "c"]]})]),
    "box moved": (
        [part("rectanglelabels", {**BOX, "rectanglelabels": ["car"]})],
        [part("rectanglelabels", {**BOX, "x": 50, "rectanglelabels": ["car"]})],
    ),
    "box removed": ([part("rectanglelabels", {**BOX, "rectanglelabels": ["car"]})], []),
    "text": ([part("textarea", {"text": ["one"]})], [part("textarea", {"text": ["two"]})]),
    "number": ([part("number", {"number": 1})], [part("number", {"number": 2})]),
    "span": (
        [part("labels", {"start": 0, "end": 4, "labels": ["PER"]})],
        [part("labels", {"start": 0, "end": 9, "labels": ["PER"]})],
    ),
    "choice of a region": (
        [part("choices", {"choices": ["a"], "start": 0, "end": 4})],
        [part("choices", {"choices": ["a"], "start": 0, "end": 9})],
    ),
    "the same choices beside a rating": (
        [choices("Spam"), part("rating", {"rating": 4})],
        [choices("Spam"), part("rating", {"rating": 1})],
    ),
    "nothing beside nothing": ([], []),
    "a choice that is not a text": ([part("choices", {"choices": [4]})], [part("choices", {"choices": [5]})]),
}


def reviewed(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Any:
    """The audit that follows when somebody else saves the annotation."""
    tool, hook = Tool(), fixture("0009")
    hook["annotation"]["result"] = before
    tool.says(hook)
    (audit,) = tool.says(change(hook, at("40.5"), updated_by=6, result=after))
    assert kind(audit) == "audit.completed"
    return audit.data


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_cannot_be_compared_gives_no_verdict(name: str) -> None:
    audit = reviewed(*CHANGES[name])
    assert (audit.verdict, audit.error_class, audit.values) == ("incomparable", None, None)


@pytest.mark.parametrize("name", CHANGES)
def test_a_review_that_changes_nothing_there_gives_no_verdict_either(name: str) -> None:
    assert reviewed(CHANGES[name][0], CHANGES[name][0]).verdict == "incomparable"


def test_choices_that_differ_are_wrong_whatever_stands_beside_them() -> None:
    rated = part("rating", {"rating": 4})
    assert reviewed([choices("Spam"), rated], [choices("Safe"), rated]).verdict == "incorrect"


def test_the_same_value_of_another_control_is_another_answer() -> None:
    one, two = choices("yes", control="hate"), choices("no", control="spam")
    swapped = [choices("no", control="hate"), choices("yes", control="spam")]
    assert reviewed([one, two], [two, one]).verdict == "correct"
    found = reviewed([one, two], swapped)
    assert (found.verdict, found.error_class) == ("incorrect", "wrong_selection")


def test_remarks_decide_nothing() -> None:
    before = [choices("Spam"), part("textarea", {"text": ["see rule 4"]}, control="notes")]
    assert reviewed(before, [choices("Spam")]).verdict == "correct"


def test_a_webhook_without_the_answer_gives_no_verdict() -> None:
    tool, hook = Tool(), fixture("0009")
    tool.says(hook)
    again = change(hook, at("40.5"), updated_by=6)
    del again["annotation"]["result"]
    (audit,) = tool.says(again)
    assert audit.data.verdict == "incomparable"


def test_what_was_remembered_before_controls_were_is_compared_by_its_values() -> None:
    tool, hook = Tool(), fixture("0009")
    tool.says(hook)
    for record in tool.tool_state.values():
        record.pop("choices", None), record.pop("complete", None)
    (same,) = tool.says(change(hook, at("40.5"), updated_by=6))
    (other,) = tool.says(change(hook, at("40.6"), updated_by=6, result=[choices("Safe")]))
    assert (same.data.verdict, other.data.verdict) == ("correct", "incorrect")


def told(name: str) -> tuple[list[dict[str, Any]], Bench, Any]:
    """Answers to the webhooks of a case, the gateway, and the accuracy row of the whole floor."""
    found = json.loads((CASES / name).read_text())
    answers: list[dict[str, Any]] = []

    async def steps(bench: Bench) -> None:
        for hook in found if isinstance(found, list) else [found]:
            status, said = await bench.hook(hook)
            assert status == 200
            answers.append(said)

    bench = Bench().run(steps)
    run = CoreRun()
    run.send(value for _, value in bench.publisher.records)
    run.finish()
    return answers, bench, run.windows()["accuracy"].get(("all", "7d"))


def test_case_03_a_reviewer_changes_a_rating() -> None:
    answers, _, row = told("03-ls-reviewer-changes-rating.json")
    assert [said["incomparable"] for said in answers] == [0, 1]
    assert (row["labels"], row["audited"], row["correct"], row["incomparable"]) == (1, 0, 0, 1)


def test_case_11_a_webhook_without_its_payload() -> None:
    answers, bench, _ = told("11-ls-webhook-without-payload.json")
    assert (answers[0]["events"], answers[0]["ignored"]) == (0, None)
    assert [letter["code"] for letter in bench.dead] == ["missing_field"]
    assert "Send payload" in bench.dead[0]["reason"]


@pytest.mark.parametrize("action", ["TASKS_CREATED", "TASKS_DELETED", "ANNOTATIONS_DELETED", "ANNOTATION_UPDATED"])
def test_other_webhooks_without_their_payload_are_told_too(action: str) -> None:
    tool = Tool()
    assert tool.says({"action": action}) == []
    assert [problem.code for problem in tool.problems] == ["missing_field"]
    assert tool.says({"action": action, "tasks": [], "annotations": []}) == []
    assert len(tool.problems) == 1


MALFORMED_PARTS: dict[str, Any] = {
    "a number": 1,
    "a text": "SECRET",
    "a list": [["SECRET"]],
    "null": [None],
    "true or false": [True],
}


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize("name", ["annotation", "annotations", "tasks"])
@pytest.mark.parametrize("kind_", list(MALFORMED_PARTS))
def test_a_part_that_is_no_object_is_a_dead_letter_since_nobody_asks_again(kind_: str, name: str, size: int) -> None:
    action = "TASKS_CREATED" if name == "tasks" else "ANNOTATIONS_DELETED"
    webhook = {"action": action, name: MALFORMED_PARTS[kind_], "unknown": "x" * size}

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(json.dumps(webhook))
        assert (status, said["events"], said["ignored"]) == (200, 0, None)
        assert [one["code"] for one in said["problems"]] == ["wrong_type"]

    bench = Bench().run(steps)
    (letter,) = bench.dead
    assert (letter["code"], letter["field"]) == ("wrong_type", f"$.{name.removesuffix('s')}s[0]")
    assert f"is {kind_} and not an object" in letter["reason"]
    assert "SECRET" not in json.dumps(letter)


@pytest.mark.parametrize("size", [0, 100_000])
def test_good_annotations_beside_one_that_is_no_object_count(size: int) -> None:
    webhook = {**fixture("0087"), "unknown": "x" * size}
    good = len(webhook["annotation"])
    webhook["annotation"] = [webhook["annotation"][0], 5, *webhook["annotation"][1:]]

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(json.dumps(webhook))
        assert (status, said["events"]) == (200, good)
        assert [(one["code"], one["field"]) for one in said["problems"]] == [("wrong_type", "$.annotations[1]")]

    Bench().run(steps)


@pytest.mark.parametrize("without", [{}, {"annotation": None}, {"annotation": None, "annotations": None}])
def test_a_large_webhook_without_its_payload_is_told_as_a_small_one_is(without: dict[str, Any]) -> None:
    webhook = {"action": "ANNOTATION_UPDATED", **without, "unknown": "x" * 100_000}

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(json.dumps(webhook))
        assert (status, [one["code"] for one in said["problems"]]) == (200, ["missing_field"])

    assert [letter["code"] for letter in Bench().run(steps).dead] == ["missing_field"]


@pytest.mark.parametrize("malformed", [{"annotation": [1]}, {"data": 5}])
def test_a_malformed_part_is_told_where_it_is_read_again_from_the_spool(malformed: dict[str, Any]) -> None:
    """Reduced twice, as a webhook of the spool may be, it says the same."""
    from gateway.sources.label_studio.read import distill
    from gateway.sources.label_studio.settings import LabelStudioSettings

    ours = LabelStudioSettings()
    once = distill({"action": "ANNOTATION_CREATED", **malformed}, ours)
    assert distill(json.loads(json.dumps(once)), ours) == once
