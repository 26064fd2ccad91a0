"""Rules files: what is read, and what a fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.kinds.registry import EVALUATORS, UNFED
from alerts.rules_file import RuleErrors, default_rules, load_rules, parse_rules
from alerts.text import HEADLINES

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


def test_default_rules_cover_every_kind() -> None:
    rules = default_rules().rules
    assert {rule.kind for rule in rules} == set(EVALUATORS) - UNFED.keys()
    assert set(EVALUATORS) == set(HEADLINES)
    assert all(rule.route == "default" for rule in rules)


def test_yaml_names_for_and_durations() -> None:
    text = "rules:\n- {name: old, kind: backlog_age, scope: {by: queue}, target: 90m, for: 4, resolve_for: 6}\n"
    (rule,) = parse_rules(text, "r.yaml").rules
    assert (rule.for_evaluations, rule.resolve_for, rule.target) == (4, 6, 5400.0)
    assert rule.scope.matches({"queue": "x"})
    assert not rule.scope.matches({"queue": "x", "policy": "y"})


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        ("kind: accuracy_low\n  name: a\n  targt: 0.9", "4:3", "targt: Extra inputs"),
        ("kind: accuracy_low\n  name: a\n  target: 95", "4:3", "target: Input should be less than 1"),
        ("kind: accuracy_low\n  name: a\n  window: 2 weeks", "4:3", 'window: "2 weeks" is not a window'),
        ("kind: accuracy_low\n  name: a\n  reference: day", "2:3", "reference day: one that has just begun is shorter"),
        ("kind: throughput_drop\n  name: a\n  window: day", "2:3", "a day in progress cannot be compared"),
        ("kind: accuracy_low\n  name: a\n  scope: {by: squad}", "4:3", "'squad' is not a dimension"),
        ("kind: accuracy_low\n  name: a\n  scope: {by: source}", "2:3", "source is not a dimension of a label"),
        ("kind: dead_letters\n  name: a\n  scope: {by: queue}", "2:3", "this kind watches the stream itself"),
        ("kind: backlog_age\n  name: a\n  target: soon", "4:3", '"soon" is not a duration'),
        ("kind: nonsense\n  name: a", "2:3", "does not match any of the expected tags"),
        ("kind: accuracy_low", "2:3", "name: Field required"),
        ("kind: accuracy_low\n  name: a\n  scope: [1", "5:1", "this is no YAML"),
    ],
)
def test_faults_say_where_and_what(body: str, place: str, reason: str) -> None:
    with pytest.raises(RuleErrors) as caught:
        parse_rules(f"rules:\n- {body}\n", "r.yaml")
    message = str(caught.value)
    assert message.startswith(f"r.yaml:{place}: ")
    assert reason in message


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(RuleErrors, match="two rules are named 'a'"):
        parse_rules("rules:\n- {name: a, kind: dead_letters}\n- {name: a, kind: backlog_age}\n", "r.yaml")


@pytest.mark.parametrize("text", ["", "rules: 3", "- a", "rules:\n- 3"])
def test_files_of_another_shape_are_refused(text: str) -> None:
    with pytest.raises(RuleErrors, match=r"^r\.yaml:"):
        parse_rules(text, "r.yaml")


def test_load_rules_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{name: a, kind: dead_letters}]", encoding="utf-8")
    assert load_rules(path).rules[0].name == "a"


@pytest.mark.parametrize("kind", sorted(EVALUATORS))
def test_every_kind_has_a_runbook(kind: str) -> None:
    page = (RUNBOOKS / f"{kind}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    for heading in ("## What it means", "## What to check", "## What to do"):
        assert heading in page, f"{kind}.md lacks {heading!r}"


def test_no_runbook_without_a_kind() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(EVALUATORS)
