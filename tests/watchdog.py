"""The rules of the suite that no test has to remember: tiers, time limits, and no process left behind."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import functools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import leftovers

SERVER_FIXTURES = frozenset({"kafka_bootstrap", "real_kafka", "valkey_server", "redis_url", "secured"})
"""Fixtures that stand for a server: a test that uses one is of the tier ``servers``."""

STARTERS = frozenset(
    {
        "KafkaNode",
        "RealPrometheus",
        "Servers",
        "bounded_run",
        "kafka_floor",
        "processes",
        "proxied_floor",
        "running_broker",
        "running_valkey",
        "subprocess",
    }
)
"""What starts programs: a module that has one of these names is of the tier ``servers``, unless it marks its tests itself."""

SLOW_S = 2.0
"""Seconds of this process's CPU, which a busy machine changes little. A test of the tier ``unit`` that takes more is named
at the end of the run, so that somebody marks it ``@pytest.mark.slow``. A new one should be marked from half a second on."""

SERVERS_TIMEOUT_S = 900
"""Time limit of a test that starts servers: several times what the longest takes on a busy machine."""

GRACE_S = 120.0
"""After its time limit a test has so long to clean up. Then the whole run ends with a dump of all stacks."""

AGAIN_S = 30.0
"""Seconds from one alarm to the next."""

ENDING_S = 5.0
"""A process that is ending anyway has so long before it counts as left behind."""


_ASKED_BY_PYTHON = frozenset({"uname", "ldconfig", "gcc", "cc", "ld", "objdump", "lsb_release"})
"""Programs that the standard library asks about the machine (``platform``, ``ctypes.util``)."""


class Watchdog:
    """A pytest plugin; ``tests/conftest.py`` registers it."""

    def __init__(
        self, config: pytest.Config, *, grace_s: float = GRACE_S, again_s: float = AGAIN_S, ending_s: float = ENDING_S
    ) -> None:
        """Mark what this run starts."""
        self._config = config
        self._leads = bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")
        self._grace_s, self._again_s, self._ending_s = grace_s, again_s, ending_s
        self._run = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._guard: Any = None
        self._in_test = False
        self._programs: list[str] = []
        self._before: set[leftovers.Found] = set()
        self._left: list[str] = []
        self._slow: list[str] = []
        self._stderr = os.dup(2)  # before pytest captures it
        os.environ[leftovers.MARK] = self._run
        self._listen()

    def _listen(self) -> None:
        """Note each program that this process starts.

        An audit hook (``sys.addaudithook``) would be shorter. It is called for every ``id()`` of the core too, which is
        four per cent of all CPU.
        """
        init = subprocess.Popen.__init__

        @functools.wraps(init)
        def started(popen: Any, args: Any, *rest: Any, **named: Any) -> None:
            first = args if isinstance(args, (str, bytes, os.PathLike)) else next(iter(args), "")
            program = os.fsdecode(named.get("executable") or ("sh" if named.get("shell") else first))
            if Path(program).name not in _ASKED_BY_PYTHON:
                self._programs.append(program)
            init(popen, args, *rest, **named)

        subprocess.Popen.__init__ = started  # type: ignore[method-assign]
        os.register_at_fork(before=lambda: self._programs.append("os.fork"))
        for name in ("posix_spawn", "posix_spawnp", "system"):
            setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name: str, call: Any) -> Any:
        @functools.wraps(call)
        def noted(*args: Any, **named: Any) -> Any:
            self._programs.append(f"os.{name}")
            return call(*args, **named)

        return noted

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give every test its tier; ``-m`` selects after this.

        Among several processes, files with tests that take long begin first, so that no process is left over with one.
        """
        said = {item.path for item in items if item.get_closest_marker("servers")}
        for item in items:
            starts = STARTERS & vars(getattr(item, "module", item)).keys() and item.path not in said
            if starts or SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
                item.add_marker("servers")
            if item.get_closest_marker("servers"):
                if item.get_closest_marker("timeout") is None:
                    item.add_marker(pytest.mark.timeout(SERVERS_TIMEOUT_S))
            elif not item.get_closest_marker("slow"):
                item.add_marker("unit")
        if hasattr(self._config, "workerinput"):  # this is one of several processes of pytest-xdist
            items.sort(key=lambda item: tuple(item.get_closest_marker(name) is None for name in ("servers", "slow")))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """A guard for what the test may start; a fresh list of it."""
        if self._guard is None and item.get_closest_marker("servers"):
            self._guard = leftovers.start_guard(self._run)
        self._programs.clear()
        began_s = time.process_time()
        outcome = yield
        took_s = time.process_time() - began_s
        if took_s > SLOW_S and item.get_closest_marker("unit"):
            self._slow.append(f"{item.nodeid}: {took_s:.1f} s")
        return outcome

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """What runs after this belongs to fixtures of a wider scope, or is ended by those of the test."""
        try:
            with self._interruptible():
                outcome = yield
        finally:
            if self._programs or item.get_closest_marker("servers"):
                self._before = self._running()
        self._refuse_programs(item)
        return outcome

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """No program may have been started by a test of the tier unit."""
        with self._interruptible():
            outcome = yield
        self._refuse_programs(item)
        return outcome

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """After the test's own fixtures have cleaned up, nothing it started may run."""
        self._end_run_after(self._grace_s)  # pytest has taken it back if the test has failed
        with self._interruptible():
            outcome = yield
        if self._programs:
            left = self._still(self._running() - self._before)
            if left:
                leftovers.end(left)
                said = "; ".join(f"{found.pid}: {found.command}" for found in left)
                pytest.fail(f"{item.name} left processes running (killed now): {said}", pytrace=False)
        return outcome

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """After the last fixture has cleaned up, nothing at all may run."""
        outcome = yield
        left = set() if self._leads else self._still(self._running())
        leftovers.end(left)
        self._left += [f"{found.pid}: {found.command}" for found in left]
        if self._left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["left"] = self._left
            self._config.workeroutput["slow"] = self._slow
        return outcome

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what one of several processes has found."""
        said = getattr(node, "workeroutput", {})
        self._left += said.get("left", [])
        self._slow += said.get("slow", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was left, and what is not an unit test."""
        if self._slow:
            terminalreporter.section(f"unit tests that took over {SLOW_S:g} s of CPU: mark them @pytest.mark.slow")
            for line in sorted(self._slow):
                terminalreporter.line(line)
        if self._left:
            terminalreporter.section("processes left running by the tests, killed now", sep="!", red=True)
            for line in self._left:
                terminalreporter.line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """A thread that never ends must not keep a finished run from ending."""
        if self._guard is not None:
            self._guard.stdin.close()
            self._guard.wait()
        self._end_run_after(self._grace_s)

    @pytest.hookimpl(wrapper=True)
    def pytest_timeout_set_timer(self, settings: Any) -> Generator[None, object, object]:
        """Beside pytest-timeout's alarm: the stacks of asyncio's tasks, the alarm again, and an end even in C code.

        An exception that the alarm raises inside some task of a loop may be kept by that task alone. So the alarm comes
        again until the test is over.
        """
        outcome = yield
        theirs = signal.getsignal(signal.SIGALRM)
        if callable(theirs):

            def alarm(number: int, frame: Any) -> None:
                if not self._in_test:  # pytest's own work is not to be broken off
                    signal.setitimer(signal.ITIMER_REAL, min(1.0, self._again_s))
                    return
                signal.setitimer(signal.ITIMER_REAL, self._again_s)
                _show_tasks()
                theirs(number, frame)

            signal.signal(signal.SIGALRM, alarm)
        self._end_run_after(settings.timeout + self._grace_s)
        return outcome

    @pytest.hookimpl(wrapper=True)
    def pytest_timeout_cancel_timer(self) -> Generator[None, object, object]:
        """The test is over."""
        faulthandler.cancel_dump_traceback_later()
        return (yield)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        self._in_test = True
        try:
            yield
        finally:
            self._in_test = False

    def _refuse_programs(self, item: pytest.Item) -> None:
        if item.get_closest_marker("unit") and self._programs:
            pytest.fail(
                f"a test of the tier unit starts a program ({self._programs[0]:.80}): mark it "
                "@pytest.mark.servers, or its module with pytestmark (docs/testing.md)",
                pytrace=False,
            )

    def _end_run_after(self, seconds: float) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._stderr)

    def _running(self) -> set[leftovers.Found]:
        return leftovers.started_by(self._run, os.getpid())

    def _still(self, found: set[leftovers.Found]) -> set[leftovers.Found]:
        """Leave out what is ending anyway."""
        until_s = time.monotonic() + self._ending_s
        while (left := {one for one in found if one.running()}) and time.monotonic() < until_s:
            time.sleep(0.05)
        return left


def _show_tasks() -> None:
    """Print where each task of the running loop waits."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return  # no loop runs
    for task in tasks:
        task.print_stack(file=sys.stderr)
