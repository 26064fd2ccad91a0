"""Finds the running embedded stacks of this user, and reads what each tells of itself.

A stack that runs has a file below ``$XDG_STATE_HOME/floorwatch/stacks`` (``~/.local/state`` without that variable). It
holds the stack's ``var`` folder and nothing else; whether the stack still runs is read from that folder's state file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from streams.models import formats

VAR_VARIABLE = "FLOORWATCH_VAR"
DEFAULT_VAR = Path("var")
STATE_FILE = Path("run/state.json")
"""Below a stack's folder."""
ENTRIES = "*.path"
"""Which files of the register are entries."""


@dataclass(frozen=True)
class ProcessMark:
    """A process told apart from a later one with the same id: pid and the system's word for when it began."""

    pid: int
    started: str


@dataclass(frozen=True)
class StackState:
    """A running stack, as written to ``var/run/state.json``.

    Attributes:
        supervisor: The process that holds the lock.
        children: Processes by name: broker, valkey, shipper, gateway, worker-1 …
        ports: TCP ports by name: broker, valkey, gateway, worker-1 … (a worker's is its metrics port).
        urls: kafka (``host:port``), redis, gateway, metrics (the first worker's ``/metrics``), metrics-2 …
        journal: Folder that writers append to.
        topic_prefix: Put before each topic.
        partitions: Of each topic.
        epoch: Changes whenever the broker begins anew.
        redis_password_file: File whose content is the password of the Redis.
        redis_prefix: Put before each key in Redis.
        config_file: The YAML that the stack was started with; empty for none.
        failing: Processes in a crash loop, and what to tell of each.
    """

    supervisor: ProcessMark
    children: dict[str, ProcessMark]
    ports: dict[str, int]
    urls: dict[str, str]
    journal: str
    topic_prefix: str
    partitions: int
    epoch: str
    redis_password_file: str = ""
    redis_prefix: str = ""
    config_file: str = ""
    failing: dict[str, str] = field(default_factory=dict)
    version: int = formats.STACK_STATE.version


def read_state(var: Path) -> StackState | None:
    """Return what the stack on a folder last wrote, whether or not it still runs; None if there is none that can be read.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    try:
        data = json.loads((var / STATE_FILE).read_bytes())
        formats.check(formats.STACK_STATE, data.get("version", formats.FIRST), str(var / STATE_FILE))
        data = {name: data[name] for name in StackState.__dataclass_fields__ if name in data}
        data["supervisor"] = ProcessMark(**data["supervisor"])
        data["children"] = {name: ProcessMark(**mark) for name, mark in data["children"].items()}
        return StackState(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find_stack(var: Path | None = None, env: Mapping[str, str] = os.environ) -> StackState | None:
    """Return the stack that runs on a folder, or None.

    Args:
        var: The folder; None takes ``FLOORWATCH_VAR`` or ``var``.
        env: The environment.
    """
    state = read_state(var or Path(env.get(VAR_VARIABLE) or DEFAULT_VAR))
    return state if state is not None and is_alive(state.supervisor) else None


def mark_of(pid: int) -> ProcessMark:
    """Return the mark of a running process; its start is empty if there is no such process."""
    return ProcessMark(pid, _started(pid))


def is_alive(mark: ProcessMark) -> bool:
    """Return whether exactly that process still runs."""
    return bool(mark.started) and _started(mark.pid) == mark.started


def _started(pid: int) -> str:
    """Return when a process began, in the system's own words; empty for none, or for one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self").is_dir():
        return ""
    try:  # no /proc: macOS
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - one fixed program
    except OSError:
        return ""
    return found.stdout.strip()


class Found(NamedTuple):
    """A running stack and its folder."""

    var: Path
    state: StackState


class StackNotFound(Exception):
    """No stack can be chosen. Operator: start one, or name its folder; the message says which run.

    Attributes:
        said: What is so.
        fix: What a person at a command line can do about it.
        several: Whether the reason is that several run.
    """

    def __init__(self, said: str, fix: str, *, several: bool = False) -> None:
        """Say why."""
        self.said, self.fix, self.several = said, fix, several
        super().__init__(f"{said}; {fix}")


def running() -> list[Found]:
    """Return the stacks of this user that run, in the order of their folders."""
    found = []
    with contextlib.suppress(OSError, RuntimeError):
        for entry in register_folder().glob(ENTRIES):
            with contextlib.suppress(OSError, ValueError):
                var = Path(entry.read_text(encoding="utf-8").strip())
                state = find_stack(var)
                if state is not None:
                    found.append(Found(var, state))
    return sorted(found, key=lambda one: one.var)


def locate(var: Path | None = None, env: Mapping[str, str] = os.environ) -> Found | None:
    """Return the stack that a command means: the folder named, else ``./var``, else the only one that runs.

    Args:
        var: The folder the user named; None takes ``FLOORWATCH_VAR``.
        env: The environment.

    Returns:
        The stack, or None where none was named and none runs.

    Raises:
        StackNotFound: No stack runs on the folder named, or several run and none was named.
    """
    named = var or (Path(env[VAR_VARIABLE]) if env.get(VAR_VARIABLE) else None)
    here = named or DEFAULT_VAR
    state = find_stack(here)
    if state is not None:
        return Found(here, state)
    others = running()
    listed = ", ".join(str(one.var) for one in others)
    if named is not None:
        origin = f"--var or {VAR_VARIABLE}" if env.get(VAR_VARIABLE) == str(named) else "--var"
        said = f"no stack runs on {named} (named by {origin})"
        fix = f"start it with `floorwatch up --var {shlex.quote(str(named))}`"
        raise StackNotFound(said, f"name one that runs ({listed}), or {fix}" if others else fix)
    if len(others) > 1:
        raise StackNotFound(f"several stacks run: {listed}", f"name one with --var or {VAR_VARIABLE}", several=True)
    return others[0] if others else None


def register_folder() -> Path:
    """Return where the running stacks of this user are entered."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "floorwatch/stacks"
