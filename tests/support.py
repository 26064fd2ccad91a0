"""Helpers for tests that need something not every machine has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import NoReturn, TypeVar

import pytest

Number = TypeVar("Number", int, float, str)

REQUIRE_ALL = "FLOORWATCH_REQUIRE_ALL"

NIGHTLY = "FLOORWATCH_NIGHTLY"
"""Set, campaigns run over all their seeds (``make test-nightly``); otherwise over the first few."""

_HINTS = {
    "prometheus": "install prometheus (Debian: apt-get install prometheus)",
    "promtool": "comes with prometheus (Debian: apt-get install prometheus)",
    "amtool": "comes with prometheus-alertmanager (Debian)",
    "prometheus-alertmanager": "Debian: apt-get install prometheus-alertmanager",
    "redis-server": "Debian: apt-get install redis-server",
    "chromium": "Debian: apt-get install chromium",
    "java": "Debian: apt-get install default-jre-headless",
    "mvn": "Debian: apt-get install maven",
    "faketime": "Debian: apt-get install faketime",
}


def require(name: str, env: Mapping[str, str] = os.environ) -> str:
    """Return the path of a program, or skip the test; with ``FLOORWATCH_REQUIRE_ALL=1`` the test fails instead.

    Args:
        name: Program on the PATH, such as ``prometheus``.
        env: The environment.
    """
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        missing(f"{name} is not installed; {_HINTS.get(name, 'put it on the PATH')}", env)
    return found


def missing(reason: str, env: Mapping[str, str] = os.environ) -> NoReturn:
    """Skip the test for a reason, or fail it where everything is required."""
    if env.get(REQUIRE_ALL, "") not in ("", "0"):
        pytest.fail(f"{REQUIRE_ALL} is set and {reason}", pytrace=False)
    pytest.skip(reason)


def seeds(few: int, nightly: int, env: Mapping[str, str] = os.environ) -> range:
    """Return the seeds of a campaign: one property, tried on random inputs.

    Args:
        few: How many run in ``make test``.
        nightly: How many run in ``make test-nightly``.
        env: The environment.
    """
    return range(size(few, nightly, env))


def size(part: Number, whole: Number, env: Mapping[str, str] = os.environ) -> Number:
    """Return how large the input of a test is that takes long: a rate, hours, a share of the simulations.

    Args:
        part: In ``make test``. It must still show what the test is for.
        whole: In ``make test-nightly``.
        env: The environment.
    """
    return whole if env.get(NIGHTLY, "") not in ("", "0") else part
