"""Writes the boards' JSON: ``python -m grafana.generate``. The files are committed and diff-checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards import live_floor

GENERATED = Path("grafana/generated")
BOARDS: Mapping[str, Callable[[], Dashboard]] = {"live-floor.json": live_floor}


def render(build: Callable[[], Dashboard]) -> str:
    """Return a board as JSON whose text depends on nothing but the code."""
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(build()) + "\n"


def generate(root: Path) -> list[Path]:
    """Write every board below ``root`` and return the written paths."""
    written: list[Path] = []
    for name, build in BOARDS.items():
        path = root / GENERATED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(build), encoding="utf-8")
        written.append(path)
    return written


def check(root: Path) -> list[str]:
    """Return what is stale or nobody's, with what to do about it; empty when all is well."""
    faults: list[str] = []
    for name, build in BOARDS.items():
        path = root / GENERATED / name
        if not path.is_file() or path.read_text(encoding="utf-8") != render(build):
            faults.append(
                f"{GENERATED / name} differs from grafana/boards.py: run `make generate` and commit the result"
            )
    strays = [path.name for path in sorted((root / GENERATED).glob("*.json")) if path.name not in BOARDS]
    return faults + [f"{GENERATED / name} is not a board of grafana/generate.py: delete it" for name in strays]


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent.parent)
