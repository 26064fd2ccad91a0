"""A test that hangs fails with what it waited for, the others run, and nothing that a test has started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import leftovers
from tests.waits import until_plain

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]

CONFTEST = """
from tests.watchdog import Watchdog
def pytest_configure(config):
    config.pluginmanager.register(Watchdog(config, grace_s=GRACE, again_s=1, ending_s=0.2), "floorwatch-watchdog")
"""
SETTINGS = """
[pytest]
timeout = 60
timeout_method = signal
markers =
    unit: u
    servers: s
    slow: l
"""
HEAD = "import asyncio, itertools, subprocess, pytest, time\npytestmark = pytest.mark.servers\n"


def inner(folder: Path, text: str, grace_s: float) -> subprocess.Popen[str]:
    """Start pytest on tests of its own."""
    (folder / "conftest.py").write_text(CONFTEST.replace("GRACE", str(grace_s)))
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_inner.py").write_text(HEAD + text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=env)


def said(folder: Path, text: str, grace_s: float = 60) -> tuple[int, str]:
    """Run pytest on tests of its own; return its exit code and all it has printed."""
    process = inner(folder, text, grace_s)
    output, _ = process.communicate()
    return process.returncode, output


HANGS = {
    "a loop that polls": "asyncio.run(poll())",
    "a thread that waits": "asyncio.run(asyncio.to_thread(subprocess.run, ['sleep', '1000']))",
    "a task that keeps the alarm to itself": "asyncio.run(with_busy_task())",
    "a plain wait": "subprocess.run(['sleep', '1000'])",
}
HELPERS = """
async def poll():
    while True:
        await asyncio.sleep(0.01)

async def busy():
    while True:
        time.sleep(0.2)
        await asyncio.sleep(0)

async def with_busy_task():
    task = asyncio.create_task(busy())
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
def test_a_test_that_hangs_fails_with_its_stack_and_the_next_one_runs(tmp_path: Path, body: str) -> None:
    tests = f"{HELPERS}\n@pytest.mark.timeout(1)\ndef test_hangs():\n    {body}\n\ndef test_next():\n    pass\n"
    code, output = said(tmp_path, tests)
    assert code == 1
    assert "Failed: Timeout (>1.0s)" in output
    assert "1 failed, 1 passed" in output
    assert body.split("(", maxsplit=1)[0] in output


def test_a_test_that_hangs_in_c_code_ends_the_run_with_its_stack(tmp_path: Path) -> None:
    code, output = said(tmp_path, "@pytest.mark.timeout(1)\ndef test_c():\n    sum(itertools.repeat(1, 10**15))\n", 1)
    assert code == 1
    assert "Timeout (0:00:02)!" in output
    assert "in test_c" in output


def test_a_process_that_a_test_leaves_running_is_its_error_and_is_ended(tmp_path: Path) -> None:
    """With the mark, and without it as a child of a child."""
    tests = """
def test_leaves(request):
    words, env = ["sh", "-c", "sleep 2001 & echo both; exec sleep 2002"], {"PATH": "/bin:/usr/bin"}
    assert subprocess.Popen(words, env=env, stdout=subprocess.PIPE).stdout.readline() == b"both\\n"

def test_next():
    pass
"""
    code, output = said(tmp_path, tests)
    assert code == 1
    assert "2 passed, 1 error" in output
    assert "test_leaves left processes running (killed now)" in output
    assert not _running("sleep\0002001\0")
    assert not _running("sleep\0002002\0")


def test_a_process_of_a_wider_fixture_may_run_on_until_the_session_ends(tmp_path: Path) -> None:
    tests = """
@pytest.fixture(scope="session")
def server():
    process = subprocess.Popen(["sleep", "2003"])
    yield process
    if {stops}:
        process.kill(); process.wait()

def test_one(server): pass
def test_two(server): assert server.poll() is None
"""
    assert said(tmp_path, tests.replace("{stops}", "True"))[0] == 0
    code, output = said(tmp_path, tests.replace("{stops}", "False"))
    assert code == 1
    assert "processes left running by the tests" in output
    assert "sleep 2003" in output
    assert not _running("sleep\0002003\0")


