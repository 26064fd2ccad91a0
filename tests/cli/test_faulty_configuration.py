"""Every command that loads a configuration shows its faults, not a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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


FAULTS = {
    "missing package": (
        "  channels:\n    chat: {type: apprise, url: 'json://127.0.0.1'}\n  routes: {default: [chat]}\n",
        "apprise is not installed",
    ),
    "wrong scheme": (
        "  channels:\n    chat: {type: apprise, url: 'slakc://a/b/c'}\n  routes: {default: [chat]}\n",
        "did you mean slack://",
    ),
    "empty route": ("  routes: {default: []}\n", "has no channel, so nobody would hear"),
}


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_stack_that_starts_with_a_fault_of_delivery_says_it_to_whoever_starts_it(
    fault: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker starts all the same, and its log is read by nobody: what ``config check`` says stands in the terminal."""
    text, said = FAULTS[fault]
    file = tmp_path / "run.yaml"
    file.write_text("alerts:\n" + text)
    started: list[str] = []

    async def starts(*_: Any, **__: Any) -> int:
        started.append(capsys.readouterr().err)
        return 0

    monkeypatch.setattr("floorwatch.cli.up._up", starts)
    monkeypatch.setattr("floorwatch.cli.demo._Demo.run", starts)
    if fault == "missing package":
        monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setenv("FLOORWATCH_CONFIG", str(file))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["floorwatch", command, "--var", str(tmp_path / "var")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code in (0, None)
    (told,) = started
    monkeypatch.setattr(sys, "argv", ["floorwatch", "config", "check", str(file)])
    with pytest.raises(SystemExit) as left:
        main()
    checked = capsys.readouterr().err
    assert left.value.code == 1
    assert said in told
    assert f"{file}:2" in told or f"{file}:3" in told, "the line of the fault"
    assert checked.strip() in told, "the same words as config check"


def test_a_stack_without_a_fault_says_nothing_of_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from floorwatch.cli.up import say_faults

    monkeypatch.delenv("FLOORWATCH_CONFIG", raising=False)
    say_faults(None)
    file = tmp_path / "run.yaml"
    file.write_text("alerts:\n  routes: {default: [console]}\n")
    say_faults(file)
    assert capsys.readouterr() == ("", "")
