"""docs/routing.md shows a configuration, an explanation and unit tests as they are."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from alerts.oncall.policy import RotaFacts
from alerts.routing.explain import explain
from config.nodes import read_yaml
from floorwatch.cli import build
from floorwatch.settings.load import loads
from floorwatch.settings.policies import routing_policy
from floorwatch.settings.rule_tests import GivenIncident, RuleTestFile, subject_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "routing.md").read_text()
CONFIG, ONCALL, TESTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
RULES = """  escalate: {page: [{after: 15m, route: lead}]}
  rules: [{name: site-accuracy, kind: accuracy_low, scope: {by: site}, window: 24h, severity: page}]
"""


def test_the_explanation_shown_is_that_of_the_configuration_shown(tmp_path: Path) -> None:
    config = loads(CONFIG + RULES, {}, name="routing.md", base=tmp_path)
    rules = {rule.name: rule for rule in config.rules}
    subject = subject_of(GivenIncident(rule="site-accuracy", scope={"site": "kul"}), rules)
    assert not isinstance(subject, str)
    lines = [f"  {line}" for line in explain(routing_policy(config), subject, RotaFacts(), 0)]
    assert "\n".join(lines) in PAGE


def test_the_people_shown_are_those_of_the_example() -> None:
    shown = read_yaml(ONCALL).data["alerts"]
    held = read_yaml((ROOT / "examples/alerts/oncall.yaml").read_text()).data["alerts"]
    assert shown == {name: held[name] for name in shown}
    assert {"people", "schedules", "escalations", "calendars", "maintenance", "routes"} == shown.keys()


def test_the_command_shown_answers_as_shown() -> None:
    shown = next(one for one in re.findall(r"```\n(\$ .*?)```", PAGE, re.DOTALL) if "--at" in one)
    command, _, said = shown.partition("\n")
    words = command.removeprefix("$ floorwatch ").split()
    found = CliRunner().invoke(build(words[0]), [*words, "-c", str(ROOT / "examples/alerts/oncall.yaml")])
    assert (found.exit_code, found.output) == (0, said)


def test_the_tests_shown_are_some_of_the_example() -> None:
    shown = RuleTestFile.model_validate(read_yaml(TESTS).data)
    held = RuleTestFile.model_validate(read_yaml((ROOT / "examples/alerts/rules_test.yaml").read_text()).data)
    assert all(one in held.routes for one in shown.routes)
    assert shown.rules == held.rules
