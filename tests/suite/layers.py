"""The layers of the import contract, for the picture in ARCHITECTURE.md; ``python -m tests.suite.layers`` renews it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- layers: made of the contract in pyproject.toml by `python -m tests.suite.layers` -->\n"
END = "<!-- end of layers -->\n"


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def contracts() -> list[dict[str, Any]]:
    """Return the import contracts."""
    found: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return found


def layers() -> list[list[str]]:
    """Return the packages and modules of each layer over all packages, the highest layer first."""
    (contract,) = [one for one in contracts() if one["type"] == "layers" and "containers" not in one]
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def picture() -> str:
    """Return the block of ARCHITECTURE.md: one line a layer, what it may import below it."""
    lines = ["   ".join(names) for names in layers()]
    width = max(map(len, lines)) + 2
    rule = "├" + "─" * width + "┤"
    rows = [f"│ {line.ljust(width - 2)} │" for line in lines]
    body = f"\n{rule}\n".join(rows)
    return f"{BEGIN}```text\n┌{'─' * width}┐\n{body}\n└{'─' * width}┘\n```\n{END}"


def renewed(text: str) -> str:
    """Return a page with the picture as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + picture() + after


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
