"""One child process: started in its own session, dying with its parent, logged to a file, stopped politely."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from floorwatch.embedded.health import Ask
from streams.models.timestamps import parse_rfc3339_ms

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
MAX_LOG_BYTES = 32 * 1024 * 1024
PROBE_INTERVAL_S = 0.05
_PR_SET_PDEATHSIG = 1
_LOWEST_PORT, _PORTS = 20_000, 12_768
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

_given: set[int] = set()
"""Ports that were returned to this process before."""

Probe = Callable[[], Awaitable[bool]]


class StartError(Exception):
    """A process did not come up. Operator: the message holds the end of its log, which says why."""


@dataclass(frozen=True)
class ChildSpec:
    """How to run one process.

    Attributes:
        name: Shown to people and used for the log's name.
        argv: Program and arguments.
        log: File that stdout and stderr are appended to.
        probe: Answers whether it does its work; None counts a running process as ready.
        ask: Answers why it is not ready; without it the probe is used.
        env: Added to this process's environment.
        ready_timeout_s: How long it may take to get ready.
        stop_timeout_s: How long after SIGTERM until SIGKILL.
        stop_signal: What asks it to stop.
    """

    name: str
    argv: Sequence[str]
    log: Path
    probe: Probe | None = None
    ask: Ask | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """A running process made from a spec. Start it again by making a new one."""

    def __init__(self, spec: ChildSpec) -> None:
        """Take the spec; nothing runs yet."""
        self.spec = spec
        self.stopping = False
        self.started_s = 0.0
        self._ended_s: float | None = None
        self._log_from = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        """Start the process without waiting for it to be ready.

        Raises:
            StartError: The program cannot be run.
        """
        spec = self.spec
        spec.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        cap_log(spec.log)
        self._log_from = spec.log.stat().st_size if spec.log.exists() else 0
        parent = os.getpid()
        with os.fdopen(_open_log(spec.log, os.O_APPEND), "ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *spec.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **spec.env},
                    # Its own session: Ctrl-C reaches the supervisor alone, which stops the children in order.
                    start_new_session=True,
                    umask=0o077,  # only its owner can read what it writes
                    preexec_fn=(lambda: _die_with(parent)) if _LIBC is not None else None,
                )
            except OSError as error:
                raise StartError(f"{spec.name}: cannot run {spec.argv[0]}: {error.strerror or error}") from error
        self.started_s = time.monotonic()

    async def wait(self) -> int:
        """Wait until the process has ended; return its exit code."""
        if self._process is None:
            raise RuntimeError(f"{self.spec.name} was not started; call start() first")
        returncode = await self._process.wait()
        self._ended_s = self._ended_s or time.time()
        return returncode

    async def wait_ready(self) -> None:
        """Wait until the probe succeeds, without a limit while the process says that it is recovering.

        Raises:
            StartError: The process ended, or was not ready in time.
        """
        spec = self.spec
        until_s = time.monotonic() + spec.ready_timeout_s
        while self.running:
            if spec.probe is None or await spec.probe():
                return
            if time.monotonic() > until_s and not (spec.ask is not None and (await spec.ask()).recovering):
                raise StartError(self._said(f"was not ready within {spec.ready_timeout_s:g} s"))
            await asyncio.sleep(PROBE_INTERVAL_S)
        raise StartError(self._said(f"ended with {describe_exit(self.returncode)} before it was ready"))

    async def stop(self) -> None:
        """Ask the process to end, and kill its group if it does not end in time."""
        self.stopping = True
        if self._process is None or not self.running:
            return
        self._signal(self.spec.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), self.spec.stop_timeout_s)
        except TimeoutError:
            _log.warning("%s did not stop within %g s; killing it", self.spec.name, self.spec.stop_timeout_s)
        await self.kill()

    async def kill(self) -> None:
        """End the process and whatever it started at once."""
        self.stopping = True
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    @property
    def why_ended(self) -> str:
        """Its exit code or signal, the line of its log that says why, and where the log is.

        A process that SIGKILL ends writes nothing of it, so no line of its log is the reason. A line that was written long
        before the end is told as what it is.
        """
        how = describe_exit(self.returncode)
        if self.returncode == -signal.SIGKILL:
            how = "killed (SIGKILL), no message"
        elif said := last_error(self.spec.log, self._log_from):
            how += f": {said}" if self._wrote_at_its_end() else f", no message (last line of its log: {said})"
        return f"{how}; log: {self.spec.log}"

    def _wrote_at_its_end(self) -> bool:
        with contextlib.suppress(OSError):
            return (self._ended_s or time.time()) - self.spec.log.stat().st_mtime < _LAST_WORDS_S
        return False

    def _said(self, what: str) -> str:
        return f"{self.spec.name} {what}; the end of {self.spec.log}:\n{log_end(self.spec.log)}"


def _die_with(parent: int) -> None:
    """Run in the child before exec: be killed when the parent's thread ends, so that kill -9 of it leaves no orphan."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before prctl took hold


