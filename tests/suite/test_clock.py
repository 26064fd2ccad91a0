"""Nothing depends on today's date: a slice of the suite runs as it will in 400 days. ``make test-clock`` runs all of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import require

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
DAYS = 400
SLICE = ("agents", "alerts", "config", "contract", "gateway", "telemetry")


def shifted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a clock that is ahead."""
    command = [require("faketime"), "-f", f"+{DAYS}d", sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_clock_is_shifted() -> None:
    ahead_s = float(shifted("-c", "import time; print(time.time())").stdout) - time.time()
    assert DAYS - 1 < ahead_s / 86_400 < DAYS + 1


def test_in_400_days_the_tests_with_dates_pass() -> None:
    folders = [f"tests/{name}" for name in SLICE]
    done = shifted("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "unit", *folders)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