@pytest.mark.parametrize("marked", ["", ", env={'PATH': '/bin:/usr/bin'}"], ids=["marked", "its mark is gone"])
def test_a_run_that_is_killed_leaves_no_process(tmp_path: Path, marked: str) -> None:
    process = inner(tmp_path, f"def test_waits():\n    subprocess.run(['sleep', '2004']{marked})\n", 60)
    until_plain(lambda: _running("sleep\0002004\0"), "the inner test's process")
    time.sleep(3)  # the guard has looked at least once
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until_plain(lambda: not _running("sleep\0002004\0"), "the guard to end it")


STARTS = {
    "true": 'subprocess.run(["true"])',
    "sh": 'subprocess.run("true", shell=True)',
    "/bin/true": 'asyncio.run(asyncio.create_subprocess_exec("true", executable="/bin/true"))',
    "os.fork": "os.fork() or os._exit(0)",
    "os.posix_spawn": 'os.posix_spawn("/bin/true", ["true"], {})',
    "os.system": 'os.system("true")',
}


def test_a_unit_test_may_start_no_program(tmp_path: Path) -> None:
    tests = """import os
pytestmark = []
@pytest.mark.servers
def test_of_servers(): subprocess.run(["true"])
"""
    tests += "\n".join(f"def test_{number}(): {starts}" for number, starts in enumerate(STARTS.values()))
    code, output = said(tmp_path, tests)
    assert code == 1
    for program in STARTS:
        assert f"a test of the tier unit starts a program ({program}): mark it @pytest.mark.servers" in output
    assert f"{len(STARTS)} failed, 1 passed" in output


def test_what_a_file_shares_is_made_once_by_make_test(tmp_path: Path) -> None:
    """With the options of the Makefile. With some versions pytest-xdist spreads the tests of a group, without a word."""
    (line,) = (one for one in (ROOT / "Makefile").read_text().splitlines() if one.startswith("PYTEST = "))
    options = line.partition(" -m pytest ")[2].replace("$(JOBS)", "3").split()
    for name in "abc":
        (tmp_path / f"test_{name}.py").write_text(SHARED)
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", str(tmp_path)]
    env = {**os.environ, "PYTEST_ADDOPTS": "", "MADE": str(tmp_path / "made")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "18 passed" in done.stdout, done.stdout + done.stderr
    assert sorted((tmp_path / "made").read_text().split()) == ["test_a", "test_b", "test_c"]


SHARED = """
import os, time, pytest

@pytest.fixture(scope="module")
def server():
    with open(os.environ["MADE"], "a") as file:
        file.write(__name__ + " ")

@pytest.mark.parametrize("n", range(6))
def test_of(server, n):
    time.sleep(0.05)
"""


def test_a_module_that_imports_what_starts_servers_need_not_say_so(tmp_path: Path) -> None:
    code, output = said(tmp_path, "pytestmark = []\ndef test_starts():\n    subprocess.run(['true'])\n")
    assert (code, "1 passed" in output) == (0, True)


def _running(command: str) -> bool:
    return any(leftovers._read(pid, "cmdline").decode(errors="replace") == command for pid in leftovers._pids())


def test_a_unit_test_that_takes_long_is_named_at_the_end(tmp_path: Path) -> None:
    tests = """
from tests import watchdog
pytestmark = []
watchdog.SLOW_S = 0.2

def test_long():
    until_s = time.process_time() + 0.5
    while time.process_time() < until_s:
        pass

@pytest.mark.slow
def test_long_and_marked():
    test_long()

def test_short():
    pass

@pytest.mark.servers  # so the others are not, though the module has subprocess
def test_server():
    test_long()
"""
    code, output = said(tmp_path, tests)
    assert code == 0
    named = output.partition("mark them @pytest.mark.slow")[2]
    assert "test_long:" in named
    assert "test_long_and_marked" not in named
    assert "test_short" not in named
