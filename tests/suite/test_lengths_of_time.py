"""The length of a minute, an hour and a day in ms stands in one place, and in the oracle, which shares nothing."""

from __future__ import annotations

import ast
from pathlib import Path

LENGTHS = {60_000, 3_600_000, 86_400_000}
NAMES = ("MINUTE_MS", "HOUR_MS", "DAY_MS")
OWN = {"streams/models/timestamps.py", "floorwatch/simulate/oracle.py"}


def test_they_are_defined_once() -> None:
    found = []
    for folder in ("alerts", "config", "floorwatch", "gateway", "streams", "telemetry"):
        for file in Path(folder).rglob("*.py"):
            for node in ast.parse(file.read_text()).body:
                if not isinstance(node, ast.Assign) or file.as_posix() in OWN:
                    continue
                names = [one.id for one in node.targets if isinstance(one, ast.Name)]
                literal = isinstance(node.value, ast.Constant) and node.value.value in LENGTHS
                if any(name.lstrip("_") in NAMES and (name.startswith("_") or literal) for name in names):
                    found.append(f"{file}:{node.lineno} {names[0]}: take it from streams.models.timestamps")
    assert found == []
