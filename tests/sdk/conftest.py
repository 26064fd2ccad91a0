"""The SDK as its own distribution builds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: setuptools leaves its workings beside what it builds.
    for name in ("floorwatch/sdk", "streams/models", "sdk"):
        (folder / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "repository" / name).symlink_to(ROOT / name) if name != "sdk" else (
            folder / "repository" / name
        ).mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md"):
        (folder / "repository/sdk" / name).write_text(
            (ROOT / "sdk" / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(folder / "repository/sdk")], check=True, capture_output=True)
    (built,) = folder.glob("floorwatch_sdk-*.whl")
    return built
