"""The deployed version 24565ae as an installation of its own: its sources, run with the packages of this environment.

The archive is ``git archive 24565ae streams alerts config gateway telemetry floorwatch | xz -9e``. It is committed because a
checkout in CI need not have the history.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).with_name("24565ae.tar.xz")


def install(folder: Path) -> Path:
    """Unpack the deployed version's sources and return the folder to put on ``PYTHONPATH``."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def environment(installed: Path, env: dict[str, str]) -> dict[str, str]:
    """Return an environment in which Python imports the deployed version."""
    return {**env, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}


def run_python(installed: Path | None, arguments: list[str], env: dict[str, str]) -> str:
    """Run Python with the deployed version (None: with the present one) and return what it prints."""
    found = subprocess.run(
        [sys.executable, *arguments],
        env=env if installed is None else environment(installed, env),
        cwd=installed,
        check=False,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        raise RuntimeError(
            f"{arguments} ended with {found.returncode}:\n{found.stdout[-2000:]}\n{found.stderr[-4000:]}"
        )
    return found.stdout
