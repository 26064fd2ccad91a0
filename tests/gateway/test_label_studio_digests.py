"""A review of what is no choice: a rating, a text, a box. Changed content is incorrect, whatever ids the tool gives it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from gateway.sources.label_studio.digest import digest_of, prefix_of, same
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from tests.gateway.harness import fixture
from tests.gateway.test_label_studio import SETTINGS, Tool, at, change

KEY = "k" * 32
KEYED = SETTINGS.model_copy(update={"digest_key": SecretStr(KEY)})
OTHER_KEY = SETTINGS.model_copy(update={"digest_key": SecretStr("o" * 32)})


def part(kind: str, value: Any, name: str = "field", **more: Any) -> dict[str, Any]:
    """A part of an answer that is no region."""
    return {
        "id": "abc",
        "from_name": name,
        "to_name": "text",
        "type": kind,
        "origin": "manual",
        "value": {kind: value},
        **more,
    }


def box(x: float, label: str, name: str = "one") -> dict[str, Any]:
    value = {"x": x, "y": 20.5, "width": 10, "height": 10, "rotation": 0, "rectanglelabels": [label]}
    return {
        "id": name,
        "from_name": "boxes",
        "to_name": "image",
        "type": "rectanglelabels",
        "origin": "manual",
        "value": value,
    }


def span(start: int, end: int, label: str, name: str = "one") -> dict[str, Any]:
    value = {"start": start, "end": end, "text": "some words", "labels": [label]}
    return {"id": name, "from_name": "ner", "to_name": "text", "type": "labels", "origin": "manual", "value": value}


def choice(value: str, control: str) -> dict[str, Any]:
    return part("choices", [value], control)


CHANGES = {
    "rating": ([part("rating", 2)], [part("rating", 5)]),
    "number": ([part("number", 1)], [part("number", 1.5)]),
    "text": ([part("textarea", ["a cat"])], [part("textarea", ["a dog"])]),
    "taxonomy": ([part("taxonomy", [["a", "b"]])], [part("taxonomy", [["a", "c"]])]),
    "box moved": ([box(10.0, "cat")], [box(12.5, "cat")]),
    "box relabelled": ([box(10.0, "cat")], [box(10.0, "dog")]),
    "box removed": ([box(10.0, "cat"), box(40.0, "cat", "two")], [box(10.0, "cat")]),
    "last box removed": ([choice("Safe", "policy"), box(10.0, "cat")], [choice("Safe", "policy")]),
    "first box drawn": ([choice("Safe", "policy")], [choice("Safe", "policy"), box(10.0, "cat")]),
    "span": ([span(0, 4, "PER")], [span(0, 5, "PER")]),
    "span relabelled": ([span(0, 4, "PER")], [span(0, 4, "ORG")]),
    "second control": (
        [choice("Safe", "policy"), choice("low", "quality")],
        [choice("Safe", "policy"), choice("high", "quality")],
    ),
    "controls swapped": ([choice("a", "one"), choice("b", "two")], [choice("b", "one"), choice("a", "two")]),
}


def reviewed(tool: Tool, given: list[Any], after: list[Any]) -> Any:
    """The audit of one answer that another person has saved as another."""
    hook = fixture("0009")
    hook["annotation"]["result"] = given
    tool.says(deepcopy(hook))
    (audit,) = tool.says(change(hook, at("59.000000"), result=after, updated_by=99))
    return audit.data


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_answer_is_incorrect(name: str) -> None:
    assert reviewed(Tool(KEYED), *CHANGES[name]).verdict == "incorrect"


@pytest.mark.parametrize("name", CHANGES)
def test_an_answer_that_is_saved_as_it_was_is_correct(name: str) -> None:
    for answer in CHANGES[name]:
        assert reviewed(Tool(KEYED), answer, deepcopy(answer)).verdict == "correct"


def test_ids_order_origin_and_the_last_digits_of_coordinates_are_no_content() -> None:
    before = [box(10.0, "cat"), box(40.123456, "dog", "two")]
    after = [
        {**box(40.12345600001, "dog", "other"), "origin": "prediction", "score": 0.5, "readonly": True},
        box(10, "cat", "again"),
    ]
    assert reviewed(Tool(KEYED), before, after).verdict == "correct"


def test_what_belongs_to_which_region_is_content() -> None:
    def regions(first: str, second: str) -> list[Any]:
        boxes = [box(10.0, "cat", "one"), box(40.0, "cat", "two")]
        return [*boxes, {**part("textarea", ["big"]), "id": first}, {**part("textarea", ["small"]), "id": second}]

    assert reviewed(Tool(KEYED), regions("one", "two"), regions("two", "one")).verdict == "incorrect"
    relation = {"type": "relation", "from_id": "one", "to_id": "two", "direction": "right"}
    ends = [span(0, 4, "PER", "one"), span(9, 12, "ORG", "two")]
    turned = {**relation, "from_id": "two", "to_id": "one"}
    assert reviewed(Tool(KEYED), [*ends, relation], [*ends, turned]).verdict == "incorrect"


def test_without_a_key_or_with_another_there_is_no_verdict() -> None:
    given, after = CHANGES["rating"]
    assert reviewed(Tool(SETTINGS), given, after).verdict == "incomparable"
    hook = fixture("0009")
    hook["annotation"]["result"] = given
    tool = Tool(OTHER_KEY)
    tool.says(deepcopy(hook))
    tool.settings = KEYED
    (audit,) = tool.says(change(hook, at("59.000000"), result=after, updated_by=99))
    assert audit.data.verdict == "incomparable"


def test_what_was_remembered_before_there_were_digests_gives_no_verdict() -> None:
    hook = fixture("0009")
    hook["annotation"]["result"] = [part("rating", 2)]
    tool = Tool(KEYED)
    tool.says(deepcopy(hook))
    for record in tool.tool_state.values():
        record.pop("digest", None)
    (audit,) = tool.says(change(hook, at("59.000000"), result=[part("rating", 5)], updated_by=99))
    assert audit.data.verdict == "incomparable"


def test_nothing_of_the_content_gets_past_and_a_distilled_webhook_stays_as_it_is() -> None:
    hook = fixture("0009")
    hook["annotation"]["result"] = [part("textarea", ["SECRET words"]), box(10.0, "SECRET label")]
    kept = distill(hook, KEYED)
    assert "SECRET" not in json.dumps(kept)
    assert kept["annotations"][0]["digest"].startswith(prefix_of(KEY.encode()))
    assert distill(kept, KEYED) == kept


def test_a_digest_hangs_on_the_key_and_is_compared_by_its_prefix_only() -> None:
    parts = [part("rating", 2)]
    one, other = digest_of(parts, b"a" * 32), digest_of(parts, b"b" * 32)
    assert one != other
    assert (same(one, one), same(one, other), same(one, ""), same(None, one), same("", "")) == (
        True,
        None,
        False,
        None,
        True,
    )


@pytest.mark.parametrize("odd", [[None], [1, "x"], [{}], [{"id": 3, "value": [float("inf"), "\ud800"]}], [[[[]]]]])
def test_odd_parts_have_a_digest_too(odd: list[Any]) -> None:
    assert digest_of(odd, b"a" * 32) == digest_of(deepcopy(odd), b"a" * 32)


def test_a_short_key_is_refused_with_the_way_to_one() -> None:
    with pytest.raises(ValidationError, match="fewer than 16 characters"):
        LabelStudioSettings(digest_key=SecretStr("short"))
