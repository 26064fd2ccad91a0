"""There is one of each: who writes a second parser, producer or dead letter fails here and is told where the one is.

The oracle is left out where it counts by itself (floorwatch/simulate/oracle*.py); so are tests and bench.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.suite.layers import ROOT, project

PACKAGES = [name.split(".")[0] for name in project()["tool"]["importlinter"]["root_packages"]]


def sources() -> Iterator[tuple[str, str]]:
    """Path below the root and text of every module that is shipped, the oracle left out."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("floorwatch/simulate/oracle"):
                yield name, path.read_text(encoding="utf-8")


SOURCES = dict(sources())


def where(pattern: str) -> set[str]:
    """The modules that match, comments left out."""
    found = re.compile(pattern)
    return {
        name
        for name, text in SOURCES.items()
        if any(found.search(line.partition("  # ")[0]) for line in text.splitlines())
    }


ONE = {
    "grammar of durations": (r"\[smhd\]|ms\|d\|h|s\|m\|h|\"d\": 86_?400|\"d\", 86_?400", {"streams/core/durations.py"}),
    "reading of times": (r"datetime\.fromisoformat|strptime|\.timestamp\(\) \* 1000", {"streams/models/timestamps.py"}),
    "way to make a producer": (r"AIOKafkaProducer\(", {"streams/models/kafka_producer.py"}),
    "reading of scopes": (r"def \w*(parse|read)_\w*scope|def _scope\(|split\(\"=\", 1\)", {"streams/core/scopes.py"}),
    "builder of dead letters": (
        r"\"value_encoding\":.*kept|def letter_key",
        {"streams/core/dead_letters.py", "streams/agents/dead_letters.py"},
    ),
    "shared option": (r"typer\.Option\(\"--(json|csv|as-of|at|config|redis|events)\"", {"floorwatch/cli/options.py"}),
    "list of calendar windows": (r"\(\"day\", \"shift\"\)", {"streams/core/window_names.py"}),
}
"""What there is one of: a pattern of code that only a second one would hold, and where the one is."""


@pytest.mark.parametrize("what", ONE)
def test_there_is_one(what: str) -> None:
    pattern, homes = ONE[what]
    assert where(pattern) == homes, f"{what}: use {', '.join(sorted(homes))}"


def test_the_sources_are_read() -> None:
    assert len(SOURCES) > 300
    assert Path("streams/core/durations.py").as_posix() in SOURCES
