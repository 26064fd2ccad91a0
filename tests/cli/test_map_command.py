"""`floorwatch map test`: a mapping's faults, its examples, samples, and which fields are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build

STAMPIT = Path("examples/mappings/stampit.yaml")


def tried(*args: str) -> tuple[int, str]:
    found = CliRunner().invoke(build("map"), ["map", "test", *args], env={"COLUMNS": "160"})
    return found.exit_code, found.output


def test_the_shipped_mapping_passes_and_its_fields_are_told() -> None:
    code, said = tried(str(STAMPIT))
    assert code == 0
    assert f"{STAMPIT}: 4 examples, all passed\n" in said
    assert "14 used, 0 kept, 1 ignored" in said
    assert "what somebody wrote" not in said
    whole = json.loads(tried(str(STAMPIT), "--json")[1])
    assert [one["field"] for one in whole["fields"] if one["use"] == "ignored"] == ["items.text"]
    assert (whole["title"], whole["examples"], whole["failures"]) == ("Stampit", 4, [])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("event: label.submitted\n        task", "event: task.claimed\n        task", "expected [task.claimed], got [label.submitted]"),
        ('task: "8"}', 'task: "9"}', "examples[0].events[1].task: two items arrive: expected 9, got 8"),
        ("active_ms: 12500", "active_ms: 12.5", "events[0].data.active_ms: somebody stamps one: expected 12.5, got 12500"),
        ('time: "2026-11-23T10:05:00+00:00"', 'time: "2026-11-23T18:05:00+07:00"', "events[0].time: somebody stamps one: expected"),
        ("problems: [not_in_table]", "problems: []", "expected [], got [not_in_table]; $ item 1: events[2].fields.verdict"),
        ("ignored: true", "ignored: false", "expected not all of it to be ignored; 1 of 1 items are"),
        ("queue: hate, market: ms, due_at", "team: red, market: ms, due_at", "data.team: two items arrive: expected red, got nothing"),
        ("kind: hello, items: [{}]", "kind: hello", "examples[3].hook: the gateway would refuse it: there is no list at items"),
    ],
)  # fmt: skip
def test_an_example_that_is_not_as_it_says_is_told_with_its_place(
    before: str, after: str, said: str, tmp_path: Path
) -> None:
    text = STAMPIT.read_text()
    assert text.count(before) == 1
    path = tmp_path / "mapping.yaml"
    path.write_text(text.replace(before, after))
    code, output = tried(str(path))
    assert code == 1
    assert f"{path}:" in output
    assert said in output.replace("\n", ""), output


def test_times_of_an_example_may_be_in_any_zone(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(
        STAMPIT.read_text().replace('time: "2026-11-23T10:05:00+00:00"', 'time: "2026-11-23T18:05:00+08:00"')
    )
    assert tried(str(path))[0] == 0


def test_a_sample_shows_what_it_means_and_what_would_be_kept(tmp_path: Path) -> None:
    stamp = {"no": 1, "by": "ana", "marks": ["slur"]}
    items = [{"ref": 1, "at": "2026-11-23T10:00:00Z", "stamp": stamp, "text": "hateful"}, {"ref": 2, "text": "hateful"}]
    sample = tmp_path / "hook.json"
    sample.write_text(json.dumps({"kind": "stamped", "items": items}))
    code, said = tried(str(STAMPIT), str(sample))
    assert code == 0
    assert (
        'label.submitted task 1 2026-11-23T10:00:00+00:00 {"label_id":"1","labeler_id":"ana","values":["slur"]}' in said
    )
    assert "dead letter missing_field: $ item 1: events[1].time: at says nothing: there is no time" in said
    assert "hateful" not in said
    hooks = json.loads(tried(str(STAMPIT), str(sample), "--json")[1])["hooks"]
    assert [one["code"] for one in hooks[str(sample)]["problems"]] == ["missing_field"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[1", 2, "is not JSON"),
        ('{"kind": "arrived"}', 1, "refused: there is no list at items"),
        (None, 2, "cannot be read"),
        ("[" * 40 + "]" * 40, 1, "refused: the webhook is nested deeper than 32 levels"),
    ],
)
def test_a_sample_that_the_gateway_would_refuse(text: str | None, code: int, said: str, tmp_path: Path) -> None:
    sample = tmp_path / "hook.json"
    if text is not None:
        sample.write_text(text)
    found, output = tried(str(STAMPIT), str(sample))
    assert (found, said in output) == (code, True), output


def test_a_faulty_mapping_is_told_with_file_line_and_caret(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text("version: 1\ntitle: X\ntask: id\nevents:\n  - {when: 'a b', event: task.cancelled, time: at}\n")
    code, said = tried(str(path))
    assert code == 1
    assert said.splitlines()[:2] == [
        f"{path}:5:12: events[0].when: this is no JMESPath at character 3",
        "    5 |   - {when: 'a b', event: task.cancelled, time: at}",
    ]
    assert "^^^^^" in said
