"""Nothing depends on today's date: a slice of the suite runs as it will in 400 days. ``make test-clock`` runs all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import require

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
DAYS = 400
SLICE = ("agents", "alerts", "cli", "config", "contract", "gateway", "telemetry")
WITHOUT_CLOCK = (
    "agents/test_aggregate", "alerts/test_contributors", "alerts/test_escape", "alerts/test_lifecycle_properties",
    "config/test_golden", "config/test_secrets_shown", "contract/test_accept_plain", "contract/test_agreement",
    "contract/test_contract", "gateway/test_bodies", "gateway/test_webhooks_route", "gateway/test_hostile",
    "gateway/test_webhook_queue",
)  # fmt: skip
"""The longest of these folders, in which nothing asks for the date; ``make test-clock`` runs them too."""


def shifted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a clock that is ahead."""
    command = [require("faketime"), "-f", f"+{DAYS}d", sys.executable, *arguments]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # such as --junitxml
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_the_clock_is_shifted() -> None:
    ahead_s = float(shifted("-c", "import time; print(time.time())").stdout) - time.time()
    assert DAYS - 1 < ahead_s / 86_400 < DAYS + 1


@pytest.mark.slow
def test_in_400_days_the_tests_with_dates_pass() -> None:
    folders = [f"tests/{name}" for name in SLICE]
    left_out = [f"--ignore=tests/{name}.py" for name in WITHOUT_CLOCK]
    assert all((ROOT / one.partition("=")[2]).is_file() for one in left_out)
    done = shifted("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "unit", *folders, *left_out)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
