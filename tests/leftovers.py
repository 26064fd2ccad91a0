"""Processes that tests start: found by a mark in their environment, or as descendants, and ended by their pid.

Run as a program, it is the guard: it waits until the test run is gone, however that ended, and ends what the run left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MARK = "PYTEST_RUN_MARK"
"""Environment variable that every process started by a test run inherits. Its value names the run."""

_PROC = Path("/proc")
_LOOK_S = 0.5


@dataclass(frozen=True)
class Found:
    """A running process.

    Attributes:
        pid: Process id.
        started: Start time in ticks since boot: with the pid it names one process for good.
        command: Its command line, shortened.
    """

    pid: int
    started: int
    command: str

    def running(self) -> bool:
        """Whether it still runs."""
        stat = _stat(self.pid)
        return stat is not None and stat[1] == self.started and stat[2] != "Z"

    def helps(self) -> bool:
        """Whether it is the guard, or a helper of Python's own that ends with the process it belongs to."""
        return str(Path(__file__).resolve()) in self.command or "from multiprocessing.resource_tracker" in self.command

    def kill(self) -> None:
        """End it at once."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def started_by(run: str, root: int) -> set[Found]:
    """Return the running processes of a test run: those with its mark, and descendants of ``root``.

    Args:
        run: Value of the mark.
        root: Process id of the test run itself, which is not returned.
    """
    mark = f"{MARK}={run}".encode()
    stats = _stats()
    marked = {pid for pid in stats if pid not in (root, os.getpid()) and mark in _read(pid, "environ").split(b"\0")}
    return _found(stats, marked | _below(stats, {root} | marked))


def descendants(root: int) -> set[Found]:
    """Return the running children of a process, theirs, and so on."""
    stats = _stats()
    return _found(stats, _below(stats, {root}))


def _stats() -> dict[int, tuple[int, int, str]]:
    return {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None and stat[2] != "Z"}


def _below(stats: dict[int, tuple[int, int, str]], roots: set[int]) -> set[int]:
    found: set[int] = set()
    while more := {pid for pid, stat in stats.items() if stat[0] in roots | found and pid not in roots | found}:
        found |= more
    return found


def _found(stats: dict[int, tuple[int, int, str]], pids: set[int]) -> set[Found]:
    return {one for pid in pids if not (one := Found(pid, stats[pid][1], _command(pid))).helps()}


def end(processes: set[Found], grace_s: float = 5.0) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        process.kill()
    until_s = time.monotonic() + grace_s
    while any(process.running() for process in processes) and time.monotonic() < until_s:
        time.sleep(0.02)


def start_guard(run: str) -> subprocess.Popen[bytes]:
    """Start the guard of a run: it ends what is left when this process is gone, even by SIGKILL."""
    environ = {name: value for name, value in os.environ.items() if name != MARK}
    command = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), run, str(os.getpid())]
    silent = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, env=environ, start_new_session=True
    )


def _pids() -> list[int]:
    return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()] if _PROC.is_dir() else []


def _stat(pid: int) -> tuple[int, int, str] | None:
    """(parent, start time in ticks, state), or None where there is no such process."""
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return (int(fields[1]), int(fields[19]), fields[0].decode()) if len(fields) > 19 else None


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")[:300].strip()


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _guard(run: str, root: int) -> None:
    """Valkey writes over its environment to show a title: so the children are remembered while they have a parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    known: set[Found] = set()
    while not select.select([sys.stdin], [], [], _LOOK_S)[0]:  # its end is that of the test run
        known = {one for one in known if one.running()} | descendants(root)
    for _ in range(5):  # what dies may have been starting something
        left = {one for one in known if one.running()} | started_by(run, -1)
        if not left:
            return
        end(left)


if __name__ == "__main__":
    _guard(sys.argv[1], int(sys.argv[2]))
