"""Mappings of tools that were never seen here: they make no event, and what they do not name is kept nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.sources.mapped.mapping import load_mapping
from gateway.sources.mapped.trial import failures
from tests.gateway.mapped_hooks import run_hooks

NOT_CAPTURED = sorted(Path("examples/mappings/not_captured").glob("*.yaml"))


def test_there_is_a_mapping_for_each_tool_that_was_not_captured_and_the_page_names_it() -> None:
    page = Path("docs/sources/mapping.md").read_text()
    titles = [load_mapping(path).title.removeprefix("Amazon ") for path in NOT_CAPTURED]
    assert len(titles) == 9
    assert [one for one in titles if f"| {one} |" not in page] == []
    assert all("NOT CAPTURED LIVE" in path.read_text() for path in NOT_CAPTURED)


@pytest.mark.parametrize("path", NOT_CAPTURED, ids=lambda path: path.stem)
def test_a_tool_that_was_not_captured_makes_no_event_and_its_letters_hold_what_is_named_alone(path: Path) -> None:
    mapping = load_mapping(path)
    assert failures(mapping) == []
    bench, said = run_hooks(*(one.hook for one in mapping.examples), mapping=path)
    assert bench.events == []
    assert bench.dead
    assert all(one["problems"] or one["ignored"] for one in said)
    letters = json.dumps(bench.dead)
    for content in ("words", "mod@coop.example", "somebody", "Ana"):
        assert content not in letters


def test_what_is_not_kept_of_a_hook_is_in_none_of_its_letters() -> None:
    """The test above can fail: of Scale an answer would be there if it were named."""
    path = Path("examples/mappings/not_captured/scale.yaml")
    bench, _ = run_hooks(load_mapping(path).examples[0].hook, mapping=path)
    (letter,) = [json.loads(one["value"])["item"] for one in bench.dead]
    assert letter["task_id"] == "t1"
    assert letter["response"] == {"category": {"_redacted": "text", "length": 4}}
