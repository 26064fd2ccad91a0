"""What docs/production.md shows must work: its configuration, its unit, its commands; and what people start with is complete."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from floorwatch.cli import COMMANDS, GROUPS
from floorwatch.settings.load import load
from floorwatch.settings.review import faults, warnings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/production.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found.group(1)


def test_the_configuration_is_valid_and_nothing_in_it_is_risky(tmp_path: Path) -> None:
    text = block("yaml")
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"(secrets/[\w.-]+)", text):
        (tmp_path / name).write_text("a-secret-of-some-length\n")
    (tmp_path / "floorwatch.yaml").write_text(text)
    config = load(tmp_path / "floorwatch.yaml", {}, channels="built")
    assert (faults(config), warnings(config)) == ([], [])
    assert config.kafka.security.protocol == "SASL_SSL"


def test_the_unit_is_one_and_starts_a_command() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read_string(block("ini"))
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    assert unit["Service"]["ExecStart"].split()[1] in COMMANDS
    assert int(unit["Service"]["TimeoutStopSec"]) >= 30
    assert unit["Service"]["StateDirectory"] == "floorwatch"
    assert "/var/lib/floorwatch/" in block("yaml")


def test_every_command_and_file_named_exists() -> None:
    for name in re.findall(r"(?:`|^ {4})floorwatch ([a-z-]+)", PAGE, re.MULTILINE):
        assert name in COMMANDS or name in GROUPS, name
    for path in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
    assert "docs/production.md" in (ROOT / "README.md").read_text()
    assert "docs/production.md" in (ROOT / "docker-compose.yml").read_text()


def test_make_help_shows_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):(?! *[A-Z]+ =)", makefile, re.MULTILINE))
    shown = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    assert targets == shown
    phony = re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == targets


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_what_the_image_and_make_install_is_what_the_package_needs(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[<>=\[; ]", one)[0].lower() for one in project["dependencies"]}
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    assert needed <= locked
    assert f"install --require-hashes -r {lock}" in (ROOT / "Dockerfile").read_text() or "dev" in lock
