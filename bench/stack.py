"""A real Kafka and a Valkey for the benchmarks, and processes started on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from floorwatch.embedded.servers import free_port, stop, valkey_command

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 4
_TICK_S = 0.02


class BenchError(RuntimeError):
    """A measurement that cannot be made or must not be believed; the message says why."""


@dataclass
class Process:
    """A child and its log."""

    child: subprocess.Popen[bytes]
    log: Path
    started_s: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    def text(self) -> str:
        """Return the log so far."""
        with suppress(OSError):
            return self.log.read_text(errors="replace")
        return ""

    def cpu_s(self) -> float:
        """Return the CPU seconds, user and system, of the process and its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, field_name: str = "VmHWM") -> float:
        """Return the largest (VmHWM) or present (VmRSS) resident size, in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field_name):
                return int(line.split()[1]) / 1024
        return 0.0

    def wait_for(self, sign: Callable[[str], bool], limit_s: float, what: str) -> float:
        """Wait for something in the log; return the monotonic time at which it was seen.

        Raises:
            BenchError: The process ended, or ``limit_s`` passed.
        """
        until_s = time.monotonic() + limit_s
        while not sign(self.text()):
            self.check(what)
            if time.monotonic() > until_s:
                raise BenchError(f"{self.log.stem}: no sign of {what} after {limit_s:g} s; end of log:\n{self.tail()}")
            time.sleep(_TICK_S)
        return time.monotonic()

    def check(self, what: str) -> None:
        """Raise when the process has ended."""
        code = self.child.poll()
        if code is not None:
            raise BenchError(f"{self.log.stem} ended with code {code} before {what}; end of log:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        return "\n".join(self.text().splitlines()[-lines:])


@dataclass
class Stack:
    """Servers of one benchmark run.

    Attributes:
        brokers: ``host:port`` of Kafka.
        redis_url: URL of Valkey.
        folder: Logs and scratch files of this run.
    """

    brokers: str
    redis_url: str
    folder: Path
    _children: list[Process] = field(default_factory=list)

    @contextmanager
    def run(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Iterator[Process]:
        """Run a child, ended with the context, its output in ``NAME.log``."""
        process = self.start(name, command, env)
        try:
            yield process
        finally:
            self.end(process)

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Process:
        """Start a child; whoever starts it ends it."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, cwd=ROOT
            )
        process = Process(child, log)
        self._children.append(process)
        return process

    def end(self, process: Process, grace_s: float = 15.0) -> None:
        """End a child by its pid."""
        stop(process.child, grace_s)
        if process in self._children:
            self._children.remove(process)

    def close(self) -> None:
        """End whatever still runs."""
        for process in list(self._children):
            self.end(process)


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start Kafka and Valkey; both are gone when the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    redis_port = free_port()
    with _kafka()(folder / "kafka") as brokers:
        stack = Stack(brokers, f"redis://127.0.0.1:{redis_port}/0", folder)
        try:
            with stack.run("valkey", valkey_command(redis_port, folder)):
                yield stack
        finally:
            stack.close()


def _kafka() -> Callable[[Path], AbstractContextManager[str]]:
    """Return the project's own starter of a real Kafka, wherever it stands."""
    try:
        from floorwatch.chaos.kafka import running_kafka
    except ImportError:
        from tests.brokers import running_kafka
    return running_kafka


def python(*arguments: str) -> list[str]:
    """Return the command of a Python module of this project."""
    return [sys.executable, "-m", *arguments]
