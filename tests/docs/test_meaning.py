"""docs/meaning.md says what each event means, and each of its rules is a case."""

from __future__ import annotations

import re
from pathlib import Path

from streams.models.events import EVENT_CLASSES
from tests.oracle.cases import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/meaning.md").read_text()


def test_every_event_has_a_heading() -> None:
    headings = " ".join(line for line in PAGE.splitlines() if line.startswith("## "))
    named = [str(cls.__struct_config__.tag).removeprefix("floorwatch.").removesuffix(".v1") for cls in EVENT_CLASSES]
    assert named
    assert [name for name in named if f"`{name}`" not in headings] == []


def test_the_cases_named_are_all_cases_that_there_are() -> None:
    """A rule without a case is not held; a case that no rule names is a meaning that is not written down."""
    paragraphs = [part for part in PAGE.split("\n\n") if part.startswith(("Case: ", "Cases: "))]
    named = re.findall(r"`(\w+)`", " ".join(paragraphs))
    assert len(named) == len(set(named))
    assert set(named) == {case.name for case in CASES}


def test_configuration_keys_named_exist() -> None:
    defaults = (ROOT / "config/defaults.yaml").read_text()
    keys = re.findall(r"`[a-z]+\.([a-z_]+)`", PAGE)
    for key in set(keys) & {"future_tolerance_s", "correction_horizon_days", "sla_classes"}:
        assert re.search(rf"^ +{key}:", defaults, re.MULTILINE), key
