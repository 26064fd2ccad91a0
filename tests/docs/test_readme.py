"""What README shows must work: its program, its configuration, its files and its commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from floorwatch import sdk
from floorwatch.cli import COMMANDS, GROUPS
from floorwatch.settings.load import loads
from streams.models.acceptance import Refusal, parse_event
from streams.models.events import encode_event

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found.group(1)


def test_the_program_emits_events_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(sdk, "emit", lambda events, **_: sent.extend(events))
    exec(compile(block("python"), "README.md", "exec"), {})
    found = [parse_event(encode_event(event), None) for event in sent]
    assert [type(one).__name__ for one in found] == ["LabelSubmitted", "AuditCompleted"]
    assert not any(isinstance(one, Refusal) for one in found)


def test_the_rule_is_a_configuration() -> None:
    config = loads(block("yaml"), {}, name="README.md", base=ROOT)
    assert [rule.kind for rule in config.rules] == ["accuracy_low"]


def test_every_command_and_file_named_exists() -> None:
    for name in re.findall(r"`?floorwatch ([a-z-]+)", README):
        assert name in COMMANDS or name in GROUPS, name
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) or target == "sure", target


def test_nothing_names_a_path_of_a_machine() -> None:
    spelled = [os.sep + "work" + os.sep, os.sep + "opt" + os.sep + "fw"]
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*.lock"),
        ROOT / "Makefile",
        ROOT / ".ci/run",
        ROOT / "pyproject.toml",
    ):
        text = path.read_text()
        assert not [word for word in spelled if word in text], path
