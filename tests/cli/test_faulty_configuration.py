"""Every command that loads a configuration shows its faults, not a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from floorwatch.cli import main
from floorwatch.settings.load import load


@pytest.mark.parametrize(
    "command", [["up"], ["gateway"], ["topics", "list"], ["table", "sla"], ["doctor"], ["rescale"]]
)
def test_a_misspelt_setting_is_named_by_every_command(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("alert: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["floorwatch", *command, "--config", str(file)])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert left.value.code not in (0, None)
    assert "did you mean alerts?" in out + err
    assert "Traceback" not in out + err


def test_a_character_that_yaml_forbids_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("kafka: {}\nredis: {url: a\x00b}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(file, {})
    (error,) = caught.value.errors
    assert (error.line, error.column) == (2, 15)
    assert error.reason == "the character U+0000 is not allowed in YAML"
