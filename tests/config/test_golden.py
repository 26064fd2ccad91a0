"""Diagnostics locked as golden files.

After a wanted change: FLOORWATCH_UPDATE_GOLDEN=1 pytest tests/config, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from floorwatch.settings.load import loads

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


def diagnostics(case: str) -> str:
    source = GOLDEN / f"{case}.yaml"
    with pytest.raises(ConfigErrors) as caught:
        loads(source.read_text(encoding="utf-8"), {}, name=source.name, base=Path("nowhere"), channels="built")
    return caught.value.render() + "\n"


@pytest.mark.parametrize("case", CASES)
def test_diagnostics_are_as_reviewed(case: str) -> None:
    expected = GOLDEN / f"{case}.txt"
    said = diagnostics(case)
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_no_diagnostic_shows_a_secret(case: str) -> None:
    said = diagnostics(case)
    assert "hunter2" not in said
    assert "ter2" not in said


def test_every_golden_text_has_its_case() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == CASES
    assert len(CASES) > 10
