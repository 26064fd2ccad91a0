"""Every command that loads a configuration shows its faults, not a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from floorwatch.cli import main


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
