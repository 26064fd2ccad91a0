"""``floorwatch config``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from floorwatch.cli.config_cmd import config_app
from floorwatch.embedded.stack_register import register
from floorwatch.settings.schema import FloorwatchConfig

runner = CliRunner()


def test_init_writes_a_file_that_check_accepts_and_never_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "floorwatch.yaml"
    assert runner.invoke(config_app, ["init", str(target)]).exit_code == 0
    assert runner.invoke(config_app, ["check", str(target)]).exit_code == 0
    target.write_text("kafka: {group: mine}")
    again = runner.invoke(config_app, ["init", str(target)])
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert target.read_text() == "kafka: {group: mine}"
    assert runner.invoke(config_app, ["init", "--force", str(target)]).exit_code == 0


def test_check_prints_the_place_and_fails(tmp_path: Path) -> None:
    target = tmp_path / "bad.yaml"
    target.write_text("kafka:\n  partitions: four\n")
    result = runner.invoke(config_app, ["check", str(target)])
    assert result.exit_code == 1
    assert "bad.yaml:2:15: kafka.partitions" in result.stderr


def test_show_merges_the_environment_and_masks_secrets(tmp_path: Path) -> None:
    target = tmp_path / "ok.yaml"
    target.write_text("redis: {password: hunter2}")
    env = {"FLOORWATCH_KAFKA__GROUP": "mine", "FLOORWATCH_CONFIG": str(target)}
    as_yaml = runner.invoke(config_app, ["show"], env=env)
    as_json = runner.invoke(config_app, ["show", "--json"], env=env)
    assert as_yaml.exit_code == as_json.exit_code == 0
    assert "hunter2" not in as_yaml.output + as_json.output
    data = json.loads(as_json.stdout)
    assert data["kafka"]["group"] == "mine"
    assert data["redis"]["password"] == "****"


def test_show_says_what_each_value_is_from_and_takes_the_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.embedded.test_find import stack

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text("kafka: {group: mine}")
    env = {"XDG_STATE_HOME": str(tmp_path / "home"), "FLOORWATCH_REDIS__PREFIX": "own:"}
    monkeypatch.setenv("XDG_STATE_HOME", env["XDG_STATE_HOME"])
    var = stack(tmp_path / "a", config=str(file))
    register(var)
    shown = runner.invoke(config_app, ["show"], env=env).output
    assert "- the environment: FLOORWATCH_REDIS__PREFIX" in shown
    assert f"- the `floorwatch up` that runs on {var}: kafka.brokers" in shown
    assert f"- the file {file}, with which that stack was started" in shown
    data = yaml.safe_load(shown)
    assert (data["kafka"]["brokers"], data["kafka"]["group"]) == (["127.0.0.1:1"], "mine")
    assert (data["redis"]["url"], data["redis"]["prefix"]) == ("redis://127.0.0.1:1/0", "own:")
    assert {rule["name"] for rule in data["alerts"]["rules"]} == {rule.name for rule in FloorwatchConfig().rules}
    register(stack(tmp_path / "b"))
    done = runner.invoke(config_app, ["show", "--json"], env=env)
    assert "several stacks run" in done.stderr
    assert json.loads(done.stdout)["kafka"]["brokers"] == ["127.0.0.1:9092"]
    named = runner.invoke(config_app, ["show", "--json", "--var", str(var)], env=env)
    assert json.loads(named.stdout)["kafka"]["brokers"] == ["127.0.0.1:1"]


def test_topics_are_those_of_the_running_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from floorwatch.cli import build
    from tests.embedded.test_find import stack

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    var = stack(tmp_path / "a")
    register(var)
    done = runner.invoke(build("topics"), ["topics", "list"])
    assert f"the `floorwatch up` on {var}" in done.stderr
    assert "other.events.v1" in done.stdout
    create = runner.invoke(build("topics"), ["topics", "create"])
    assert create.exit_code == 1
    assert "Topics cannot be created. Kafka cannot be reached. Broker 127.0.0.1:1: nothing listens" in create.stderr