def describe_exit(returncode: int | None) -> str:
    """Return an exit code in words: ``SIGKILL`` or ``exit code 1``."""
    if returncode is None:
        return "no exit code"
    if returncode < 0:
        try:
            return signal.Signals(-returncode).name
        except ValueError:
            return f"signal {-returncode}"
    return f"exit code {returncode}"


def log_end(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented; at most 8 KiB of it."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            text = log.read().decode(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


_LAST_WORDS_S = 30.0
"""What a process has written longer ago than this before its end is not told as the reason for it. A worker that fails may take
``telemetry.shutdown.LIMIT_S`` to end."""

_TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ [A-Z] ")
_REASONS = (
    "stopped after a failure",
    "did not end within",
    "Error: ",
    "error: ",
    "Misconfigured: ",
    "panicked at",
    "Fatal ",
)


def last_error(path: Path, begin: int = 0, most: int = 300) -> str:
    """Return the line of a log that says why its process ended, else its last line, without the time so that lines can be compared.

    Only the log's last seconds are looked at: an error of before was one that the process survived.

    Args:
        path: The log.
        begin: Bytes of it that were there before the process began.
        most: Characters above which the line is cut.
    """
    try:
        with path.open("rb") as log:
            size = path.stat().st_size
            log.seek(max(begin if begin <= size else 0, size - 65_536))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    lines = _last_words(lines)
    reasons = [line for line in lines if any(mark in line for mark in _REASONS)]
    said = _TIME.sub("", (reasons or lines or [""])[-1])
    return said if len(said) <= most else f"{said[: most - 1]}…"


def _last_words(lines: list[str]) -> list[str]:
    """Return the lines of a log's last seconds, by the times in it; all of them where it has no times."""
    # Local times, read as if they were UTC: only their differences count.
    stamped = [
        (index, parse_rfc3339_ms(f"{found[1]}Z")) for index, line in enumerate(lines) if (found := _TIME.match(line))
    ]
    if not stamped:
        return lines
    end_ms = stamped[-1][1]
    return lines[next(index for index, at_ms in stamped if end_ms - at_ms < _LAST_WORDS_S * 1000) :]


def _open_log(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)


def cap_log(path: Path, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Keep a log's last megabyte in ``<name>.1`` and empty it when it has grown too large; return whether it had.

    The writer holds the file open for appending, so it is emptied in place; what is written meanwhile may be lost.
    """
    try:
        size = path.stat().st_size
        if size <= max_bytes:
            return False
        # On a full disk the end of the log is not kept, and emptying it makes room.
        with contextlib.suppress(OSError), path.open("rb") as log:
            log.seek(size - 1024 * 1024)
            with os.fdopen(_open_log(path.with_suffix(path.suffix + ".1"), os.O_TRUNC), "wb") as end:
                end.write(log.read())
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True


def free_port(preferred: int = 0) -> int:
    """Return a free loopback TCP port: the preferred one if nobody listens on it, else any, and none twice.

    It is chosen at random below the ports that systems use for outgoing connections (from 32768 on Linux), so neither a
    connection nor another process is likely to take it before it is used. The caller must still handle a port that is
    taken.
    """
    wanted = [preferred] if preferred else []
    anywhere = (_LOWEST_PORT + secrets.randbelow(_PORTS) for _ in range(200))
    for port in itertools.chain(wanted, (port for port in anywhere if port not in _given), [0]):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            _given.add(found)
            return found
    raise StartError("no free loopback TCP port; close some connections and try again")


async def answers_http(url: str, timeout_s: float = 2.0) -> bool:
    """Return whether a GET of the URL is answered with a 2xx. Errors of any kind count as no."""
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return 200 <= answer.status < 300
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
