"""Fixtures shared by all tests, and how Hypothesis searches: anew each time here, the same each time in CI."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.brokers import kafka_bootstrap
from tests.support import size
from tests.watchdog import Watchdog

__all__ = ["kafka_bootstrap"]

# Stacks that tests start are not this user's: neither a test nor a person finds the other's by it.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="floorwatch-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

for _name in ("COLUMNS", "LINES"):  # the size of a terminal that a test does not ask for; pytest-xdist sets it
    os.environ.pop(_name, None)

_EXAMPLES = size(50, 500)  # of a test that names no number
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, max_examples=_EXAMPLES)
settings.register_profile("here", deadline=None, print_blob=True, max_examples=_EXAMPLES)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Take back what a command run by the test set up: its handler writes to a stream that ends with the test."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)


def pytest_configure(config: pytest.Config) -> None:
    """Register what holds for every test."""
    config.pluginmanager.register(Watchdog(config), "floorwatch-watchdog")
