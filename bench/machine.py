"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.stack import ROOT


def facts() -> dict[str, Any]:
    """Return processor, memory, versions, commit and load of this moment."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "java": _said("java", "-version").splitlines()[0] if _said("java", "-version") else "none",
        "packages": {
            name: _version(name) for name in ("faust-streaming", "aiokafka", "confluent-kafka", "numpy", "msgspec")
        },
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").strip(),
        "uncommitted": bool(
            _said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", "streams")
        ),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr if done.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
