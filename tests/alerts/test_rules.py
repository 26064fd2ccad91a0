"""Rules: what is read, and what a fault says. Where it is in a file: tests/config."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from pydantic import ValidationError

from alerts import kinds
from alerts.detectors import detectors_of
from alerts.kinds.base import KindSpec
from alerts.kinds.registry import ALL_KINDS, KIND_OF, KINDS, headline_of
from alerts.rules import Rule
from alerts.rules_file import default_rules, parse_rules
from streams.models.outputs import AuditRequestedData

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


def test_default_rules_cover_every_kind() -> None:
    rules = default_rules().rules
    assert {rule.kind for rule in rules} == KIND_OF.keys()
    assert all(rule.route == "default" for rule in rules)


def test_yaml_names_for_and_durations() -> None:
    text = "rules:\n- {name: old, kind: backlog_age, scope: {by: queue}, target: 90m, for: 4, resolve_for: 6}\n"
    (rule,) = parse_rules(text).rules
    assert (rule.for_evaluations, rule.resolve_for, rule.target) == (4, 6, 5400.0)
    assert rule.scope.matches({"queue": "x"})
    assert not rule.scope.matches({"queue": "x", "policy": "y"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("kind: accuracy_low\n  name: a\n  targt: 0.9", "targt: Extra inputs"),
        ("kind: accuracy_low\n  name: a\n  target: 95", "target: Input should be less than 1"),
        ("kind: accuracy_low\n  name: a\n  window: 2 weeks", 'window: "2 weeks" is not a window'),
        ("kind: accuracy_low\n  name: a\n  reference: day", "reference day: one that has just begun is shorter"),
        ("kind: throughput_drop\n  name: a\n  window: day", "a day in progress cannot be compared"),
        ("kind: accuracy_low\n  name: a\n  scope: {by: squad}", "'squad' is not a dimension"),
        ("kind: accuracy_low\n  name: a\n  scope: {by: source}", "'source' is not a dimension"),
        ("kind: dead_letters\n  name: a\n  scope: {by: queue}", "there is no kind dead_letters"),
        ("kind: backlog_age\n  name: a\n  target: soon", '"soon" is not a duration'),
        ("kind: nonsense\n  name: a", "does not match any of the expected tags"),
        ("kind: accuracy_low", "name: Field required"),
    ],
)
def test_a_fault_says_what_is_wrong(body: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_rules(f"rules:\n- {body}\n")
    ((place, message),) = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in caught.value.errors()]
    assert place.startswith("rules.0")
    assert all(part in f"{place}: {message}" for part in reason.split(": "))


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two rules are named 'a'"):
        parse_rules("rules:\n- {name: a, kind: rushing}\n- {name: a, kind: backlog_age}\n")


@pytest.mark.parametrize("text", ["", "rules: 3", "- a", "rules:\n- 3"])
def test_what_has_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_rules(text)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_has_a_runbook(kind: str) -> None:
    page = (RUNBOOKS / f"{kind}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    for heading in ("## What it means", "## What to check", "## What to do"):
        assert heading in page, f"{kind}.md lacks {heading!r}"


def test_no_runbook_without_a_kind() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*ALL_KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_one_module_of_its_name(kind: KindSpec) -> None:
    assert kind.evaluate.__module__ == kind.rule.__module__ == f"alerts.kinds.{kind.name}"  # type: ignore[attr-defined]
    assert (kind.rule.__doc__ or "").startswith("Fires when ") or "evidence" in (kind.rule.__doc__ or "")
    assert headline_of(kind.name) == kind.headline


def test_every_module_of_a_kind_is_registered() -> None:
    modules = [importlib.import_module(f"alerts.kinds.{found.name}") for found in pkgutil.iter_modules(kinds.__path__)]
    assert {module.KIND.name for module in modules if hasattr(module, "KIND")} == KIND_OF.keys()
    assert len(KINDS) == len(KIND_OF)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_has_a_detector_if_its_rules_may_judge_by_evidence(kind: KindSpec) -> None:
    may = "evidence" in get_args(getattr(kind.rule.model_fields.get("method"), "annotation", None))
    assert may is (kind.detector is not None)
    if may:
        rule = kind.rule.model_validate({"name": "a", "kind": kind.name, "method": "evidence"})
        assert [detector.name for detector in detectors_of([rule])] == ["a"]


def test_the_kinds_that_ask_for_audits_are_those_of_the_contract() -> None:
    """Only what is counted in audits can ask for more of them."""
    found = detectors_of(rule.model_copy(update={"method": "evidence", "name": rule.kind}) for rule in _with_detector())
    asking = {detector.name for detector in found if detector.measure in ("accuracy", "critical_errors")}
    assert asking == set(get_args(get_type_hints(AuditRequestedData)["kind"]))


def _with_detector() -> list[Rule]:
    return [kind.rule.model_validate({"name": "a", "kind": kind.name}) for kind in KINDS if kind.detector is not None]


def test_a_kind_of_another_version_is_told_by_its_name() -> None:
    """While workers are replaced one by one, an older one meets the kinds of a newer one."""
    assert headline_of("queue_starved") == "Queue starved"
