"""``floorwatch config``."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from floorwatch.cli.config_cmd import config_app

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
