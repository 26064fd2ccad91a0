"""What one test leaves behind does not reach the next."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.servers  # it starts a pytest of its own

TESTS = """
import logging, sys
from floorwatch.output.logs import set_up_logging

def test_a_command_sets_up_logging(capfd):
    set_up_logging("debug")

def test_the_next_one_logs(capfd):
    logging.getLogger("any").error("said")
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not any(type(each) is logging.StreamHandler for each in logging.getLogger().handlers)
    assert logging.getLogger().level == logging.WARNING
"""


@pytest.mark.parametrize("fixture", [True, False], ids=["taken back", "left"])
def test_logging_of_a_command_ends_with_its_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fixture: bool
) -> None:
    """Without the fixture the handler writes to the closed stream of a test that is over (seen in CI)."""
    source = "from tests.conftest import _logging_as_before" if fixture else ""
    pytester.makepyfile(test_two=TESTS)
    pytester.makeconftest(source)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "-o", "addopts=")
    assert result.parseoutcomes() == ({"passed": 2} if fixture else {"passed": 1, "failed": 1})
