"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
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


class Others:
    """How much of the machine other people's processes use: figures taken beside a busy neighbour say so."""

    def __init__(self) -> None:
        """Start to look."""
        self._at_s, self._busy, self._own = time.monotonic(), _busy_ticks(), _own_ticks()

    def cores(self) -> float:
        """Return the cores that others kept busy, on average since the start."""
        passed = (time.monotonic() - self._at_s) * os.sysconf("SC_CLK_TCK")
        used = (_busy_ticks() - self._busy) - (_own_ticks() - self._own)
        return max(0.0, used / max(1.0, passed))


def wait_for_calm(limit_s: float, cores: float = 0.3) -> None:
    """Wait until others use less than ``cores`` for two seconds, at most ``limit_s``."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        others = Others()
        time.sleep(2)
        if others.cores() < cores:
            return


def _busy_ticks() -> int:
    fields = [int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return sum(fields) - fields[3] - fields[4]  # all but idle and waiting for the disk


def _own_ticks() -> int:
    """Return the ticks of this process and all below it, those that have ended included."""
    parents: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        pid = int(folder.name)
        parents.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    waiting, total = [os.getpid()], 0
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting.extend(parents.get(pid, ()))
    return total
