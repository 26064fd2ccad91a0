"""The rules: current, accepted by promtool, tested by promtool, and each with a runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from prometheus import generate
from prometheus.alerting_rules import GATEWAY_JOB, RULES, RUNBOOK, WORKER_JOB
from telemetry.catalogue import CATALOGUE
from tests.support import require

ROOT = Path(__file__).resolve().parents[2]
TESTS = "prometheus/tests/floorwatch.rules.test.yml"


def promtool(*args: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    require("promtool")
    return subprocess.run(["promtool", *args], cwd=root, capture_output=True, text=True, check=False)


def test_the_committed_rules_are_current(tmp_path: Path) -> None:
    assert generate.check(ROOT) == []
    assert "make generate" in generate.check(tmp_path)[0]
    generate.generate(tmp_path)
    assert generate.check(tmp_path) == []


@pytest.mark.servers
def test_promtool_accepts_configuration_and_rules() -> None:
    for args in (("check", "config", "prometheus/prometheus.yml"), ("check", "rules", str(generate.PATH))):
        run = promtool(*args)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.servers
def test_promtools_own_tests_pass() -> None:
    run = promtool("test", "rules", TESTS)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.servers
def test_promtools_tests_fail_on_a_rule_gone_wrong(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "prometheus/tests", tmp_path / "prometheus/tests")
    (path,) = generate.generate(tmp_path)
    assert promtool("test", "rules", TESTS, root=tmp_path).returncode == 0
    path.write_text(path.read_text().replace("> 600", "> 6000"))
    assert promtool("test", "rules", TESTS, root=tmp_path).returncode == 1


def test_every_rule_is_tested_and_has_a_runbook() -> None:
    tested = (ROOT / TESTS).read_text()
    headings = re.findall(r"^## (\w+)$", (ROOT / RUNBOOK).read_text(), flags=re.MULTILINE)
    assert headings == [rule.name for rule in RULES]
    assert [rule.name for rule in RULES if rule.name not in tested] == []


def test_rules_read_only_metrics_of_the_catalogue() -> None:
    names = {m.name for m in CATALOGUE}
    for rule in RULES:
        assert set(re.findall(r"floorwatch_\w+", rule.expr)) <= names, rule.name


def test_the_jobs_named_in_rules_are_scraped() -> None:
    config = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    assert {WORKER_JOB, GATEWAY_JOB} <= {job["job_name"] for job in config["scrape_configs"]}
